import type pg from 'pg'
import { transaction } from '../db.ts'
import { ApiError } from '../errors.ts'
import { durable } from '../fault-points.ts'
import { refund } from '../ledger/ledger.ts'
import type { Json, Provider } from '../providers/provider.ts'
import { dispatchKey, removeTask } from '../queue/tasks.ts'
import { withinTime } from '../time-limit.ts'
import { type AttemptStatus, changeStatus } from './life.ts'
import { type CancelReason, checkOwner, type JobStatus } from './read.ts'
import { addWebhook, endPolls } from './settle.ts'

interface JobRow {
  account_id: bigint
  status: JobStatus
  provider: string
  operation: Json
  attempt_status: AttemptStatus | null
}

/** Who cancels. What an operator or filmgate does is told to the customer: by `reason`, to the webhook too. */
type Canceller = { by: 'customer'; keyId?: string | undefined } | { by: 'operator'; reason: CancelReason }

/** An upstream that does not confirm within this time has not. */
const cancelLimitMs = 10_000

/**
 * Cancels a job and gives its charge back, in one transaction: one that no upstream has or may have, or one whose upstream
 * can stop it and confirms that it has. Against a dispatch, a submit or a result at the same moment the row's lock decides:
 * exactly one of them finds the job as it was.
 */
export async function cancelJob(
  { pool, provider }: { pool: pg.Pool; provider(name: string): Provider | undefined },
  accountId: bigint,
  jobId: string,
  now: Date,
  keyId?: string,
): Promise<{ refundedMicroCents: number }> {
  const canceller = { by: 'customer', keyId } as const
  const job = await findJob(pool, accountId, jobId)
  const refunded =
    (await cancelUnsent(pool, jobId, now, canceller)) ??
    ((await isStopped(provider(job.provider), jobId, job))
      ? await cancelStopped(pool, jobId, now, canceller)
      : undefined)
  if (refunded !== undefined) return { refundedMicroCents: Number(refunded) }
  throw new ApiError('JOB_CANNOT_BE_CANCELLED', whyNot(await findJob(pool, accountId, jobId)))
}

function whyNot({ status, attempt_status: attempt }: JobRow): string {
  if (status !== 'processing') return `The job is ${status}.`
  if (attempt === 'accepted') return 'The job is processing: its provider has it, and has not stopped it.'
  return 'The job is processing: its provider may have it, and that is being found out. Try again in a minute.'
}

/**
 * Cancels a job that no upstream has or may have; undefined if one may, or the job has ended. An attempt is written down
 * before it is sent, under the lock that is taken here: whoever comes second sees what the first has done.
 */
export async function cancelUnsent(
  pool: pg.Pool,
  jobId: string,
  at: Date,
  canceller: Canceller,
): Promise<bigint | undefined> {
  const cancel = async (client: pg.PoolClient) => {
    const job = await client.query<{ status: JobStatus }>(
      // the operation is of the version before, which had no attempts
      `select status from jobs where id = $1 and status in ('pending', 'processing') and operation is null for update`,
      [jobId],
    )
    const status = job.rows[0]?.status
    if (status !== 'pending' && status !== 'processing') return undefined
    const { rowCount } = await client.query(
      "select from attempts where job_id = $1 and status in ('sending', 'accepted', 'unknown')",
      [jobId],
    )
    return rowCount === 0 ? cancelWithin(client, jobId, status, at, canceller) : undefined
  }
  return durable('job.cancel', () => transaction(pool, cancel))
}

/** Its upstream has confirmed that it makes the job no more. */
async function cancelStopped(
  pool: pg.Pool,
  jobId: string,
  at: Date,
  canceller: Canceller,
): Promise<bigint | undefined> {
  const cancel = (client: pg.PoolClient) => cancelWithin(client, jobId, 'processing', at, canceller)
  return durable('job.cancel', () => transaction(pool, cancel))
}

async function cancelWithin(
  client: pg.PoolClient,
  jobId: string,
  from: 'pending' | 'processing',
  at: Date,
  canceller: Canceller,
): Promise<bigint | undefined> {
  const cancelReason = 'reason' in canceller ? canceller.reason : undefined
  const job = await changeStatus(client, jobId, {
    from,
    to: 'cancelled',
    at,
    cancelReason,
    detail: { ...canceller },
  })
  if (job === undefined) return undefined
  await removeTask(client, dispatchKey(jobId))
  // the account before the poll, as where jobs fail, so that no two wait for each other in a ring
  const refunded = await refund(client, jobId)
  await endPolls(client, jobId)
  if (cancelReason !== undefined) {
    const end = { status: 'cancelled', reason: cancelReason, completedAt: at.toISOString() }
    await addWebhook(client, jobId, job, end, at)
  }
  return refunded
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
    `select j.account_id, j.status, j.provider, a.operation, a.status as attempt_status
     from jobs j left join attempts a on a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')
     where j.id = $1`,
    [jobId],
  )
  const job = rows[0]
  if (job === undefined) throw new ApiError('JOB_NOT_FOUND', `There is no job "${jobId.slice(0, 100)}".`)
  checkOwner(job.account_id, accountId)
  return job
}
