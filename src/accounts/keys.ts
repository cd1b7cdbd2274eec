import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { databaseTime } from '../clock.ts'
import type { Db } from '../db.ts'
import { newId } from '../ids.ts'
import type { Mode } from '../ledger/ledger.ts'

/** What a customer's key may do; a key without scopes may do all of these. */
export const customerScopes = ['submit_job', 'check_status', 'list_models'] as const
export type CustomerScope = (typeof customerScopes)[number]
/** `admin` is the operator's, and must be given by name. */
export const keyScopes = [...customerScopes, 'admin'] as const
export type KeyScope = (typeof keyScopes)[number]

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

// In base 62, left-padded with 0.
function base62(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; rest > 0n; rest /= 62n) text = alphabet[Number(rest % 62n)] + text
  return text.padStart(length, '0')
}

// 32 bytes are at most 43 digits in base 62, a CRC-32 at most 6.
const secretLength = 43
const checksumLength = 6
const pattern = new RegExp(`^[0-9A-Za-z]{${secretLength + checksumLength}}$`)
function checksum(text: string): string {
  return base62(BigInt(crc32(text)), checksumLength)
}

/** A new secret of a kind: the kind, 32 random bytes and their checksum, both in base 62. */
export function newToken(kind: string): string {
  const body = `${kind}_${base62(BigInt(`0x${randomBytes(32).toString('hex')}`), secretLength)}`
  return body + checksum(body)
}

/** True if the text has the form and the checksum of its kind: a mistyped one is told without the database. */
export function isWellFormed(kind: string, text: string): boolean {
  const secret = text.slice(kind.length + 1)
  const isOfKind = text.startsWith(`${kind}_`) && pattern.test(secret)
  return isOfKind && text.endsWith(checksum(text.slice(0, -checksumLength)))
}

/** A new key: `pb_live_…` or `pb_test_…`. */
export function newKey(mode: Mode): string {
  return newToken(`pb_${mode}`)
}

export function isWellFormedKey(key: string): boolean {
  return isWellFormed('pb_live', key) || isWellFormed('pb_test', key)
}

/** What is stored in place of a key. A plain SHA-256 is enough for 32 random bytes. */
export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

export interface ApiKey {
  keyId: string
  userId: string
  mode: Mode
  prefix: string
  name: string | null
  /** Empty: all of a customer's scopes. */
  scopes: string[]
  /** Addresses and CIDR ranges; empty: from everywhere. */
  allowedIps: string[]
  expiresAt: string | null
  requestsPerMinute: number | null
  isActive: boolean
  createdAt: string
}

interface KeyRow {
  id: string
  user_id: string
  mode: Mode
  prefix: string
  name: string | null
  scopes: string[]
  allowed_ips: string[]
  expires_at: Date | null
  requests_per_minute: number | null
  is_active: boolean
  created_at: Date
}

const columns =
  'id, user_id, mode, prefix, name, scopes, allowed_ips, expires_at, requests_per_minute, is_active, created_at'

function toKey(row: KeyRow): ApiKey {
  return {
    keyId: row.id,
    userId: row.user_id,
    mode: row.mode,
    prefix: row.prefix,
    name: row.name,
    scopes: row.scopes,
    allowedIps: row.allowed_ips,
    expiresAt: row.expires_at?.toISOString() ?? null,
    requestsPerMinute: row.requests_per_minute,
    isActive: row.is_active,
    createdAt: row.created_at.toISOString(),
  }
}

/** Makes a key for a user that exists. `key` is answered only here. */
export async function createKey(
  db: Db,
  options: {
    userId: string
    mode: Mode
    name?: string | undefined
    scopes?: KeyScope[] | undefined
    allowedIps?: string[] | undefined
    expiresAt?: Date | undefined
    requestsPerMinute?: number | undefined
  },
): Promise<ApiKey & { key: string }> {
  const key = newKey(options.mode)
  const { rows } = await db.query<KeyRow>(
    `insert into api_keys (id, user_id, mode, hash, prefix, name, scopes, allowed_ips, expires_at,
       requests_per_minute)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning ${columns}`,
    [
      newId('key', await databaseTime(db)),
      options.userId,
      options.mode,
      hashKey(key),
      key.slice(0, 12),
      options.name ?? null,
      options.scopes ?? [],
      options.allowedIps ?? [],
      options.expiresAt ?? null,
      options.requestsPerMinute ?? null,
    ],
  )
  return { ...toKey(rows[0]!), key }
}

/** The keys of a user, newest first, without their secrets. */
export async function listKeys(db: Db, userId: string): Promise<ApiKey[]> {
  const { rows } = await db.query<KeyRow>(
    `select ${columns} from api_keys where user_id = $1 order by created_at desc, id`,
    [userId],
  )
  return rows.map(toKey)
}

/** Deactivates a key at once; undefined if there is none of this id. */
export async function deactivateKey(db: Db, keyId: string): Promise<ApiKey | undefined> {
  const { rows } = await db.query<KeyRow>(
    `update api_keys set is_active = false where id = $1 returning ${columns}`,
    [keyId],
  )
  return rows[0] && toKey(rows[0])
}

/** Sets how often a key may be used, null for as often as it likes; undefined if there is none of this id. */
export async function limitKey(
  db: Db,
  keyId: string,
  requestsPerMinute: number | null,
): Promise<ApiKey | undefined> {
  const { rows } = await db.query<KeyRow>(
    `update api_keys set requests_per_minute = $2 where id = $1 returning ${columns}`,
    [keyId, requestsPerMinute],
  )
  return rows[0] && toKey(rows[0])
}
