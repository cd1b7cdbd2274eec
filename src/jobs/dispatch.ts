import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { transaction } from '../db.ts'
import type { Json, Provider, ProviderRequest } from '../providers/provider.ts'
import { addTask } from '../queue/tasks.ts'
import type { JobContext } from './context.ts'
import { fetchInputs } from './inputs.ts'
import { failJob } from './settle.ts'

interface JobRow {
  id: string
  status: string
  provider: string
  model_slug: string
  input: Record<string, Json>
  operation: Json
  created_at: Date
  deadline_at: Date | null
}

/**
 * Sends one job to its provider: claims it (from here on it can't be cancelled), fetches its input files,
 * submits, and starts polling. Runs again after a crash at any point; a submit that may have happened is only
 * repeated where the provider takes a repeated one for the same.
 */
export async function dispatchJob(context: JobContext, jobId: string): Promise<void> {
  const { pool, clock } = context
  const job = await findJob(context, jobId)
  if (job === undefined || job.operation !== null || !['pending', 'processing'].includes(job.status)) return
  const provider = context.provider(job.provider)
  const model = context.catalogue.models.get(job.model_slug)
  if (provider === undefined || model === undefined) {
    throw new Error(`job ${jobId} needs ${job.provider} and ${job.model_slug}, which are not there`)
  }
  if (job.deadline_at !== null && job.deadline_at <= clock.now()) {
    return void (await failJob(pool, jobId, { code: 'PROVIDER_UNAVAILABLE' }, clock.now()))
  }
  const described = { jobId, model: { slug: model.slug, capability: model.capability }, input: job.input }

  const waitedMs = clock.now().getTime() - job.created_at.getTime()
  const waitMs = job.status === 'pending' ? (provider.admit?.(described, waitedMs) ?? 0) : 0
  if (waitMs > 0) {
    const runAt = new Date(clock.now().getTime() + waitMs)
    return addTask(pool, 'dispatch', { jobId }, { runAt })
  }
  const isFirst = await claimJob(context, jobId, provider.timeLimitMs(described))
  if (!isFirst && !(await isOurs(context, jobId))) return
  if (!isFirst && !provider.submitIsIdempotent) return startPolling(context, jobId, provider, null)

  const folder = join(context.temporaryDirectory, jobId)
  await mkdir(folder, { recursive: true })
  try {
    const inputs = await fetchInputs(context, model, job.input, { folder, jobCreatedAt: job.created_at })
    if ('failure' in inputs) return void (await failJob(pool, jobId, inputs.failure, clock.now()))
    await submitTo(context, provider, { ...described, media: inputs.media })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function findJob({ pool }: JobContext, jobId: string): Promise<JobRow | undefined> {
  const { rows } = await pool.query<JobRow>(
    'select id, status, provider, model_slug, input, operation, created_at, deadline_at from jobs where id = $1',
    [jobId],
  )
  return rows[0]
}

/** Pending → processing. False if it is pending no more. */
export async function claimJob(
  { pool, clock }: Pick<JobContext, 'pool' | 'clock'>,
  jobId: string,
  timeLimitMs: number,
): Promise<boolean> {
  const now = clock.now()
  const { rowCount } = await pool.query(
    `update jobs set status = 'processing', dispatched_at = $2, deadline_at = $3
     where id = $1 and status = 'pending'`,
    [jobId, now, new Date(now.getTime() + timeLimitMs)],
  )
  return rowCount === 1
}

// Claimed by an earlier run of this task that died before its submit was recorded.
async function isOurs({ pool }: JobContext, jobId: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    "select from jobs where id = $1 and status = 'processing' and operation is null",
    [jobId],
  )
  return rowCount === 1
}

async function submitTo(context: JobContext, provider: Provider, request: ProviderRequest): Promise<void> {
  const outcome = await provider.submit(request)
  if (outcome.outcome === 'refused') {
    await failJob(context.pool, request.jobId, outcome, context.clock.now())
    return
  }
  if (outcome.outcome === 'unknown') {
    context.log.warn(
      { jobId: request.jobId, provider: provider.name, err: outcome.cause },
      'answer of a submit lost',
    )
  }
  await startPolling(
    context,
    request.jobId,
    provider,
    outcome.outcome === 'accepted' ? outcome.operation : null,
  )
}

async function startPolling(
  context: JobContext,
  jobId: string,
  provider: Provider,
  operation: Json,
): Promise<void> {
  const runAt = new Date(context.clock.now().getTime() + provider.pollDelayMs(0))
  await transaction(context.pool, async (client) => {
    await client.query('update jobs set operation = $2 where id = $1', [
      jobId,
      operation === null ? null : JSON.stringify(operation),
    ])
    await addTask(client, 'poll', { jobId }, { runAt, key: `poll:${jobId}` })
  })
}
