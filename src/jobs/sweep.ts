import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { addTask } from '../queue/tasks.ts'
import { deleteOldUploads } from '../uploads/uploads.ts'
import { reviveWebhooks } from '../webhooks/deliveries.ts'
import type { JobContext } from './context.ts'

type SweepContext = Pick<JobContext, 'pool' | 'storage' | 'clock' | 'log' | 'temporaryDirectory'>

const dayMs = 24 * 3_600_000
const hourMs = 3_600_000
const atOnce = 500

/**
 * Finds jobs and webhooks that no task looks after any more, and removes what has outlived its use: idempotency
 * keys after 24 hours, uploads after their last use, files of tasks that died.
 */
export async function sweep(context: SweepContext): Promise<void> {
  const dayAgo = new Date(context.clock.now().getTime() - dayMs)
  const steps = [
    () => reviveJobs(context),
    () => reviveWebhooks(context),
    () => context.pool.query('delete from idempotency_keys where created_at < $1', [dayAgo]),
    () => deleteOldUploads(context.pool, context.storage, dayAgo),
    () => removeOldFiles(context),
  ]
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      context.log.error({ err: error }, 'a step of the sweep failed')
    }
  }
}

/**
 * Adds a task to every job that should have one and has none, so that no job stays unfinished for ever whatever
 * became of its task: processing jobs past their time (the poll ends them) or without a poll, and pending jobs
 * whose dispatch is gone.
 */
export async function reviveJobs({
  pool,
  clock,
  log,
}: Pick<SweepContext, 'pool' | 'clock' | 'log'>): Promise<void> {
  const now = clock.now()
  const minuteAgo = new Date(now.getTime() - 60_000)
  const processing = await pool.query<{ id: string }>(
    `select id from jobs j
     where status = 'processing' and (deadline_at < $1 or operation is not null and dispatched_at < $2)
       and not exists (
         select from graphile_worker.jobs t
         where t.key = 'poll:' || j.id and t.attempts < t.max_attempts and (
           -- it is being worked on, or will be before the job's time is over
           t.locked_at > now() - interval '15 minutes' or t.locked_at is null and t.run_at < j.deadline_at + interval '1 minute'))
     limit ${atOnce}`,
    [now, minuteAgo],
  )
  for (const { id } of processing.rows) await addTask(pool, 'poll', { jobId: id }, { key: `poll:${id}` })
  const pending = await pool.query<{ id: string }>(
    `select id from jobs j
     where status = 'pending' and created_at < $1 and not exists (
       select from graphile_worker._private_jobs t
       where t.payload ->> 'jobId' = j.id and t.attempts < t.max_attempts
         -- a dispatch claims its job at once: one that has been locked for long was taken and never received
         and (t.locked_at is null or t.locked_at > now() - interval '1 minute'))
     limit ${atOnce}`,
    [minuteAgo],
  )
  for (const { id } of pending.rows) await addTask(pool, 'dispatch', { jobId: id })
  const revived = [...processing.rows, ...pending.rows].map((row) => row.id)
  if (revived.length > 0) log.warn({ jobs: revived }, 'took up jobs that were late or had lost their task')
}

// No task works on a file for an hour: what is older was left by one that was killed.
async function removeOldFiles({ temporaryDirectory, clock }: SweepContext): Promise<void> {
  for (const name of await readdir(temporaryDirectory)) {
    const path = join(temporaryDirectory, name)
    const found = await stat(path).catch(() => undefined)
    if (found && clock.now().getTime() - found.mtimeMs > hourMs)
      await rm(path, { recursive: true, force: true })
  }
}
