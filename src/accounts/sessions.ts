import type pg from 'pg'
import { isMissing } from '../db.ts'
import { ApiError } from '../errors.ts'
import { newId } from '../ids.ts'
import { type CustomerScope, hashKey, isWellFormed, newToken } from './keys.ts'

/** How long a session may be good, in seconds. */
export const sessionLife = { minimum: 60, default: 3_600, maximum: 43_200 }

/** Of one key at once. More would be sessions that nobody ends, and fill the database. */
const mostSessions = 10_000

/** True if what was sent in place of a key is meant as a session. */
export function isSession(text: string): boolean {
  return text.startsWith('ses_')
}

/** What a session is found by; throws INVALID_SESSION for a mistyped one, without asking the database. */
export function hashSession(token: string): Buffer {
  if (isWellFormed('ses', token)) return hashKey(token)
  throw new ApiError('INVALID_SESSION', 'The session is malformed.')
}

/** By whom a session is made: with a key, or with a session of it. */
export interface SessionMaker {
  keyId: string
  sessionId: string | null
}

/**
 * Makes a session of a key. It ends no later than the key, and than the session that it was made with. `token` is answered
 * only here.
 */
export async function createSession(
  pool: pg.Pool,
  { keyId, sessionId: parentId }: SessionMaker,
  options: { scopes: CustomerScope[] | undefined; seconds: number },
  now: Date,
): Promise<{ sessionId: string; token: string; expiresAt: Date }> {
  await checkRoom(pool, keyId)
  const sessionId = newId('session', now)
  const token = newToken('ses')
  const { rows } = await pool
    .query<{ expires_at: Date }>(
      `insert into sessions (id, key_id, parent_id, hash, scopes, expires_at)
       select $1, k.id, p.id, $4, coalesce($5::text[], p.scopes),
         least(filmgate_now() + $6 * interval '1 second', k.expires_at, p.expires_at)
       from api_keys k left join sessions p on p.id = $3
       where k.id = $2 and ($3::text is null or p.id is not null)
       returning expires_at`,
      [sessionId, keyId, parentId, hashKey(token), options.scopes ?? null, options.seconds],
    )
    // the session that it is made with was revoked this very moment
    .catch((error) => (isMissing(error) ? { rows: [] } : Promise.reject(error)))
  if (rows[0] === undefined) throw new ApiError('INVALID_SESSION', 'The session has been revoked.')
  return { sessionId, token, expiresAt: rows[0].expires_at }
}

async function checkRoom(pool: pg.Pool, keyId: string): Promise<void> {
  const { rows } = await pool.query<{ open: number; seconds: number }>(
    `select count(*)::int as open, ceil(extract(epoch from min(expires_at) - filmgate_now()))::int as seconds
     from sessions where key_id = $1 and expires_at > filmgate_now()`,
    [keyId],
  )
  const { open, seconds } = rows[0]!
  if (open < mostSessions) return
  throw new ApiError(
    'RATE_LIMIT_EXCEEDED',
    `The key has ${open} sessions: end some (DELETE /v1/sessions/{sessionId}), or make them with a shorter life.`,
    { retryAfter: Math.max(1, seconds) },
  )
}

/** Ends a session at once, with those made with it; false if the maker has made none of this id. A session may end itself. */
export async function revokeSession(
  pool: pg.Pool,
  { keyId, sessionId: own }: SessionMaker,
  sessionId: string,
): Promise<boolean> {
  const { rowCount } = await pool.query(
    `delete from sessions
     where id = $1 and key_id = $2 and ($3::text is null or id = $3 or parent_id = $3)`,
    [sessionId, keyId, own],
  )
  return rowCount === 1
}

/** Removes sessions that ended before a moment. Until then their answer says when they ended. */
export async function removeOldSessions(pool: pg.Pool, endedBefore: Date): Promise<void> {
  await pool.query('delete from sessions where expires_at < $1', [endedBefore])
}
