import type pg from 'pg'
import { type RateLimiterAbstract, RateLimiterPostgres } from 'rate-limiter-flexible'
import { coalesce } from '../coalesce.ts'
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

/** Rate limits that all processes on one database share. Requests that arrive together are counted by one statement. */
export function createRateLimits(pool: pg.Pool): RateLimits {
  const limiters = {
    60: createLimiter(pool, 'minute', 60),
    86400: createLimiter(pool, 'day', 86_400),
  }
  const take = coalesce(1_000, (limits: RateLimit[]) => takeTogether(limiters, limits))
  return {
    async take(limit) {
      const refusal = await take(limit)
      if (refusal !== undefined) throw refusal
    },
  }
}

function createLimiter(pool: pg.Pool, keyPrefix: string, duration: number): RateLimiterAbstract {
  return new RateLimiterPostgres({
    storeClient: {
      // it counts with numbers, where our pool reads a bigint
      async query(query: pg.QueryConfig) {
        const { rows } = await pool.query<{ points: number; expire: bigint }>(query)
        return { rows: rows.map((row) => ({ ...row, expire: Number(row.expire) })) }
      },
    },
    storeType: 'pool',
    tableName: 'rate_limits',
    tableCreated: true,
    keyPrefix,
    // what is too many is decided below, by limits that the operator may change at any time
    points: Number.MAX_SAFE_INTEGER,
    duration,
  })
}

async function takeTogether(
  limiters: Record<RateLimit['windowSeconds'], RateLimiterAbstract>,
  limits: RateLimit[],
): Promise<(ApiError | undefined)[]> {
  const groups = Map.groupBy(limits, ({ key, windowSeconds }) => `${windowSeconds} ${key}`)
  const refusals = new Map<RateLimit, ApiError>()
  const takeGroup = async (group: RateLimit[]) => {
    const { key, windowSeconds } = group[0]!
    const { consumedPoints, msBeforeNext } = await limiters[windowSeconds].penalty(key, group.length)
    const before = consumedPoints - group.length
    for (const [index, limit] of group.entries()) {
      if (before + index + 1 > limit.most) refusals.set(limit, refusal(limit, msBeforeNext))
    }
  }
  await Promise.all([...groups.values()].map(takeGroup))
  return limits.map((limit) => refusals.get(limit))
}

function refusal({ most, windowSeconds, subject }: RateLimit, msBeforeNext: number): ApiError {
  const retryAfter = Math.max(1, Math.ceil(msBeforeNext / 1000))
  const window = windowSeconds === 60 ? 'minute' : 'day'
  return new ApiError(
    'RATE_LIMIT_EXCEEDED',
    `${subject} may be used ${most} times a ${window}. Try again in ${retryAfter} seconds.`,
    { retryAfter, limit: most, window },
  )
}
