import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
/** The link to put is good for 15 minutes, and a put that began in time may take 15 more (requestTimeout). */
const mayGrowMs = 30 * minuteMs
/** How long the sweep leaves an upload that has expired, for the jobs that wait with it. */
const keptAfterExpiryMs = 24 * hourMs

/** What one user may have uploaded, so that none can fill the disk. */
export const uploadLimits = { bytes: 10 * 1024 ** 3, filesPerHour: 1_000 }

/** What a user has uploaded, and when each of the two becomes less. */
interface Use {
  bytes: number
  lessBytesAt: Date | null
  files: number
  lessFilesAt: Date | null
}

/** Counts a user's uploads. As long as a file can still be put, it counts with the most bytes of its type. */
export async function findUse(
  db: Db,
  userId: string,
  now: Date,
  types: Record<string, { maxBytes: number }>,
): Promise<Use> {
  const { rows } = await db.query<Omit<Use, 'bytes'> & { bytes: bigint }>(
    `select coalesce(sum(counted), 0)::bigint as bytes,
       min(case when may_grow then created_at + $4 * interval '1 ms' else expires_at + $5 * interval '1 ms' end)
         filter (where counted > 0) as "lessBytesAt",
       count(*) filter (where created_at > $3)::int as files,
       min(created_at) filter (where created_at > $3) + interval '1 hour' as "lessFilesAt"
     from (
       select *, case when may_grow then ($6::jsonb -> content_type ->> 'maxBytes')::bigint else bytes end as counted
       from (
         select content_type, bytes, created_at, expires_at, created_at > $2 as may_grow
         from uploads where user_id = $1 and status <> 'deleted'
       ) as mine
     ) as mine`,
    [
      userId,
      new Date(now.getTime() - mayGrowMs),
      new Date(now.getTime() - hourMs),
      mayGrowMs,
      keptAfterExpiryMs,
      JSON.stringify(types),
    ],
  )
  const use = rows[0]!
  return { ...use, bytes: Number(use.bytes) }
}

/** Throws RATE_LIMIT_EXCEEDED unless there is room for one more file of so many bytes. */
export function checkRoom(use: Use, moreBytes: number, now: Date, limits: typeof uploadLimits): void {
  const refuse = (message: string, at: Date | null) => {
    const retryAfter = Math.max(1, Math.ceil(((at ?? now).getTime() - now.getTime()) / 1000))
    return new ApiError('RATE_LIMIT_EXCEEDED', message, { retryAfter, ...limits })
  }
  if (use.files >= limits.filesPerHour) {
    throw refuse(
      `An account may upload ${limits.filesPerHour} files an hour: wait for the first of them to be an hour old.`,
      use.lessFilesAt,
    )
  }
  if (use.bytes + moreBytes > limits.bytes) {
    throw refuse(
      `Uploads of an account may have ${limits.bytes} bytes together. Yours count ${use.bytes}: each with the most bytes of its type for half an hour, then with its own until a day after it has expired.`,
      use.lessBytesAt,
    )
  }
}
