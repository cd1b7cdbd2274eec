import { type Db, transaction } from '../db.ts'
import { newId } from '../ids.ts'
import { addTask, dispatchKey } from '../queue/tasks.ts'
import type { JobContext } from './context.ts'

/**
 * Takes over a job that a process of the version before has sent, which wrote the operation on the job itself and polled
 * by tasks. Both versions may run side by side for a while. A job that has an attempt of its own keeps it, and is asked
 * about again if it was not.
 */
export async function adoptJob(
  { pool, clock }: Pick<JobContext, 'pool' | 'clock'>,
  jobId: string,
): Promise<void> {
  await transaction(pool, async (client) => {
    const { rows } = await client.query<{ operation: unknown; is_new: boolean }>(
      `select operation, not exists (select from attempts a where a.job_id = j.id) as is_new
       from jobs j where id = $1 and status = 'processing' for update`,
      [jobId],
    )
    const job = rows[0]
    if (job === undefined) return
    if (job.is_new && job.operation === null) {
      await addTask(client, 'dispatch', { jobId }, { key: dispatchKey(jobId) })
      return
    }
    if (job.is_new) await writeAttempt(client, jobId, newId('att', clock.now()))
    await client.query(
      `insert into polls (job_id, provider, due_at)
       select job_id, provider, filmgate_now() from attempts
       where job_id = $1 and status in ('sending', 'accepted', 'unknown')
       on conflict do nothing`,
      [jobId],
    )
  })
}

async function writeAttempt(db: Db, jobId: string, attemptId: string): Promise<void> {
  await db.query(
    `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, operation,
       started_at, answered_at)
     select $2, id, 1, provider, model_slug, '', id, 'accepted', operation, dispatched_at, dispatched_at
     from jobs where id = $1`,
    [jobId, attemptId],
  )
}
