import type pg from 'pg'
import { transaction } from '../db.ts'
import { ApiError } from '../errors.ts'
import { durable } from '../fault-points.ts'
import { refund } from '../ledger/ledger.ts'
import type { Json, Provider } from '../providers/provider.ts'
import { dispatchKey, removeTask } from '../queue/tasks.ts'
import { withinTime } from '../time-limit.ts'
import { changeStatus } from './life.ts'
import { checkOwner, type JobStatus } from './read.ts'
import { endPolls } from './settle.ts'

interface JobRow {
  account_id: bigint
  status: JobStatus
  provider: string
  operation: Json
}

/** An upstream that does not confirm within this time has not. */
const cancelLimitMs = 10_000

/**
 * Cancels a job and gives its charge back, in one transaction: a pending one, or one that is processing at an upstream
 * which can stop it and confirms that it has. Against a dispatch or a result at the same moment the row's lock
 * decides: exactly one of them finds the job as it was.
 */
export async function cancelJob(
  { pool, provider }: { pool: pg.Pool; provider(name: string): Provider | undefined },
  accountId: bigint,
  jobId: string,
  now: Date,
): Promise<{ refundedMicroCents: number }> {
  const job = await findJob(pool, accountId, jobId)
  const refunded =
    (await cancelFrom(pool, 'pending', jobId, now)) ??
    ((await isStopped(provider(job.provider), jobId, job))
      ? await cancelFrom(pool, 'processing', jobId, now)
      : undefined)
  if (refunded !== undefined) return { refundedMicroCents: Number(refunded) }
  const { status } = await findJob(pool, accountId, jobId)
  throw new ApiError(
    'JOB_CANNOT_BE_CANCELLED',
    `The job is ${status}; only a pending job can be cancelled${status === 'processing' ? ', unless its provider can stop it' : ''}.`,
  )
}

async function cancelFrom(
  pool: pg.Pool,
  from: 'pending' | 'processing',
  jobId: string,
  at: Date,
): Promise<bigint | undefined> {
  const cancel = async (client: pg.PoolClient) => {
    if ((await changeStatus(client, jobId, { from, to: 'cancelled', at })) === undefined) return undefined
    await removeTask(client, dispatchKey(jobId))
    // the account before the poll, as where jobs fail, so that no two wait for each other in a ring
    const refunded = await refund(client, jobId)
    await endPolls(client, jobId)
    return refunded
  }
  return durable('job.cancel', () => transaction(pool, cancel))
}

/** Jobs whose upstream is being asked to stop them: asked for many times at once it is asked once. */
const stopping = new Map<string, Promise<boolean>>()

async function isStopped(
  provider: Provider | undefined,
  jobId: string,
  { status, operation }: JobRow,
): Promise<boolean> {
  if (status !== 'processing' || operation === null || provider?.cancel === undefined) return false
  const underWay = stopping.get(jobId)
  if (underWay !== undefined) return underWay
  const cancel = async (signal: AbortSignal) => provider.cancel?.(operation, { signal })
  const asked = withinTime(cancelLimitMs, cancel).then(
    (isConfirmed) => isConfirmed === true,
    () => false,
  )
  stopping.set(jobId, asked)
  return asked.finally(() => stopping.delete(jobId))
}

async function findJob(pool: pg.Pool, accountId: bigint, jobId: string): Promise<JobRow> {
  const { rows } = await pool.query<JobRow>(
    `select j.account_id, j.status, j.provider, a.operation
     from jobs j left join attempts a on a.job_id = j.id and a.status = 'accepted'
     where j.id = $1`,
    [jobId],
  )
  const job = rows[0]
  if (job === undefined) throw new ApiError('JOB_NOT_FOUND', `There is no job "${jobId.slice(0, 100)}".`)
  checkOwner(job.account_id, accountId)
  return job
}
