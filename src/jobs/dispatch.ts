import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { ModelVersion } from '../catalogue/load.ts'
import { isTransient, isUnavailable, storable, transaction } from '../db.ts'
import { durable } from '../fault-points.ts'
import type { Json, Provider, ProviderRequest, SubmitOutcome } from '../providers/provider.ts'
import { addTask, dispatchKey } from '../queue/tasks.ts'
import { withinTime } from '../time-limit.ts'
import { acceptAttempt, beginAttempt, loseAttempt, refuseAttempt } from './attempts.ts'
import { backoffMs } from './backoff.ts'
import type { JobContext } from './context.ts'
import { forget } from './forget.ts'
import { fetchInputs } from './inputs.ts'
import { changeStatus } from './life.ts'
import { type Failure, failJobWithin } from './settle.ts'
import { upstreamAnswered, upstreamBusy, upstreamFailed, upstreamWait } from './upstreams.ts'

interface JobRow {
  id: string
  status: string
  provider: string
  model_slug: string
  model_version: string
  input: Record<string, Json>
  created_at: Date
  account_id: bigint
  attempt_id: string | null
  is_abandoned: boolean
}

type Described = Omit<ProviderRequest, 'media'>

/** A job whose dispatch was cut off this often, by whatever kills the process, is given up. */
const maxAttempts = 8
/** How long a job waits for a provider that is not set up any more, or out of order. */
export const unservedLimitMs = 3_600_000
/** How long it waits for one that has too much to do. */
const busyLimitMs = 24 * 3_600_000
const retryDelayMs = 15_000
const busyDelayMs = 2_000
/** What takes longer than this to answer a submit is asked whether it has the job. */
export const submitLimitMs = 60_000
/** From before an attempt is written down to its being sent; a process that was asleep meanwhile may be taken for dead. */
const sendWithinMs = 5_000

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

function waitedFor({ clock }: JobContext, job: JobRow): number {
  return clock.now().getTime() - job.created_at.getTime()
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
    await submitTo(context, provider, { ...described, media: inputs.media }, { job, isFailing })
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

async function submitTo(
  context: JobContext,
  provider: Provider,
  request: ProviderRequest,
  { job, isFailing }: { job: JobRow; isFailing: boolean },
): Promise<void> {
  const { pool, clock, processId } = context
  const begunAt = performance.now()
  const at = clock.now()
  // false where the job has ended meanwhile: many files of slow servers can take longer than its time
  const begun = await beginAttempt(pool, job.id, {
    provider: provider.name,
    processId,
    at,
    timeLimitMs: provider.timeLimitMs(request),
    answerLimitMs: 2 * submitLimitMs,
  })
  if (begun === undefined) return
  const outcome = await send(context, provider, request, begunAt)
  const write = async (answer: SubmitOutcome) => {
    const isAnswer = ['accepted', 'refused', 'busy'].includes(answer.outcome)
    if (isFailing && isAnswer) await upstreamAnswered(pool, provider.name)
    await settle(context, provider, { job, ...begun }, answer)
  }
  try {
    // the answer is known here and nowhere else: it must not be lost for a database that is away for a moment
    await persist(context, () => write(outcome))
  } catch (cause) {
    if (isUnavailable(cause)) throw cause
    // one that can't be written down is as good as lost
    await persist(context, () => write({ outcome: 'unknown', cause }))
  }
}

async function send(
  { callbackUrl }: JobContext,
  provider: Provider,
  request: ProviderRequest,
  begunAt: number,
): Promise<SubmitOutcome> {
  const submit = async (signal: AbortSignal): Promise<SubmitOutcome> => {
    if (performance.now() - begunAt > sendWithinMs) {
      const cause = new Error('this process slept before it could send the job')
      return { outcome: 'unavailable', cause }
    }
    return provider.submit(request, { signal, callbackUrl: callbackUrl(provider.name, request.jobId) })
  }
  try {
    return await durable('upstream.submit', () => withinTime(submitLimitMs, submit))
  } catch (cause) {
    return { outcome: 'unknown', cause }
  }
}

interface Sent {
  job: JobRow
  attemptId: string
  number: number
}

async function settle(
  context: JobContext,
  provider: Provider,
  { job, attemptId, number }: Sent,
  outcome: SubmitOutcome,
): Promise<void> {
  const { pool, clock, log } = context
  const answer = { jobId: job.id, attemptId, at: clock.now() }
  switch (outcome.outcome) {
    case 'accepted': {
      const polled = { modelSlug: job.model_slug, elapsedMs: 0, asked: 0 }
      const status = await acceptAttempt(
        pool,
        answer,
        outcome.operation,
        context.nextPollMs(provider, polled),
      )
      if (status !== undefined && status !== 'processing') {
        await forget(context, provider, job.id, outcome.operation)
      }
      return
    }
    case 'refused':
      await refuseAttempt(pool, answer, describe(outcome.message), async (client) => {
        await failJobWithin(client, job.id, outcome, answer.at)
      })
      return
    case 'busy':
    case 'unavailable': {
      const isBusy = outcome.outcome === 'busy'
      log.warn(
        { jobId: job.id, provider: provider.name, err: outcome.cause },
        `submit not taken: ${outcome.outcome}`,
      )
      const delayMs = backoffMs(number, { retryAfterMs: outcome.retryAfterMs })
      if (isBusy) await upstreamBusy(pool, provider.name, outcome.retryAfterMs ?? busyDelayMs)
      else await upstreamFailed(pool, provider.name)
      const isOver = waitedFor(context, job) > (isBusy ? busyLimitMs : unservedLimitMs)
      await refuseAttempt(pool, answer, describe(outcome.cause), async (client) => {
        if (isOver) await failJobWithin(client, job.id, { code: 'PROVIDER_UNAVAILABLE' }, answer.at)
        else await sendAnew(client, job.id, delayMs)
      })
      return
    }
    // or whatever a provider says that is none of these
    default:
      log.warn({ jobId: job.id, provider: provider.name, err: outcome.cause }, 'answer of a submit lost')
      await upstreamFailed(pool, provider.name)
      await loseAttempt(pool, answer, describe(outcome.cause), 1_000)
  }
}

/** Nothing is at the upstream: the next dispatch makes a new attempt, and until then there is nothing to ask about. */
export async function sendAnew(
  client: Parameters<typeof addTask>[0],
  jobId: string,
  delayMs: number,
): Promise<void> {
  await client.query('delete from polls where job_id = $1', [jobId])
  await addTask(client, 'dispatch', { jobId }, { delayMs, key: dispatchKey(jobId) })
}

/** In words for the operator. */
export function describe(cause: unknown): string {
  return storable((cause instanceof Error ? cause.message : String(cause)).slice(0, 500))
}

const persistForMs = 10 * 60_000
const persistEveryMs = 1_000

async function persist(context: JobContext, write: () => Promise<void>): Promise<void> {
  for (const end = performance.now() + persistForMs; ; ) {
    try {
      return await write()
    } catch (error) {
      if (!(isUnavailable(error) || isTransient(error)) || performance.now() > end) throw error
      context.log.warn({ err: error }, 'an upstream has answered, but the database is away')
      await sleep(persistEveryMs)
    }
  }
}
