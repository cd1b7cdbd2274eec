import type pg from 'pg'
import { coalesce } from '../coalesce.ts'
import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'

/** At most `most` requests in a window of so many seconds, counted from its first request. */
export interface RateLimit {
  /** Whose requests are counted together. */
  key: string
  most: number
  windowSeconds: 60 | 86_400
  /** As a client reads it: what may be used how often. */
  subject: string
}

export interface RateLimits {
  /** Counts one request; throws RATE_LIMIT_EXCEEDED if that is one too many. */
  take(limit: RateLimit): Promise<void>
}

/**
 * Rate limits that all processes on one database share, in windows by the database's clock. Requests that arrive together
 * are counted by one statement.
 */
export function createRateLimits(pool: pg.Pool): RateLimits {
  const take = coalesce(1_000, (limits: RateLimit[]) => takeTogether(pool, limits))
  return {
    async take(limit) {
      const refusal = await take(limit)
      if (refusal !== undefined) throw refusal
    },
  }
}

async function takeTogether(db: Db, limits: RateLimit[]): Promise<(ApiError | undefined)[]> {
  const groups = Map.groupBy(limits, counterOf)
  const asked = [...groups].map(([counter, group]) => ({
    counter,
    requests: group.length,
    windowMs: group[0]!.windowSeconds * 1000,
  }))
  const counted = await count(db, asked)
  const refusals = new Map<RateLimit, ApiError>()
  for (const [counter, group] of groups) {
    const { total, leftMs } = counted.get(counter)!
    const before = total - group.length
    for (const [index, limit] of group.entries()) {
      if (before + index + 1 > limit.most) refusals.set(limit, refusal(limit, leftMs))
    }
  }
  return limits.map((limit) => refusals.get(limit))
}

function counterOf({ key, windowSeconds }: RateLimit): string {
  return `${windowSeconds === 60 ? 'minute' : 'day'}:${key}`
}

/** Adds the requests to their counters, which begin anew once their window is over, and gives how each stands then. */
async function count(
  db: Db,
  asked: { counter: string; requests: number; windowMs: number }[],
): Promise<Map<string, { total: number; leftMs: number }>> {
  const { rows } = await db.query<{ key: string; total: number; left_ms: number }>({
    name: 'count-requests',
    // locked in the order of the keys, so that no two statements wait for each other in a ring
    text: `
      with clock as (
        select (1000 * extract(epoch from filmgate_now()))::bigint as ms
      ), asked as (
        select * from unnest($1::text[], $2::int[], $3::bigint[]) as one (key, requests, window_ms) order by key
      )
      insert into rate_limits as counter (key, points, expire)
      select key, requests, ms + window_ms from asked, clock
      on conflict (key) do update set
        points = case when counter.expire <= (select ms from clock) then excluded.points
          else counter.points + excluded.points end,
        expire = case when counter.expire <= (select ms from clock) then excluded.expire else counter.expire end
      returning key, points as total, (expire - (select ms from clock))::float8 as left_ms`,
    values: [
      asked.map(({ counter }) => counter),
      asked.map(({ requests }) => requests),
      asked.map(({ windowMs }) => windowMs),
    ],
  })
  return new Map(rows.map(({ key, total, left_ms: leftMs }) => [key, { total, leftMs }]))
}

/** Removes the counters whose window is over: each begins anew anyway. */
export async function removeOldCounters(db: Db): Promise<void> {
  await db.query('delete from rate_limits where expire < 1000 * extract(epoch from filmgate_now())')
}

function refusal({ most, windowSeconds, subject }: RateLimit, leftMs: number): ApiError {
  const retryAfter = Math.max(1, Math.ceil(leftMs / 1000))
  const window = windowSeconds === 60 ? 'minute' : 'day'
  return new ApiError(
    'RATE_LIMIT_EXCEEDED',
    `${subject} may be used ${most} times a ${window}. Try again in ${retryAfter} seconds.`,
    { retryAfter, limit: most, window },
  )
}
