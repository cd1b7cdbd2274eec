import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import type { ModelVersion } from '../catalogue/load.ts'
import { isUnavailable, transaction } from '../db.ts'
import { durable } from '../fault-points.ts'
import type { Json, Provider, ProviderRequest } from '../providers/provider.ts'
import { addTask, dispatchKey } from '../queue/tasks.ts'
import { loseAttempt } from './attempts.ts'
import { backoffMs } from './backoff.ts'
import type { JobContext } from './context.ts'
import { fetchInputs } from './inputs.ts'
import { changeStatus } from './life.ts'
import { busyLimitMs, type SentJob, sendJob, unservedLimitMs, waitedFor } from './send.ts'
import { type Failure, failJobWithin } from './settle.ts'
import { upstreamWait } from './upstreams.ts'

interface JobRow extends SentJob {
  status: string
  provider: string
  model_version: string
  input: Record<string, Json>
  account_id: bigint
  attempt_id: string | null
  is_abandoned: boolean
}

type Described = Omit<ProviderRequest, 'media'>

/** A job whose dispatch was cut off this often, by whatever kills the process, is given up. */
const maxAttempts = 8
const retryDelayMs = 15_000

/**
 * Sends one job to its provider: claims it (from here on it can't be cancelled here), fetches its input files, writes the
 * attempt down, and submits. Runs again after a crash or fault at any point; while an earlier attempt may be alive
 * at the upstream nothing is sent, and the poller looks after it.
 */
export async function dispatchJob(context: JobContext, jobId: string, attempts: number): Promise<void> {
  const job = await findJob(context, jobId)
  if (job === undefined || !['pending', 'processing'].includes(job.status)) return
  if (job.attempt_id !== null) return job.is_abandoned ? abandon(context, jobId, job.attempt_id) : undefined
  try {
    await dispatch(context, job, attempts)
  } catch (error) {
    // in a task of its own: the queue's own delays grow to hours, and its attempts end
    context.log.error({ jobId, err: error }, 'dispatch failed; it will be tried again')
    if (!isUnavailable(error) && waitedFor(context, job) > busyLimitMs) return giveUp(context, job)
    await tryAgain(context, jobId, retryDelayMs)
  }
}

async function dispatch(context: JobContext, job: JobRow, attempts: number): Promise<void> {
  if (attempts > maxAttempts) return giveUp(context, job)
  const provider = context.provider(job.provider)
  const model = context.catalogue.models.get(job.model_slug)
  const version = model?.versions.find((candidate) => candidate.version === job.model_version)
  const waitedMs = waitedFor(context, job)
  if (provider === undefined || model === undefined || version === undefined) {
    if (waitedMs > unservedLimitMs) return giveUp(context, job)
    return tryAgain(context, job.id, retryDelayMs)
  }
  const described: Described = {
    jobId: job.id,
    model: { slug: model.slug, capability: model.capability },
    input: job.input,
  }
  const admitMs = job.status === 'pending' ? (provider.admit?.(described, waitedMs) ?? 0) : 0
  if (admitMs > 0) return tryAgain(context, job.id, admitMs)
  const { waitMs, isFailing } = await upstreamWait(context.pool, provider.name)
  if (waitMs > 0) {
    if (waitedMs > (isFailing ? unservedLimitMs : busyLimitMs)) return giveUp(context, job)
    return tryAgain(context, job.id, backoffMs(0, { retryAfterMs: waitMs }))
  }

  const release = version.mediaFields.length === 0 ? () => {} : takeDownloadPlace(job.account_id)
  // the longer it has waited the longer until it asks again, so that a long line asks seldom
  if (release === undefined) return tryAgain(context, job.id, Math.min(60_000, Math.max(1_000, waitedMs / 4)))
  try {
    await claimJob(context, job.id, provider.timeLimitMs(described))
    await submitWithInputs(context, provider, version, { described, job, isFailing })
  } finally {
    release()
  }
}

/** Ends a job that can't be sent, whether it was claimed before or not. */
async function giveUp(context: JobContext, job: JobRow): Promise<void> {
  await claimJob(context, job.id, 0)
  await failUnsent(context, job.id, { code: 'PROVIDER_UNAVAILABLE' })
}

/** Another process may have sent it, while this one was taken for dead: then it is not ours to end. */
async function failUnsent({ pool, clock }: JobContext, jobId: string, failure: Failure): Promise<void> {
  const fail = async (client: pg.PoolClient) => {
    await client.query('select from jobs where id = $1 for update', [jobId])
    const { rowCount } = await client.query(
      "select from attempts where job_id = $1 and status in ('sending', 'accepted', 'unknown')",
      [jobId],
    )
    if (rowCount === 0) await failJobWithin(client, jobId, failure, clock.now())
  }
  await durable('job.fail', () => transaction(pool, fail))
}

/** The process that was sending the attempt is gone, and nobody knows how far it came. */
async function abandon({ pool, clock }: JobContext, jobId: string, attemptId: string): Promise<void> {
  await loseAttempt(pool, { jobId, attemptId, at: clock.now() }, 'the process that sent it has died', 0)
}

/** Under the lock of the job's row, so that no task is left of a job that is cancelled at this moment. */
async function tryAgain({ pool }: JobContext, jobId: string, delayMs: number): Promise<void> {
  await transaction(pool, async (client) => {
    const { rowCount } = await client.query(
      "select from jobs where id = $1 and status in ('pending', 'processing') for update",
      [jobId],
    )
    if (rowCount === 1) await addTask(client, 'dispatch', { jobId }, { delayMs, key: dispatchKey(jobId) })
  })
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
  { described, job, isFailing }: { described: Described; job: JobRow; isFailing: boolean },
): Promise<void> {
  // a folder of this run's own: a second run of the task must not write into the first one's files
  const folder = await mkdtemp(join(context.temporaryDirectory, `${job.id}-`))
  try {
    const inputs = await durable('inputs.fetch', () =>
      fetchInputs(context, version, job.input, { folder, jobCreatedAt: job.created_at }),
    )
    if ('failure' in inputs) return await failUnsent(context, job.id, inputs.failure)
    await sendJob(context, provider, { ...described, media: inputs.media }, { job, isFailing })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function findJob({ pool }: JobContext, jobId: string): Promise<JobRow | undefined> {
  const { rows } = await pool.query<JobRow>({
    name: 'dispatch-find-job',
    text: `
      select j.id, j.status, j.provider, j.model_slug, j.model_version, j.input, j.created_at, j.account_id,
        a.id as attempt_id, a.status = 'sending' and p.id is null as is_abandoned
      from jobs j
      left join attempts a on a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')
      left join processes p on p.id = a.process_id and p.beat_at > now() - interval '15 s'
      where j.id = $1`,
    values: [jobId],
  })
  return rows[0]
}

/** Pending → processing. False if it is pending no more. */
export async function claimJob(
  { pool, clock }: Pick<JobContext, 'pool' | 'clock'>,
  jobId: string,
  timeLimitMs: number,
): Promise<boolean> {
  const at = clock.now()
  const claim = () => changeStatus(pool, jobId, { from: 'pending', to: 'processing', at, timeLimitMs })
  return (await durable('job.claim', claim)) !== undefined
}
