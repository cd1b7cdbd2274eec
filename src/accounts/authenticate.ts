import type pg from 'pg'
import { compileRanges, isWithin } from '../addresses.ts'
import type { Clock } from '../clock.ts'
import { coalesce } from '../coalesce.ts'
import { ApiError } from '../errors.ts'
import type { Mode } from '../ledger/ledger.ts'
import type { Policy, PolicySource } from '../policy/policy.ts'
import { hashKey, isWellFormedKey, type KeyScope } from './keys.ts'
import { isSession, readSession } from './sessions.ts'
import type { UserStatus } from './users.ts'

/** Whose request it is. */
export interface Caller {
  keyId: string
  userId: string
  accountId: bigint
  mode: Mode
  segments: string[]
  /** Slugs of private models that the user may use. */
  allowedModels: string[]
  /** The key's own limit; null: none. */
  requestsPerMinute: number | null
  /** When the key or session ends that was sent; null: never. */
  expiresAt: Date | null
  policy: Policy
}

interface KeyRow {
  hash: Buffer
  key_id: string
  user_id: string
  account_id: bigint
  mode: Mode
  scopes: string[]
  allowed_ips: string[]
  expires_at: Date | null
  is_active: boolean
  requests_per_minute: number | null
  user_status: UserStatus
  segments: string[]
  allowed_models: string[]
  policy_number: bigint
}

/** `right` is what the operation needs; undefined for what every key may do. */
export type Authenticate = (
  key: string | undefined,
  right: KeyScope | undefined,
  address: string,
) => Promise<Caller>

/**
 * Checks a key, or a session in its place, and its right to an operation. Keys are read from the database for every
 * request, so that a deactivated one stops at once; requests that arrive together share one read.
 */
export function createAuthenticate(
  pool: pg.Pool,
  policies: Pick<PolicySource, 'since'>,
  clock: Clock,
  sessionSecret: Buffer,
): Authenticate {
  // as text, for which equal ones are the same; most that arrive together are of one customer
  const findByHash = coalesce<string, KeyRow | undefined>(500, async (hashes) => {
    const text = `${selectKeys} where k.hash = any($1::bytea[])`
    const values = [[...new Set(hashes)].map((hash) => `\\x${hash}`)]
    const { rows } = await pool.query<KeyRow>({ name: 'keys-by-hash', text, values })
    const found = new Map(rows.map((row) => [row.hash.toString('hex'), row]))
    return hashes.map((hash) => found.get(hash))
  })
  const findById = coalesce<string, KeyRow | undefined>(500, async (ids) => {
    const text = `${selectKeys} where k.id = any($1)`
    const { rows } = await pool.query<KeyRow>({ name: 'keys-by-id', text, values: [[...new Set(ids)]] })
    const found = new Map(rows.map((row) => [row.key_id, row]))
    return ids.map((id) => found.get(id))
  })

  const findKey = async (key: string): Promise<Found> => {
    if (!isWellFormedKey(key)) throw new ApiError('INVALID_API_KEY', 'The API key is malformed.')
    const row = await findByHash(hashKey(key).toString('hex'))
    if (row === undefined) throw new ApiError('INVALID_API_KEY', 'The API key is unknown.')
    return { row, expiresAt: row.expires_at }
  }
  const findKeyOfSession = async (token: string): Promise<Found> => {
    const { keyId, expiresAt } = readSession(token, clock.now(), sessionSecret)
    const row = await findById(keyId)
    if (row === undefined) throw new ApiError('INVALID_SESSION', 'The key of the session is gone.')
    return { row, expiresAt }
  }

  return async (sent, right, address) => {
    if (sent === undefined) {
      throw new ApiError(
        'UNAUTHORIZED',
        'No API key: send it as "Authorization: Bearer <key>" or "x-api-key".',
      )
    }
    const { row, expiresAt } = await (isSession(sent) ? findKeyOfSession(sent) : findKey(sent))
    checkState(row, clock.now(), address)
    checkRight(row.scopes, right)
    return {
      keyId: row.key_id,
      userId: row.user_id,
      accountId: row.account_id,
      mode: row.mode,
      segments: row.segments,
      allowedModels: row.allowed_models,
      requestsPerMinute: row.requests_per_minute,
      expiresAt,
      policy: await policies.since(row.policy_number),
    }
  }
}

/** A key as it is stored, and when that ends which was sent for it. */
interface Found {
  row: KeyRow
  expiresAt: Date | null
}

const selectKeys = `
  select k.hash, k.id as key_id, k.user_id, a.id as account_id, k.mode, k.scopes, k.allowed_ips,
    k.expires_at, k.is_active, k.requests_per_minute, u.status as user_status, u.segments, u.allowed_models,
    (select number from policy_version) as policy_number
  from api_keys k
  join users u on u.id = k.user_id
  join accounts a on a.user_id = k.user_id and a.mode = k.mode and a.kind = 'balance'`

function checkState(row: KeyRow, now: Date, address: string): void {
  if (!row.is_active) throw new ApiError('API_KEY_INACTIVE', 'The API key has been deactivated.')
  if (row.expires_at !== null && row.expires_at <= now) {
    throw new ApiError('API_KEY_EXPIRED', `The API key expired at ${row.expires_at.toISOString()}.`)
  }
  if (row.user_status === 'banned') throw new ApiError('USER_BANNED', 'The account has been banned.')
  if (row.user_status === 'inactive') throw new ApiError('USER_INACTIVE', 'The account is not active.')
  if (row.allowed_ips.length > 0 && !isWithin(compileRanges(row.allowed_ips), address)) {
    throw new ApiError('IP_NOT_WHITELISTED', `The API key may not be used from ${address}.`)
  }
}

// No scopes are all of the customer's, never the operator's.
function checkRight(scopes: string[], right: KeyScope | undefined): void {
  if (right === undefined || scopes.includes(right)) return
  if (right === 'admin') {
    throw new ApiError('FORBIDDEN', 'Only keys with the scope "admin" may do this.')
  }
  if (scopes.length > 0) {
    throw new ApiError('OPERATION_NOT_ALLOWED', `The API key lacks the scope "${right}".`)
  }
}
