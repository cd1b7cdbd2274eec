import type pg from 'pg'
import { freeTasksOfDead } from '../src/queue/heartbeat.ts'

// Real upstreams are given an hour for a job, and minutes to come to have one that was lost: here that time is let pass where
// only it can end the waiting. What is set back are the database's own notes of when something was.

/** For orders that are to be late an hour is three seconds. */
export async function passTime(pool: pg.Pool): Promise<void> {
  await pool
    .query(`
      with late as (
        update jobs set deadline_at = dispatched_at + interval '3 s'
        where status = 'processing' and metadata ? 'late' and deadline_at > dispatched_at + interval '3 s'
        returning id
      )
      update polls set due_at = now() + interval '3 s' from late where job_id = late.id and outputs is null`)
    // while the database is away
    .catch(() => {})
}

/** What was lost on its way to an upstream that can't be asked for it is given up. */
export async function passHour(pool: pg.Pool, afterMs: number): Promise<void> {
  await pool.query(
    `
    with lost as (
      update jobs set deadline_at = now() from attempts a
      where a.job_id = jobs.id and a.status = 'unknown' and a.provider = 'fal' and jobs.status = 'processing'
        and a.answered_at < now() - $1 * interval '1 ms'
      returning jobs.id
    )
    update polls set due_at = now() from lost where job_id = lost.id`,
    [afterMs],
  )
}

/**
 * Does sooner what happens anyway: the dead are taken for dead, what they were asking about is asked about again, what was
 * lost a while ago has settled, and what was found closed is tried again.
 */
export async function hurry(pool: pg.Pool, deadAfterMs: number | undefined): Promise<void> {
  if (deadAfterMs !== undefined) await freeTasksOfDead(pool, deadAfterMs)
  await pool.query(
    "update polls set due_at = now() where due_at > now() + interval '3 s' and outputs is null",
  )
  await pool.query(`
    update attempts set answered_at = now() - interval '10 min'
    where status = 'unknown' and provider <> 'fal' and answered_at between now() - interval '5 min' and now() - interval '3 s'`)
  // a job that tries whether it is open has a minute and a half: one that died has had ten seconds of it
  await pool.query(`
    update upstream_closures set retry_at = now()
    where retry_at > now() and (not is_probed or retry_at < now() + interval '80 s')`)
}
