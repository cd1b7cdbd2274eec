import { type Db, isTransient, isUnavailable } from '../db.ts'
import { durable } from '../fault-points.ts'
import type {
  CallContext,
  JobDescription,
  Json,
  PollOutcome,
  Provider,
  Route,
} from '../providers/provider.ts'
import { UpstreamBusy } from '../providers/provider.ts'
import { withinTime } from '../time-limit.ts'
import { acceptAttempt, loseAttempt, missAttempt, recordBilling, routeSent } from './attempts.ts'
import { backoffMs } from './backoff.ts'
import type { JobContext } from './context.ts'
import { forget } from './forget.ts'
import { noteTrouble, tell } from './life.ts'
import { type DoneJob, type DuePoll, dropPoll, type NextPoll, postponeDeadline } from './polls.ts'
import { sendAnew, unservedLimitMs } from './send.ts'
import type { Failure } from './settle.ts'
import { endPolls, failJob, failJobWithin } from './settle.ts'
import { upstreamAnswered, upstreamBusy, upstreamFailed } from './upstreams.ts'

/** What takes longer than this to answer is asked again later. */
const callLimitMs = 30_000
/** How long after a lost submit an upstream may still come to have the job, unless it is known better. */
const usualSettleMs = 30_000
/** An upstream's word that it has no such job counts from this often on: its own parts may not know of each other yet. */
const absencesOfLost = 2
const absencesOfAccepted = 3
const mostLosses = 10
const absenceDelayMs = 2_000
const busyDelayMs = 2_000
/** More than any model makes. */
const mostOutputs = 100
/** A result that comes after the job's time is waited for so long, to be told of. */
const lateWatchMs = 24 * 3_600_000
const lateWatchEveryMs = 60_000
const holdEveryMs = 10 * 60_000
const heldEveryMs = 2_000

/** What asking came to: when to ask again; undefined: that is settled, or nothing is left to ask. */
type Next = NextPoll | undefined

/** Has the outputs of a job copied. */
export type Collect = (done: DoneJob) => Promise<unknown>

/** Asks one provider about jobs that are due, all in one call, and acts on what it says. */
export async function pollJobs(
  context: JobContext,
  provider: Provider,
  due: DuePoll[],
  collect: Collect,
): Promise<Next[]> {
  const outcomes = await ask(context, provider, due, async (call) => {
    const found = await provider.poll(
      due.map(({ operation }) => operation),
      call,
    )
    if (found.length !== due.length) throw new Error(`${found.length} answers for ${due.length} operations`)
    return found
  })
  return Promise.all(
    due.map((job, index) =>
      safely(context, provider, job, () =>
        'trouble' in outcomes
          ? unanswered(context, provider, job, outcomes)
          : act(context, provider, job, outcomes.answer[index]!, collect),
      ),
    ),
  )
}

/** An answer that can't be acted on, be it malformed or unfit to be stored, is none, and keeps no other job waiting. */
async function safely(
  context: JobContext,
  provider: Provider,
  job: DuePoll,
  run: () => Promise<Next>,
): Promise<Next> {
  try {
    return await run()
  } catch (error) {
    context.log.error({ jobId: job.job_id, err: error }, 'an answer of an upstream could not be acted on')
    const { failures, absences } = job
    // no fault of the answer, so the end of the job's time does not count either
    if (isUnavailable(error) || isTransient(error)) {
      return within(job, { delayMs: backoffMs(1), failures, absences })
    }
    return unanswered(context, provider, job, { trouble: 'failure' })
  }
}

interface Trouble {
  trouble: 'busy' | 'failure'
  retryAfterMs?: number | undefined
}

/** One call to an upstream, which hears of it where all processes look: that it answers, fails or wants fewer calls. */
async function ask<T>(
  { pool, log }: JobContext,
  provider: Provider,
  due: DuePoll[],
  call: (context: CallContext) => Promise<T>,
): Promise<{ answer: T } | Trouble> {
  try {
    const answer = await durable('upstream.poll', () => withinTime(callLimitMs, (signal) => call({ signal })))
    if (due.some((job) => job.is_failing)) await upstreamAnswered(pool, provider.name)
    return { answer }
  } catch (error) {
    if (error instanceof UpstreamBusy) {
      await upstreamBusy(pool, provider.name, error.retryAfterMs ?? busyDelayMs)
      return { trouble: 'busy', retryAfterMs: error.retryAfterMs ?? busyDelayMs }
    }
    log.warn({ provider: provider.name, jobs: due.length, err: error }, 'an upstream gave no answer')
    await upstreamFailed(pool, provider.name)
    return { trouble: 'failure' }
  }
}

// No answer says nothing about the job: the time limit is what ends the waiting.
async function unanswered(
  context: JobContext,
  provider: Provider,
  job: DuePoll,
  { trouble, retryAfterMs }: Trouble,
): Promise<Next> {
  if (job.status !== 'processing') return watchLate(context, job, { status: 'running' })
  if (isOutOfTime(job)) return endInTime(context, provider, job)
  const failures = trouble === 'failure' ? job.failures + 1 : job.failures
  return within(job, {
    delayMs: backoffMs(failures, { retryAfterMs }),
    failures,
    absences: job.absences,
  })
}

async function act(
  context: JobContext,
  provider: Provider,
  job: DuePoll,
  outcome: PollOutcome,
  collect: Collect,
): Promise<Next> {
  const at = context.clock.now()
  const jobId = job.job_id
  if ('billed' in outcome && outcome.billed)
    await recordBilling(context.pool, job.attempt_id!, outcome.billed)
  if (job.status !== 'processing') return watchLate(context, job, outcome)
  switch (outcome.status) {
    case 'running':
      if (outcome.isHeld) return hold(context, provider, job)
      if (job.is_troubled) await noteTrouble(context.pool, jobId, null)
      if (isOutOfTime(job)) return endInTime(context, provider, job)
      return within(job, { delayMs: usualDelayMs(context, provider, job), failures: 0, absences: 0 })
    case 'succeeded':
      if (!Array.isArray(outcome.outputs) || outcome.outputs.length > mostOutputs) {
        throw new Error('the upstream named its outputs in no usable form')
      }
      await collect({ jobId, attemptId: job.attempt_id!, at, outputs: outcome.outputs })
      return undefined
    case 'failed':
      return end(context, provider, job, outcome)
    case 'absent': {
      const absences = job.absences + 1
      if (absences >= absencesOfAccepted && isSettled(provider, job)) {
        return end(context, provider, job, {
          code: 'PROVIDER_UNAVAILABLE',
          message: 'The provider no longer has this job.',
        })
      }
      if (isOutOfTime(job)) return endInTime(context, provider, job)
      return within(job, {
        delayMs: backoffMs(absences, { retryAfterMs: absenceDelayMs }),
        failures: 0,
        absences,
      })
    }
    default:
      throw new Error('the upstream told of no status that there is')
  }
}

/** Its time does not run while our own disk keeps it. */
async function hold({ pool }: JobContext, provider: Provider, { job_id: jobId }: DuePoll): Promise<Next> {
  await postponeDeadline(pool, jobId, heldEveryMs, provider.trouble?.() ?? null)
  return { jobId, delayMs: heldEveryMs, failures: 0, absences: 0 }
}

/** A job that has ended stays as it is: what its upstream says now is told in its timeline. */
async function watchLate(context: JobContext, job: DuePoll, outcome: PollOutcome): Promise<Next> {
  const at = context.clock.now()
  const endedMs = at.getTime() - (job.completed_at ?? at).getTime()
  if (outcome.status === 'running' && endedMs < lateWatchMs) {
    return { jobId: job.job_id, delayMs: Math.max(lateWatchEveryMs, endedMs / 4), failures: 0, absences: 0 }
  }
  // one that has completed has its result: it was ended by a process of the version before, which knows no polls
  const isLate = outcome.status === 'succeeded' && job.status !== 'completed'
  await dropPoll(context.pool, job.job_id, isLate ? { at } : undefined)
  return undefined
}

/** Looks after a job of which it is not known whether the upstream has it. */
export function reconcileJob(context: JobContext, provider: Provider, job: DuePoll): Promise<Next> {
  return safely(context, provider, job, () => reconcile(context, provider, job))
}

async function reconcile(context: JobContext, provider: Provider, job: DuePoll): Promise<Next> {
  const { pool, clock } = context
  const { job_id: jobId, attempt_id: attemptId } = job
  const at = clock.now()
  if (attemptId === null) {
    await dropPoll(pool, jobId)
    return undefined
  }
  const attempt = { jobId, attemptId, at }
  if (job.attempt_status === 'sending') {
    if (!job.is_abandoned) return { jobId, delayMs: absenceDelayMs, failures: 0, absences: 0 }
    await loseAttempt(pool, attempt, 'no answer was written down', 0)
    return undefined
  }
  const found = await find(context, provider, job)
  if ('trouble' in found) return unanswered(context, provider, job, found)
  if (found.answer.outcome === 'found') {
    await acceptAttempt(pool, attempt, found.answer.operation, 0)
    return undefined
  }
  const absences = isSettled(provider, job) ? job.absences + 1 : 0
  if (absences < absencesOfLost) {
    if (isOutOfTime(job)) return endInTime(context, provider, job, absences)
    return within(job, { delayMs: absenceDelayMs, failures: 0, absences })
  }
  await missAttempt(pool, attempt, async (client) => {
    if (job.status !== 'processing') return endPolls(client, jobId)
    const { timesLost, isHopeless } = await losses(client, jobId)
    if (isHopeless) await failJobWithin(client, jobId, { code: 'PROVIDER_UNAVAILABLE' }, at)
    else await sendAnew(client, jobId, timesLost > 1 ? backoffMs(timesLost) : 0)
  })
  return undefined
}

/** Whether an absence says anything: with another key another account may be asked, which never had the job. */
function isSettled(provider: Provider, { account, elapsed_ms }: DuePoll): boolean {
  return account === (provider.account ?? null) && (elapsed_ms ?? 0) > (provider.settleMs ?? usualSettleMs)
}

/** How often a job was lost on its way to its upstream. One that is lost each time would be sent for ever. */
async function losses(db: Db, jobId: string): Promise<{ timesLost: number; isHopeless: boolean }> {
  const { rows } = await db.query<{ times_lost: number; is_old: boolean }>(
    `select (select count(*)::int from attempts where job_id = $1 and status = 'absent') as times_lost,
       created_at < filmgate_now() - $2 * interval '1 ms' as is_old
     from jobs where id = $1`,
    [jobId, unservedLimitMs],
  )
  const { times_lost: timesLost, is_old: isOld } = rows[0]!
  return { timesLost, isHopeless: isOld && timesLost >= mostLosses }
}

async function find(context: JobContext, provider: Provider, job: DuePoll) {
  if (provider.find === undefined) return { trouble: 'busy', retryAfterMs: holdEveryMs } as const
  return ask(context, provider, [job], async (call) => {
    const found = await provider.find!(await describeJob(context, job.job_id), call)
    // an absence sends the job anew: nothing else may be taken for one
    if (found.outcome !== 'found' && found.outcome !== 'absent') throw new Error('neither found nor absent')
    return found
  })
}

/** As it was sent. */
async function describeJob({ pool, catalogue }: JobContext, jobId: string): Promise<JobDescription> {
  const { rows } = await pool.query<{
    model_slug: string
    input: Record<string, Json>
    route: Route | null
    provider: string
  }>(
    `select j.model_slug, j.input, a.route, a.provider from jobs j
     join attempts a on a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')
     where j.id = $1`,
    [jobId],
  )
  const sent = rows[0]!
  const slug = sent.model_slug
  const capability = catalogue.models.get(slug)?.capability ?? slug.slice(slug.lastIndexOf('/') + 1)
  return { jobId, model: { slug, capability }, route: routeSent(sent), input: sent.input }
}

function isOutOfTime(job: DuePoll): boolean {
  return job.status === 'processing' && job.left_ms <= 0
}

/** The job's time is over. One of unknown outcome is kept where the account wants that, until the upstream is believed. */
async function endInTime(context: JobContext, provider: Provider, job: DuePoll, absences = 0): Promise<Next> {
  if (job.attempt_status === 'unknown' && job.unknown_outcome === 'hold') {
    await tell(context.pool, job.job_id, 'held', context.clock.now())
    const delayMs = absences > 0 ? absenceDelayMs : holdEveryMs
    return { jobId: job.job_id, delayMs, failures: 0, absences }
  }
  return end(context, provider, job, { code: 'PROVIDER_TIMEOUT' })
}

async function end(
  context: JobContext,
  provider: Provider,
  job: DuePoll,
  failure: Failure,
): Promise<undefined> {
  const isWatched = failure.code === 'PROVIDER_TIMEOUT'
  await failJob(context.pool, job.job_id, failure, context.clock.now(), {
    lateWatchMs: isWatched ? lateWatchEveryMs : undefined,
  })
  await forget(context, provider, job.job_id, job.operation)
}

function usualDelayMs(context: JobContext, provider: Provider, job: DuePoll): number {
  const { model_slug: modelSlug, asked } = job
  const delayMs = context.nextPollMs(provider, { modelSlug, elapsedMs: job.elapsed_ms ?? 0, asked })
  // one that is no number would keep those of all other jobs from being planned with it
  return Number.isNaN(delayMs) ? absenceDelayMs : delayMs
}

/** Not later than the job's time is over. */
function within(job: DuePoll, next: Omit<NextPoll, 'jobId'>): NextPoll {
  const leftMs = job.status === 'processing' ? job.left_ms : lateWatchMs
  return { jobId: job.job_id, ...next, delayMs: Math.min(next.delayMs, Math.max(100, leftMs)) }
}
