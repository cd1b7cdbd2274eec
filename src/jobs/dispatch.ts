import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModelVersion } from '../catalogue/load.ts'
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
  model_version: string
  input: Record<string, Json>
  operation: Json
  created_at: Date
  deadline_at: Date | null
  account_id: bigint
}

/** A job whose dispatch was cut off this often, by whatever kills the process, is given up. */
const maxAttempts = 8
/** How long a pending job waits for a provider or model that is no longer set up. */
const unservedLimitMs = 3_600_000
const retryDelayMs = 15_000

/**
 * Sends one job to its provider: claims it (from here on it can't be cancelled), fetches its input files,
 * submits, and starts polling. Runs again after a crash or fault at any point; a submit that may have happened
 * is only repeated where the provider takes a repeated one for the same.
 */
export async function dispatchJob(context: JobContext, jobId: string, attempts: number): Promise<void> {
  const job = await findJob(context, jobId)
  if (job === undefined || job.operation !== null || !['pending', 'processing'].includes(job.status)) return
  try {
    await dispatch(context, job, attempts)
  } catch (error) {
    // in a task of its own: the queue's own delays grow to hours, and its attempts end
    context.log.error({ jobId, err: error }, 'dispatch failed; it will be tried again')
    await tryAgain(context, jobId, retryDelayMs)
  }
}

async function dispatch(context: JobContext, job: JobRow, attempts: number): Promise<void> {
  const { clock } = context
  const now = clock.now()
  const isLate = job.deadline_at !== null && job.deadline_at <= now
  if (isLate || attempts > maxAttempts) return giveUp(context, job)
  const provider = context.provider(job.provider)
  const model = context.catalogue.models.get(job.model_slug)
  const version = model?.versions.find((candidate) => candidate.version === job.model_version)
  const waitedMs = now.getTime() - job.created_at.getTime()
  if (provider === undefined || model === undefined || version === undefined) {
    if (waitedMs > unservedLimitMs) return giveUp(context, job)
    return tryAgain(context, job.id, retryDelayMs)
  }
  const described = {
    jobId: job.id,
    model: { slug: model.slug, capability: model.capability },
    input: job.input,
  }
  const waitMs = job.status === 'pending' ? (provider.admit?.(described, waitedMs) ?? 0) : 0
  if (waitMs > 0) return tryAgain(context, job.id, waitMs)

  const release = version.mediaFields.length === 0 ? () => {} : takeDownloadPlace(job.account_id)
  // the longer it has waited the longer until it asks again, so that a long line asks seldom
  if (release === undefined) return tryAgain(context, job.id, Math.min(60_000, Math.max(1_000, waitedMs / 4)))
  try {
    const isFirst = await claimJob(context, job.id, provider.timeLimitMs(described))
    if (!isFirst && !(await isUnsubmitted(context, job.id))) return
    if (!isFirst && !provider.submitIsIdempotent) return await startPolling(context, job.id, provider, null)
    await submitWithInputs(context, provider, version, { ...described, createdAt: job.created_at })
  } finally {
    release()
  }
}

/** Ends a job that can't be sent, whether it was claimed before or not. */
async function giveUp(context: JobContext, job: JobRow): Promise<void> {
  await claimJob(context, job.id, 0)
  await failJob(context.pool, job.id, { code: 'PROVIDER_UNAVAILABLE' }, context.clock.now())
}

async function tryAgain({ pool, clock }: JobContext, jobId: string, delayMs: number): Promise<void> {
  await addTask(pool, 'dispatch', { jobId }, { runAt: new Date(clock.now().getTime() + delayMs) })
}

// One account's slow file servers must not take all the places that dispatches have.
const downloadsPerAccount = 4
const downloads = new Map<bigint, number>()

function takeDownloadPlace(accountId: bigint): (() => void) | undefined {
  const taken = downloads.get(accountId) ?? 0
  if (taken >= downloadsPerAccount) return undefined
  downloads.set(accountId, taken + 1)
  return () => {
    const left = (downloads.get(accountId) ?? 1) - 1
    if (left === 0) downloads.delete(accountId)
    else downloads.set(accountId, left)
  }
}

async function submitWithInputs(
  context: JobContext,
  provider: Provider,
  version: ModelVersion,
  request: Omit<ProviderRequest, 'media'> & { createdAt: Date },
): Promise<void> {
  const { createdAt, ...described } = request
  // a folder of this run's own: a second run of the task must not write into the first one's files
  const folder = await mkdtemp(join(context.temporaryDirectory, `${request.jobId}-`))
  try {
    const inputs = await fetchInputs(context, version, request.input, { folder, jobCreatedAt: createdAt })
    if ('failure' in inputs) {
      await failJob(context.pool, request.jobId, inputs.failure, context.clock.now())
      return
    }
    // many files of slow servers can take longer than the job had: what is refunded must not be paid for upstream
    if (version.mediaFields.length > 0 && !(await isUnsubmitted(context, request.jobId))) return
    await submitTo(context, provider, { ...described, media: inputs.media })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function findJob({ pool }: JobContext, jobId: string): Promise<JobRow | undefined> {
  const { rows } = await pool.query<JobRow>(
    'select id, status, provider, model_slug, model_version, input, operation, created_at, deadline_at, account_id from jobs where id = $1',
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

// Claimed, and neither ended since nor sent to its provider as far as is recorded.
async function isUnsubmitted({ pool }: JobContext, jobId: string): Promise<boolean> {
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
    // an operation that is there already is kept: it leads to what the upstream was paid for
    const { rowCount } = await client.query(
      `update jobs set operation = $2 where id = $1 and status = 'processing' and operation is null`,
      [jobId, operation === null ? null : JSON.stringify(operation)],
    )
    if (rowCount === 0) return
    await addTask(client, 'poll', { jobId }, { runAt, key: `poll:${jobId}` })
  })
}
