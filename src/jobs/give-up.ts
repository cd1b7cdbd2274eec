import type pg from 'pg'
import { transaction } from '../db.ts'
import { cancelUnsent } from './cancel.ts'
import type { AttemptStatus } from './life.ts'
import type { JobStatus } from './read.ts'
import { failJobWithin } from './settle.ts'

/** What became of an operator's word that a job is to end now. */
export type EndedByOperator =
  | { status: 'cancelled' | 'failed'; refundedMicroCents: number }
  | 'no such job'
  | { refused: string }

/** Cancels a job that no upstream has or may have: its charge goes back, and its customer is told. */
export async function cancelJobForOperator(
  pool: pg.Pool,
  jobId: string,
  now: Date,
): Promise<EndedByOperator> {
  const refunded = await cancelUnsent(pool, jobId, now, { by: 'operator', reason: 'operator' })
  if (refunded !== undefined) return { status: 'cancelled', refundedMicroCents: Number(refunded) }
  return (await whyNot(pool, jobId)) ?? 'no such job'
}

/**
 * The same, and besides ends a job that is kept because nobody knows whether its upstream has it: failed and refunded once.
 * Should the upstream have a result after all, the timeline tells it. A job that an upstream has ends by itself.
 */
export async function giveUpJob(pool: pg.Pool, jobId: string, now: Date): Promise<EndedByOperator> {
  const failed = await transaction(pool, (client) => failUnknown(client, jobId, now))
  return failed ?? cancelJobForOperator(pool, jobId, now)
}

async function failUnknown(
  client: pg.PoolClient,
  jobId: string,
  now: Date,
): Promise<EndedByOperator | undefined> {
  const job = await client.query<{ cost: bigint }>(
    "select cost_micro_cents as cost from jobs where id = $1 and status = 'processing' for update",
    [jobId],
  )
  if (job.rows[0] === undefined) return undefined
  const { rowCount } = await client.query("select from attempts where job_id = $1 and status = 'unknown'", [
    jobId,
  ])
  if (rowCount === 0) return undefined
  const failure = {
    code: 'PROVIDER_TIMEOUT',
    message: 'It could not be learnt whether the provider has this job.',
  } as const
  await failJobWithin(client, jobId, failure, now, { lateWatchMs: 60_000, detail: { by: 'operator' } })
  return { status: 'failed', refundedMicroCents: Number(job.rows[0].cost) }
}

async function whyNot(pool: pg.Pool, jobId: string): Promise<{ refused: string } | undefined> {
  const { rows } = await pool.query<{
    status: JobStatus
    attempt: AttemptStatus | null
    provider: string
    deadline_at: Date | null
  }>(
    `select j.status, a.status as attempt, j.provider, j.deadline_at
     from jobs j left join attempts a on a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')
     where j.id = $1`,
    [jobId],
  )
  const job = rows[0]
  if (job === undefined) return undefined
  const { status, attempt, provider } = job
  if (status !== 'pending' && status !== 'processing') return { refused: `the job is ${status}` }
  if (attempt === 'accepted') {
    const until = job.deadline_at === null ? '' : ` at the latest at ${job.deadline_at.toISOString()}`
    return { refused: `${provider} has the job and may charge for it; it ends by itself,${until}` }
  }
  if (attempt === 'unknown') {
    return { refused: `nobody knows whether ${provider} has the job: "job give-up" ends it` }
  }
  return { refused: `the job is being sent to ${provider} at this moment: try again in a minute` }
}
