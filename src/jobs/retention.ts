import type pg from 'pg'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { Db } from '../db.ts'
import { limitedTo } from '../limited-to.ts'
import type { Storage } from '../storage/storage.ts'

interface Context {
  pool: pg.Pool
  storage: Storage
  clock: Clock
}

const atOnce = 8
const batch = 100
/** The sweep has other work, and comes again in a minute. */
const budgetMs = 20_000

/**
 * Removes whatever is stored of a job, and what is `recorded` of it, and throws unless all of it is gone. For jobs
 * that keep no files: the caller knows that.
 */
export async function discardOutputs(
  storage: Storage,
  jobId: string,
  recorded: string[] = [],
): Promise<void> {
  const listed = await Array.fromAsync(storage.list(`outputs/${jobId}/`))
  const keys = new Set([...recorded, ...listed])
  for (const key of keys) await storage.remove(key)
  for (const key of keys) {
    if ((await storage.stat(key)) !== undefined) throw new Error(`${key} is there after it was removed`)
  }
}

/**
 * Deletes the files of a job that has ended, and then writes down since when they are gone: dying in between leaves
 * a job to be done again. Answers that moment; undefined for a job that did not complete and has had none.
 */
export async function deleteOutputs(
  { pool, storage, clock }: Context,
  jobId: string,
): Promise<Date | undefined> {
  const { rows: recorded } = await pool.query<{ key: string }>(
    `select file.key from job_outputs o, unnest(array[o.key, o.poster_key, o.thumbnail_key]) as file (key)
     where o.job_id = $1 and file.key is not null`,
    [jobId],
  )
  await discardOutputs(
    storage,
    jobId,
    recorded.map(({ key }) => key),
  )
  const { rows } = await pool.query<{ outputs_deleted_at: Date }>(
    `update jobs set outputs_deleted_at = coalesce(outputs_deleted_at, $2)
     where id = $1 and status = 'completed' returning outputs_deleted_at`,
    [jobId, clock.now()],
  )
  return rows[0]?.outputs_deleted_at
}

/** Since when the files of the job are gone that had the one of this key; undefined if they were not deleted. */
export async function whenDeleted(db: Db, key: string): Promise<Date | undefined> {
  const jobId = /^outputs\/([^/]+)\//.exec(key)?.[1]
  const { rows } = await db.query<{ outputs_deleted_at: Date }>(
    'select outputs_deleted_at from jobs where id = $1 and outputs_deleted_at is not null',
    [jobId],
  )
  return rows[0]?.outputs_deleted_at
}

/**
 * Deletes the files of jobs that completed longer ago than their account keeps them. One that can't be deleted is
 * logged, passed over and tried again by the next sweep; a storage that takes nothing at all ends this one.
 */
export async function deleteExpiredOutputs(context: Context & { log: Logger }): Promise<void> {
  const { pool, storage, clock, log } = context
  const failed: string[] = []
  const inTurn = limitedTo(atOnce)
  const deleteOne = async (jobId: string) => {
    try {
      await deleteOutputs(context, jobId)
    } catch (error) {
      failed.push(jobId)
      log.error({ err: error, job: jobId }, 'outputs past their time could not be deleted')
    }
  }
  for (const endsAt = performance.now() + budgetMs; performance.now() < endsAt; ) {
    const jobIds = await findExpired(pool, clock.now(), failed)
    if (jobIds.length === 0) return
    const failedBefore = failed.length
    await Promise.all(jobIds.map((jobId) => inTurn(() => deleteOne(jobId))))
    if (failed.length > failedBefore) await storage.ready()
    log.info({ jobs: jobIds.length - failed.length + failedBefore }, 'deleted outputs past their time')
  }
}

async function findExpired(db: Db, now: Date, passedOver: string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select expired.id
     from users u
     join accounts a on a.user_id = u.id
     cross join lateral (
       select j.id from jobs j
       where j.account_id = a.id and j.status = 'completed' and j.outputs_deleted_at is null
         and j.completed_at < $1::timestamptz - u.retention_days * interval '24 hours' and j.id <> all($2)
       order by j.completed_at limit ${batch}
     ) as expired
     where u.retention_days is not null
     limit ${batch}`,
    [now, passedOver],
  )
  return rows.map((row) => row.id)
}
