import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'

/** At most `most` accepted jobs in a window of so many seconds, counted from its first. */
export interface JobLimit {
  /** Which jobs are counted together: of one account, whose row's lock guards the count. */
  key: string
  most: number
  windowSeconds: 60 | 86_400
  /** As a client reads it: what may be used how often. */
  subject: string
}

/** The windows that limits count in, under the lock of their accounts. */
export type Windows = Map<string, Window>

interface Window {
  jobs: number
  msLeft: number
  isChanged: boolean
}

const nameOf = ({ key, windowSeconds }: JobLimit) => `${windowSeconds === 60 ? 'minute' : 'day'}:${key}`

/**
 * Reads the windows of these limits that are open, by the database's clock. One that has far more left than it was opened for
 * shows that the clock was set back, and is over: it would last for as long as that. A minute more tells nothing, as
 * a transaction that has waited for the account's lock has the time of its begin.
 */
export async function readWindows(db: Db, limits: JobLimit[]): Promise<Windows> {
  if (limits.length === 0) return new Map()
  const { rows } = await db.query<{ key: string; points: number; ms_left: number }>({
    name: 'limits-read',
    text: `
      select key, points, ms_left
      from (select key, points, (expire - 1000 * extract(epoch from filmgate_now()))::float8 as ms_left from rate_limits
        where key = any($1)) as found
      where ms_left > 0 and ms_left <= 60000 + case when key like 'minute:%' then 60000 else 86400000 end`,
    values: [[...new Set(limits.map(nameOf))]],
  })
  return new Map(
    rows.map(({ key, points, ms_left }) => [key, { jobs: points, msLeft: ms_left, isChanged: false }]),
  )
}

/** Why one more job is too many; undefined if it may be taken. */
export function overLimit(windows: Windows, limits: JobLimit[]): ApiError | undefined {
  for (const limit of limits) {
    const window = windows.get(nameOf(limit))
    if (limit.most <= (window?.jobs ?? 0)) return refusal(limit, window?.msLeft ?? 0)
  }
  return undefined
}

/** Counts a job that is accepted. */
export function countJob(windows: Windows, limits: JobLimit[]): void {
  for (const limit of limits) {
    const window = windows.get(nameOf(limit))
    const msLeft = window?.msLeft ?? limit.windowSeconds * 1000
    windows.set(nameOf(limit), { jobs: (window?.jobs ?? 0) + 1, msLeft, isChanged: true })
  }
}

/** Whether there is anything to be written. */
export function isCounted(windows: Windows): boolean {
  return [...windows.values()].some(({ isChanged }) => isChanged)
}

/** Writes the counts in the transaction that writes the jobs: where it fails, they go with it. */
export async function writeWindows(db: Db, windows: Windows): Promise<void> {
  const changed = [...windows].filter(([, { isChanged }]) => isChanged)
  // in one order, so that no two wait for each other in a ring
  changed.sort(([a], [b]) => (a < b ? -1 : 1))
  await db.query({
    name: 'limits-write',
    text: `
      insert into rate_limits (key, points, expire)
      select key, jobs, (1000 * extract(epoch from filmgate_now()) + ms_left)::bigint
      from unnest($1::text[], $2::int[], $3::float8[]) as window_of (key, jobs, ms_left)
      on conflict (key) do update set points = excluded.points, expire = excluded.expire`,
    values: [
      changed.map(([key]) => key),
      changed.map(([, { jobs }]) => jobs),
      changed.map(([, { msLeft }]) => msLeft),
    ],
  })
}

/** Removes the counters whose window is over: each begins anew anyway. */
export async function removeOldCounters(db: Db): Promise<void> {
  await db.query(
    `delete from rate_limits where key in (
       select key from rate_limits where expire < 1000 * extract(epoch from filmgate_now()) for update skip locked)`,
  )
}

function refusal({ most, windowSeconds, subject }: JobLimit, msLeft: number): ApiError {
  const retryAfter = Math.max(1, Math.ceil(msLeft / 1000))
  const window = windowSeconds === 60 ? 'minute' : 'day'
  return new ApiError(
    'RATE_LIMIT_EXCEEDED',
    `${subject} takes ${most} jobs a ${window}. Try again in ${retryAfter} seconds. Nothing was charged.`,
    { retryAfter, limit: most, window },
  )
}
