import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { removeOldSessions } from '../accounts/sessions.ts'
import { ageByFileTime } from '../file-time.ts'
import { removeOldCounters } from '../policy/rate-limits.ts'
import { addTask, dispatchKey, removeDeadTasks } from '../queue/tasks.ts'
import { deleteOldUploads } from '../uploads/uploads.ts'
import { reviveWebhooks } from '../webhooks/deliveries.ts'
import { adoptJob } from './adopt.ts'
import type { JobContext } from './context.ts'
import { removeLentFiles } from './lent-files.ts'
import { collectKey } from './polls.ts'
import { deleteExpiredOutputs } from './retention.ts'
import { failJob } from './settle.ts'

type SweepContext = Pick<
  JobContext,
  'pool' | 'storage' | 'clock' | 'log' | 'providers' | 'temporaryDirectory'
>

const dayMs = 24 * 3_600_000
const hourMs = 3_600_000
const atOnce = 500

/**
 * Finds jobs and webhooks that no task looks after any more, and removes what has outlived its use: idempotency
 * keys after 24 hours, sessions a day after their end, uploads after their last use, files lent to upstreams, outputs
 * past their account's retention, files of tasks that died.
 */
export async function sweep(context: SweepContext): Promise<void> {
  const dayAgo = new Date(context.clock.now().getTime() - dayMs)
  const steps = [
    () => reviveJobs(context),
    () => reviveWebhooks(context),
    () => context.pool.query('delete from idempotency_keys where created_at < $1', [dayAgo]),
    () => deleteOldUploads(context.pool, context.storage, dayAgo),
    () => removeOldSessions(context.pool, dayAgo),
    () => removeLentFiles(context),
    () => deleteExpiredOutputs(context),
    () => removeDeadTasks(context.pool, dayMs),
    () => removeOldCounters(context.pool),
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
 * Gives back what every unfinished job should have, whatever became of it, so that none stays unfinished for ever: a
 * dispatch task while nothing of it can be at an upstream, a poll while something can, a task that copies what its
 * upstream has done. Ends those whose time is over at an upstream that is not set up any more.
 */
export async function reviveJobs(
  context: Pick<JobContext, 'pool' | 'clock' | 'log' | 'providers'>,
): Promise<void> {
  const { pool, clock, log, providers } = context
  const now = clock.now()
  const minuteAgo = new Date(now.getTime() - 60_000)
  const names = providers.map(({ name }) => name)
  const unsent = await pool.query<{ id: string }>(
    `select id from jobs j
     where status in ('pending', 'processing') and created_at < $1
       and not exists (select from polls p where p.job_id = j.id)
       and not exists (select from attempts a where a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown'))
       and operation is null
       and not exists (
         select from graphile_worker.jobs t
         where t.key = 'dispatch:' || j.id and t.attempts < t.max_attempts
           -- one that has been locked for very long was taken and never received
           and (t.locked_at is null or t.locked_at > queue_now() - interval '1 hour'))
     limit ${atOnce}`,
    [minuteAgo],
  )
  for (const { id } of unsent.rows) await addTask(pool, 'dispatch', { jobId: id }, { key: dispatchKey(id) })
  const unwatched = await pool.query<{ id: string }>(
    `select id from jobs j
     where status = 'processing' and created_at < $1
       and not exists (select from polls p where p.job_id = j.id)
       and (operation is not null or exists (
         select from attempts a where a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')))
       -- the version before watches by tasks
       and not exists (
         select from graphile_worker.jobs t where t.key = 'poll:' || j.id and t.attempts < t.max_attempts)
     limit ${atOnce}`,
    [minuteAgo],
  )
  for (const { id } of unwatched.rows) await adoptJob(context, id)
  const uncollected = await pool.query<{ id: string }>(
    `select p.job_id as id from polls p
     where p.outputs is not null and not exists (
       select from graphile_worker.jobs t
       where t.key = 'collect:' || p.job_id and t.attempts < t.max_attempts
         and (t.locked_at is null or t.locked_at > queue_now() - interval '1 hour'))
     limit ${atOnce}`,
  )
  for (const { id } of uncollected.rows)
    await addTask(pool, 'collect', { jobId: id }, { key: collectKey(id) })
  // what is being copied, and what is held, other processes may look after
  const unserved = await pool.query<{ id: string }>(
    `select j.id from polls p
     join jobs j on j.id = p.job_id
     join accounts a on a.id = j.account_id
     join users u on u.id = a.user_id
     where p.provider <> all($1) and p.outputs is null and j.status = 'processing'
       and j.deadline_at < filmgate_now() - interval '1 minute'
       and not (u.unknown_outcome = 'hold' and exists (
         select from attempts t where t.job_id = j.id and t.status = 'unknown'))
     limit ${atOnce}`,
    [names],
  )
  for (const { id } of unserved.rows) await failJob(pool, id, { code: 'PROVIDER_TIMEOUT' }, now)
  // nobody is there to tell of a late result
  await pool.query(
    `delete from polls where job_id in (
       select p.job_id from polls p join jobs j on j.id = p.job_id
       where p.provider <> all($1) and j.completed_at < filmgate_now() - interval '2 days'
       limit ${atOnce} for update of p skip locked)`,
    [names],
  )
  const revived = [...unsent.rows, ...unwatched.rows, ...uncollected.rows, ...unserved.rows].map(
    (row) => row.id,
  )
  if (revived.length > 0) log.warn({ jobs: revived }, 'took up jobs that were late or had lost their task')
}

// No task works on a file for an hour: what is older was left by one that was killed.
async function removeOldFiles({ temporaryDirectory }: SweepContext): Promise<void> {
  for (const name of await readdir(temporaryDirectory)) {
    const path = join(temporaryDirectory, name)
    const ageMs = await ageByFileTime(path, temporaryDirectory)
    if (ageMs !== undefined && ageMs > hourMs) await rm(path, { recursive: true, force: true })
  }
}
