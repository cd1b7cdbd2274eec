import type pg from 'pg'
import { compileRanges, isWithin } from '../addresses.ts'
import type { Clock } from '../clock.ts'
import { coalesce } from '../coalesce.ts'
import { ApiError } from '../errors.ts'
import type { Mode } from '../ledger/ledger.ts'
import type { Policy, PolicySource } from '../policy/policy.ts'
import { customerScopes, hashKey, isWellFormedKey, type KeyScope } from './keys.ts'
import { hashSession, isSession } from './sessions.ts'
import type { UserStatus } from './users.ts'

/** Whose request it is. */
export interface Caller {
  keyId: string
  /** The session that was sent in place of the key. */
  sessionId: string | null
  /** What the key or session may do. */
  scopes: string[]
  userId: string
  accountId: bigint
  mode: Mode
  segments: string[]
  /** Slugs of private models that the user may use. */
  allowedModels: string[]
  /** The key's own limit; null: none. */
  requestsPerMinute: number | null
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

/** A session with its key. */
interface SessionRow extends KeyRow {
  session_hash: Buffer
  session_id: string
  session_scopes: string[] | null
  session_expires_at: Date
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
): Authenticate {
  // as text, for which equal ones are the same; most that arrive together are of one customer
  const findByHash = coalesce<string, KeyRow | undefined>(500, async (hashes) => {
    const text = `select ${columns} ${keys} where k.hash = any($1::bytea[])`
    const values = [[...new Set(hashes)].map((hash) => `\\x${hash}`)]
    const { rows } = await pool.query<KeyRow>({ name: 'keys-by-hash', text, values })
    const found = new Map(rows.map((row) => [row.hash.toString('hex'), row]))
    return hashes.map((hash) => found.get(hash))
  })
  const findSession = coalesce<string, SessionRow | undefined>(500, async (hashes) => {
    const text = `
      select ${columns}, s.hash as session_hash, s.id as session_id, s.scopes as session_scopes,
        s.expires_at as session_expires_at
      ${keys} join sessions s on s.key_id = k.id where s.hash = any($1::bytea[])`
    const values = [[...new Set(hashes)].map((hash) => `\\x${hash}`)]
    const { rows } = await pool.query<SessionRow>({ name: 'sessions-by-hash', text, values })
    const found = new Map(rows.map((row) => [row.session_hash.toString('hex'), row]))
    return hashes.map((hash) => found.get(hash))
  })

  const findKey = async (key: string): Promise<KeyRow> => {
    if (!isWellFormedKey(key)) throw new ApiError('INVALID_API_KEY', 'The API key is malformed.')
    const row = await findByHash(hashKey(key).toString('hex'))
    if (row === undefined) throw new ApiError('INVALID_API_KEY', 'The API key is unknown.')
    return row
  }
  const findKeyOfSession = async (token: string): Promise<SessionRow> => {
    const row = await findSession(hashSession(token).toString('hex'))
    if (row === undefined) {
      throw new ApiError('INVALID_SESSION', 'The session is unknown: it was revoked, or has ended long ago.')
    }
    if (row.session_expires_at > clock.now()) return row
    const endedAt = row.session_expires_at.toISOString()
    throw new ApiError('INVALID_SESSION', `The session ended at ${endedAt}: make a new one.`)
  }

  return async (sent, right, address) => {
    if (sent === undefined) {
      throw new ApiError(
        'UNAUTHORIZED',
        'No API key: send it as "Authorization: Bearer <key>" or "x-api-key".',
      )
    }
    const session = isSession(sent) ? await findKeyOfSession(sent) : undefined
    const row = session ?? (await findKey(sent))
    const scopes = scopesOf(row, session)
    try {
      checkState(row, clock.now(), address)
      checkRight(scopes, right)
    } catch (error) {
      if (error instanceof ApiError) error.key = { keyId: row.key_id, userId: row.user_id }
      throw error
    }
    return {
      keyId: row.key_id,
      sessionId: session?.session_id ?? null,
      scopes,
      userId: row.user_id,
      accountId: row.account_id,
      mode: row.mode,
      segments: row.segments,
      allowedModels: row.allowed_models,
      requestsPerMinute: row.requests_per_minute,
      policy: await policies.since(row.policy_number),
    }
  }
}

const columns = `
  k.hash, k.id as key_id, k.user_id, a.id as account_id, k.mode, k.scopes, k.allowed_ips,
  k.expires_at, k.is_active, k.requests_per_minute, u.status as user_status, u.segments, u.allowed_models,
  (select number from policy_version) as policy_number`
const keys = `
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

// No scopes are all of the customer's, never the operator's; and a session has none that its key has lost since.
function scopesOf({ scopes }: KeyRow, session: SessionRow | undefined): string[] {
  const ofKey = scopes.length === 0 ? [...customerScopes] : scopes
  if (session === undefined) return ofKey
  const { session_scopes: chosen } = session
  return ofKey.filter((scope) => scope !== 'admin' && (chosen === null || chosen.includes(scope)))
}

function checkRight(scopes: string[], right: KeyScope | undefined): void {
  if (right === undefined || scopes.includes(right)) return
  if (right === 'admin') {
    throw new ApiError('FORBIDDEN', 'Only keys with the scope "admin" may do this, and no sessions.')
  }
  throw new ApiError('OPERATION_NOT_ALLOWED', `The API key, or its session, lacks the scope "${right}".`)
}
