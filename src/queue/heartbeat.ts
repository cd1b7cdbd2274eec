import type pg from 'pg'
import type { Logger } from 'pino'
import { repeat } from '../repeat.ts'

const beatEveryMs = 5_000
/** A process that has not beaten for this long is dead; its tasks are free at the latest one beat later. */
export const deadAfterMs = 15_000

/**
 * The queue keeps the tasks of a dead process locked for four hours. Here each process that runs tasks beats
 * a row, and frees the tasks of those that stopped, by the database's clock. A process that was only paused
 * may then run a task that another runs too: tasks decide by the rows they lock.
 */
export async function startHeartbeat(
  pool: pg.Pool,
  processId: string,
  workerIds: () => string[],
  log: Logger,
): Promise<{ beat(): Promise<void>; stop(): Promise<void> }> {
  const beat = async () => {
    await pool.query(
      `insert into processes (id, worker_ids, beat_at) values ($1, $2, filmgate_now())
       on conflict (id) do update set worker_ids = excluded.worker_ids, beat_at = excluded.beat_at`,
      [processId, workerIds()],
    )
    const freed = await freeTasksOfDead(pool, deadAfterMs)
    if (freed.length > 0) log.warn({ workers: freed }, 'freed the tasks of workers that stopped beating')
  }
  await beat()
  const beats = repeat(beatEveryMs, beat, (error) => log.error({ err: error }, 'heartbeat failed'))
  return {
    beat,
    async stop() {
      await beats.stop()
      await pool.query('delete from processes where id = $1', [processId])
    },
  }
}

/**
 * Frees every locked task whose worker belongs to no process that has beaten within `deadMs`; 0 at a time
 * when no other process can be running. Answers the ids of the dead workers.
 */
export async function freeTasksOfDead(pool: pg.Pool, deadMs: number): Promise<string[]> {
  const { rows } = await pool.query<{ locked_by: string }>(
    `with gone as (
       delete from processes where beat_at < filmgate_now() - $1 * interval '1 ms'
     )
     select distinct locked_by from graphile_worker.jobs
     where locked_by is not null
       -- a worker that locked a task just now may not be in its process's row yet
       and locked_at < queue_now() - $1 * interval '1 ms'
       and locked_by not in (
         select unnest(worker_ids) from processes where beat_at >= filmgate_now() - $1 * interval '1 ms'
       )`,
    [deadMs],
  )
  const dead = rows.map((row) => row.locked_by)
  if (dead.length > 0) await pool.query('select graphile_worker.force_unlock_workers($1)', [dead])
  return dead
}
