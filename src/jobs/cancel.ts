import type pg from 'pg'
import { transaction } from '../db.ts'
import { ApiError } from '../errors.ts'
import { refund } from '../ledger/ledger.ts'
import { checkOwner, type JobStatus } from './read.ts'

/**
 * Cancels a pending job and gives its charge back, in one transaction. Against a dispatch at the same moment
 * the row's lock decides: exactly one of the two finds the job pending.
 */
export async function cancelJob(
  pool: pg.Pool,
  accountId: bigint,
  jobId: string,
  now: Date,
): Promise<{ refundedMicroCents: number }> {
  return transaction(pool, async (client) => {
    const { rowCount } = await client.query({
      text: `
        update jobs set status = 'cancelled', completed_at = $3
        where id = $1 and account_id = $2 and status = 'pending'`,
      values: [jobId, accountId, now],
    })
    if (rowCount !== 1) throw await whyNot(client, accountId, jobId)
    return { refundedMicroCents: Number(await refund(client, jobId)) }
  })
}

async function whyNot(client: pg.PoolClient, accountId: bigint, jobId: string): Promise<ApiError> {
  const { rows } = await client.query<{ account_id: bigint; status: JobStatus }>(
    'select account_id, status from jobs where id = $1',
    [jobId],
  )
  const job = rows[0]
  if (job === undefined) return new ApiError('JOB_NOT_FOUND', `There is no job "${jobId.slice(0, 100)}".`)
  checkOwner(job.account_id, accountId)
  return new ApiError(
    'JOB_CANNOT_BE_CANCELLED',
    `The job is ${job.status}; only a pending job can be cancelled.`,
  )
}
