import type pg from 'pg'
import type { Logger } from 'pino'
import { transaction } from '../db.ts'

/** A transaction has the time of its begin, and may have waited for its row since. */
const toleratedMs = 30_000

/**
 * What waits until a moment, each shortened by $1 ms. That which was written by the new clock, in the seconds before this is
 * seen, is shortened as well: to ask an upstream too early does no harm. Deadlines are left alone, since that would.
 */
const waits = [
  `with waiting as (
     select job_id from polls where due_at > filmgate_now() and outputs is null order by job_id for update
   )
   update polls set due_at = greatest(filmgate_now(), due_at - $1 * interval '1 ms')
   from waiting where polls.job_id = waiting.job_id`,
  `update upstreams set open_until = open_until - $1 * interval '1 ms', busy_until = busy_until - $1 * interval '1 ms'
   where greatest(open_until, busy_until) > filmgate_now()`,
  `update upstream_closures set retry_at = retry_at - $1 * interval '1 ms' where retry_at > filmgate_now()`,
  // who has died since must not pass for alive
  `update processes set beat_at = beat_at - $1 * interval '1 ms' where beat_at > filmgate_now()`,
  `update servers set beat_at = beat_at - $1 * interval '1 ms' where beat_at > filmgate_now()`,
  `select graphile_worker.reschedule_jobs(array[id], run_at => greatest(queue_now(), run_at - $1 * interval '1 ms'))
   from graphile_worker.jobs where run_at > queue_now() and locked_at is null`,
]

/**
 * Sees whether the database's clock was set back (by hand, by NTP, by a restore or another server that took over). Jobs would
 * stand still for as long as that: nothing that is due at a moment would be until then. Of all processes one shortens the
 * waits, once. Answers by how much it was set back, in ms.
 */
export async function bearSetBack({ pool, log }: { pool: pg.Pool; log: Logger }): Promise<number> {
  const setBackMs = await transaction(pool, async (client) => {
    const { rows } = await client.query<{ ms: number }>(
      `with before as (select at from clock_seen for update)
       update clock_seen set at = filmgate_now() from before
       returning (1000 * extract(epoch from before.at - filmgate_now()))::float8 as ms`,
    )
    const ms = rows[0]!.ms
    if (ms <= toleratedMs) return 0
    for (const shorten of waits) await client.query(shorten, [ms])
    return ms
  })
  if (setBackMs > 0) {
    const minutes = Math.round(setBackMs / 6_000) / 10
    log.error(
      { setBackMs: Math.round(setBackMs) },
      `the database's clock was set back by ${minutes} minutes: what waits was shortened by as much`,
    )
  }
  return setBackMs
}
