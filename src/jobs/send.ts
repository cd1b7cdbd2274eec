import { setTimeout as sleep } from 'node:timers/promises'
import { type Db, isTransient, isUnavailable, storable } from '../db.ts'
import { durable } from '../fault-points.ts'
import {
  NotSent,
  type Provider,
  type ProviderRequest,
  type Refused,
  type SubmitOutcome,
} from '../providers/provider.ts'
import { addTask, dispatchKey } from '../queue/tasks.ts'
import { withinTime } from '../time-limit.ts'
import { acceptAttempt, beginAttempt, isSending, loseAttempt, refuseAttempt } from './attempts.ts'
import { backoffMs } from './backoff.ts'
import type { JobContext } from './context.ts'
import { forget } from './forget.ts'
import { type LendMedia, lendWithin } from './lend-media.ts'
import type { ChosenRoute, EarlierAttempt } from './routes.ts'
import { failJobWithin } from './settle.ts'
import { resumeUpstream, suspendUpstream } from './suspensions.ts'
import { upstreamAnswered, upstreamBusy, upstreamFailed } from './upstreams.ts'

/** What is to be known of a job that is sent. */
export interface SentJob {
  id: string
  model_slug: string
  /** Since its submit, by the database's clock, as the machine's own may be ahead. */
  waited_ms: number
  earlier: EarlierAttempt[]
}

/** How long a job waits for a provider that is not set up any more, or out of order. */
export const unservedLimitMs = 3_600_000
/** How long it waits for one that has too much to do. */
export const busyLimitMs = 24 * 3_600_000
const busyDelayMs = 2_000
/** What takes longer than this to answer a submit is asked whether it has the job. */
const submitLimitMs = 60_000
/** From before an attempt is written down to its being sent; a process that was asleep meanwhile may be taken for dead. */
const sendWithinMs = 5_000

/**
 * Makes one attempt at having the upstream take a job: writes it down, sends the job unless an earlier attempt may be alive,
 * and writes down what came of it. `answer`: what is known without sending it.
 */
export async function sendJob(
  context: JobContext,
  chosen: ChosenRoute,
  request: ProviderRequest,
  { job, lend, answer }: { job: SentJob; lend: LendMedia; answer?: SubmitOutcome | undefined },
): Promise<void> {
  const { pool, clock, processId } = context
  const { provider } = chosen.candidate
  const begunAt = performance.now()
  const at = clock.now()
  // false where the job has ended meanwhile: many files of slow servers can take longer than its time
  const begun = await beginAttempt(pool, job.id, {
    route: request.route,
    listedCostMicroCents: chosen.listedCostMicroCents,
    processId,
    account: provider.account,
    number: job.earlier.length + 1,
    at,
    timeLimitMs: provider.timeLimitMs(request),
    answerLimitMs: 2 * submitLimitMs,
  })
  if (begun === undefined) return
  const { media } = request
  const outcome = answer ?? (await send(context, provider, request, { lend, begunAt, ...begun }))
  const write = (found: SubmitOutcome) => settle(context, chosen, { job, media, ...begun }, found)
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
  { pool, callbackUrl, isReachable }: JobContext,
  provider: Provider,
  request: ProviderRequest,
  { lend, begunAt, attemptId }: { lend: LendMedia; begunAt: number; attemptId: string },
): Promise<SubmitOutcome> {
  // lending may take longer than others wait for a process that sleeps
  const confirm = async () => {
    if (performance.now() - begunAt > sendWithinMs && !(await isSending(pool, attemptId))) {
      throw new Error('others have taken this process for dead')
    }
  }
  const submit = async (signal: AbortSignal): Promise<SubmitOutcome> => {
    if (performance.now() - begunAt > sendWithinMs) {
      const cause = new Error('this process slept before it could send the job')
      return { outcome: 'unavailable', cause }
    }
    return provider.submit(request, {
      signal,
      ...lendWithin(lend, confirm),
      callbackUrl: isReachable ? callbackUrl(provider.name, request.jobId) : undefined,
    })
  }
  try {
    return await durable('upstream.submit', () => withinTime(submitLimitMs, submit))
  } catch (cause) {
    const isUnsent = cause instanceof NotSent
    return { outcome: isUnsent ? 'unavailable' : 'unknown', cause }
  }
}

interface Sent {
  job: SentJob
  media: ProviderRequest['media']
  attemptId: string
  number: number
}

async function settle(
  context: JobContext,
  chosen: ChosenRoute,
  sent: Sent,
  outcome: SubmitOutcome,
): Promise<void> {
  const { pool, clock, log } = context
  const { provider, route } = chosen.candidate
  const { job, attemptId } = sent
  const answer = { jobId: job.id, attemptId, at: clock.now() }
  if (chosen.isFailing && ['accepted', 'refused', 'suspended', 'busy'].includes(outcome.outcome)) {
    await upstreamAnswered(pool, provider.name)
  }
  // a refusal may come before credit is looked at, or from our own check of the files
  if (chosen.wasSuspended && ['accepted', 'busy'].includes(outcome.outcome)) {
    await resumeUpstream(pool, provider.name, route.model)
  }
  switch (outcome.outcome) {
    case 'accepted': {
      const polled = { modelSlug: job.model_slug, elapsedMs: 0, asked: 0 }
      const firstPollMs = context.nextPollMs(provider, polled)
      const status = await acceptAttempt(pool, answer, outcome.operation, firstPollMs)
      if (status !== undefined && status !== 'processing') {
        await forget(context, provider, job.id, outcome.operation)
      }
      return
    }
    case 'refused':
      return refuse(context, chosen, sent, outcome)
    case 'suspended': {
      const cause = describe(outcome.cause)
      log.error(
        { jobId: job.id, upstream: provider.name, reason: outcome.reason, cause },
        'an upstream takes no jobs; see upstream list',
      )
      const model = outcome.scope === 'model' ? route.model : ''
      await suspendUpstream(pool, { upstream: provider.name, model, reason: outcome.reason, cause })
      // what to wait for, and whether for longer, is for the next dispatch to see
      await refuseAttempt(pool, answer, { cause }, (client) => sendAnew(client, job.id, 0))
      return
    }
    case 'busy':
    case 'unavailable':
      return notTaken(context, chosen, sent, outcome)
    // or whatever a provider says that is none of these
    default:
      log.warn({ jobId: job.id, provider: provider.name, err: outcome.cause }, 'answer of a submit lost')
      await upstreamFailed(pool, provider.name)
      await loseAttempt(pool, answer, describe(outcome.cause), 1_000)
  }
}

async function refuse(
  { pool, clock }: JobContext,
  { others }: ChosenRoute,
  { job, attemptId }: Sent,
  { code, message, elsewhere = false }: Refused,
): Promise<void> {
  const answer = { jobId: job.id, attemptId, at: clock.now() }
  await refuseAttempt(pool, answer, { cause: describe(message), code }, async (client) => {
    if (elsewhere && others > 0) await sendAnew(client, job.id, 0)
    else await failJobWithin(client, job.id, { code, message }, answer.at)
  })
}

/** Tried again: at once where another upstream may take it, else after a while. */
async function notTaken(
  context: JobContext,
  { candidate: { provider }, othersReady }: ChosenRoute,
  { job, attemptId, number }: Sent,
  outcome: Extract<SubmitOutcome, { outcome: 'busy' | 'unavailable' }>,
): Promise<void> {
  const { pool, clock, log } = context
  const answer = { jobId: job.id, attemptId, at: clock.now() }
  const isBusy = outcome.outcome === 'busy'
  log.warn(
    { jobId: job.id, provider: provider.name, err: outcome.cause },
    `submit not taken: ${outcome.outcome}`,
  )
  const isOurs = outcome.cause instanceof NotSent
  if (isBusy) await upstreamBusy(pool, provider.name, outcome.retryAfterMs ?? busyDelayMs)
  else if (!isOurs) await upstreamFailed(pool, provider.name)
  const delayMs = othersReady > 0 && !isOurs ? 0 : backoffMs(number, { retryAfterMs: outcome.retryAfterMs })
  const isOver = job.waited_ms > (isBusy ? busyLimitMs : unservedLimitMs)
  await refuseAttempt(pool, answer, { cause: describe(outcome.cause) }, async (client) => {
    if (isOver) await failJobWithin(client, job.id, { code: 'PROVIDER_UNAVAILABLE' }, answer.at)
    else await sendAnew(client, job.id, delayMs)
  })
}

/** Nothing is at the upstream: the next dispatch makes a new attempt, and until then there is nothing to ask about. */
export async function sendAnew(client: Db, jobId: string, delayMs: number): Promise<void> {
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
