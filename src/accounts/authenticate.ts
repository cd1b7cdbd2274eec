import type pg from 'pg'
import { coalesce } from '../coalesce.ts'
import { ApiError } from '../errors.ts'
import type { Mode } from '../ledger/ledger.ts'
import { hashKey, isAllowedAddress, isWellFormedKey, type Scope } from './keys.ts'

/** Whose request it is. */
export interface Caller {
  keyId: string
  userId: string
  accountId: bigint
  mode: Mode
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
  user_status: 'active' | 'inactive' | 'banned'
}

export type Authenticate = (key: string | undefined, scope: Scope, address: string) => Promise<Caller>

/**
 * Checks a key and its right to an operation. Keys are read from the database for every request, so that a
 * deactivated one stops at once; requests that arrive together share one read.
 */
export function createAuthenticate(pool: pg.Pool, now: () => Date): Authenticate {
  const find = coalesce<Buffer, KeyRow | undefined>(500, async (hashes) => {
    const { rows } = await pool.query<KeyRow>({
      name: 'keys-by-hash',
      text: `
        select k.hash, k.id as key_id, k.user_id, a.id as account_id, k.mode, k.scopes, k.allowed_ips,
          k.expires_at, k.is_active, u.status as user_status
        from api_keys k
        join users u on u.id = k.user_id
        join accounts a on a.user_id = k.user_id and a.mode = k.mode and a.kind = 'balance'
        where k.hash = any($1)`,
      values: [hashes],
    })
    const found = new Map(rows.map((row) => [row.hash.toString('hex'), row]))
    return hashes.map((hash) => found.get(hash.toString('hex')))
  })

  return async (key, scope, address) => {
    if (key === undefined) {
      throw new ApiError(
        'UNAUTHORIZED',
        'No API key: send it as "Authorization: Bearer <key>" or "x-api-key".',
      )
    }
    if (!isWellFormedKey(key)) throw new ApiError('INVALID_API_KEY', 'The API key is malformed.')
    const row = await find(hashKey(key))
    if (row === undefined) throw new ApiError('INVALID_API_KEY', 'The API key is unknown.')
    if (!row.is_active) throw new ApiError('API_KEY_INACTIVE', 'The API key has been deactivated.')
    if (row.expires_at !== null && row.expires_at <= now()) {
      throw new ApiError('API_KEY_EXPIRED', `The API key expired at ${row.expires_at.toISOString()}.`)
    }
    if (row.user_status === 'banned') throw new ApiError('USER_BANNED', 'The account has been banned.')
    if (row.user_status === 'inactive') throw new ApiError('USER_INACTIVE', 'The account is not active.')
    if (row.allowed_ips.length > 0 && !isAllowedAddress(row.allowed_ips, address)) {
      throw new ApiError('IP_NOT_WHITELISTED', `The API key may not be used from ${address}.`)
    }
    if (row.scopes.length > 0 && !row.scopes.includes(scope)) {
      throw new ApiError('OPERATION_NOT_ALLOWED', `The API key lacks the scope "${scope}".`)
    }
    return { keyId: row.key_id, userId: row.user_id, accountId: row.account_id, mode: row.mode }
  }
}
