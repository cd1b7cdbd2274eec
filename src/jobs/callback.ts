import type pg from 'pg'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { Db } from '../db.ts'
import { limitedTo } from '../limited-to.ts'
import type { CallbackVerdict, Provider, Route, UpstreamCallback } from '../providers/provider.ts'
import { withinTime } from '../time-limit.ts'
import { acceptAttempt, routeSent } from './attempts.ts'
import { bringPollForward } from './polls.ts'

interface Context {
  pool: pg.Pool
  clock: Clock
  log: Pick<Logger, 'warn'>
}

/** Reading may need the upstream's keys, which it may be slow to give; upstreams wait 10 s and more for our answer. */
const readLimitMs = 5_000
/** Of each upstream: one that gives its keys slowly keeps no callback of another waiting. */
const mostAtOnce = 16
const turns = new Map<string, ReturnType<typeof limitedTo>>()

/**
 * What came of a callback. `early`: it is needed once more. It names the operation of a job whose submit is being answered at
 * this moment, and that answer may be lost; or it could not be read, though the answer is lost.
 */
export type Heard = 'heard' | 'early' | 'forged'

/**
 * Hears an upstream say that a job has changed. That is not believed: the upstream is asked. Only under which operation it has
 * a job whose answer was lost is taken from a callback that is proved to be its own.
 */
export async function hearCallback(
  context: Context,
  provider: Provider,
  jobId: string,
  callback: UpstreamCallback,
  limitMs = readLimitMs,
): Promise<Heard> {
  const { pool, clock, log } = context
  const attempt = await findLiveAttempt(pool, jobId, provider.name)
  // not sent there, or not any more
  if (attempt === undefined) return 'heard'
  const { id: attemptId, status, isAbandoned, route } = attempt
  const verdict = await read(context, provider, callback, { jobId, route }, limitMs)
  if (verdict.verdict === 'forged') {
    log.warn({ jobId, upstream: provider.name, cause: verdict.cause }, 'a forged callback was refused')
    return 'forged'
  }
  if (verdict.verdict === 'unread' && status !== 'accepted') {
    await bringPollForward(pool, jobId)
    return 'early'
  }
  if (verdict.verdict === 'genuine' && verdict.operation !== undefined && status !== 'accepted') {
    // the answer itself may say more than the callback
    if (status === 'sending' && !isAbandoned) return 'early'
    await acceptAttempt(pool, { jobId, attemptId, at: clock.now() }, verdict.operation, 0)
  }
  await bringPollForward(pool, jobId)
  return 'heard'
}

/** One that can't be read in time is a hint like one without a signature, and asked for again where more was to be known. */
async function read(
  { log }: Context,
  provider: Provider,
  callback: UpstreamCallback,
  job: { jobId: string; route: Route },
  limitMs: number,
): Promise<CallbackVerdict | { verdict: 'unread' }> {
  const inTurn = turns.get(provider.name) ?? limitedTo(mostAtOnce)
  turns.set(provider.name, inTurn)
  const readOne = async () =>
    (await withinTime(limitMs, async (signal) => provider.readCallback?.(callback, job, { signal }))) ??
    ({ verdict: 'unsigned' } as const)
  try {
    // the wait for a place is limited too, but the place is kept for as long as it is used
    return await withinTime(limitMs, (waiting) =>
      inTurn(() => (waiting.aborted ? Promise.reject(waiting.reason) : readOne())),
    )
  } catch (error) {
    log.warn({ jobId: job.jobId, upstream: provider.name, err: error }, 'a callback could not be read')
    return { verdict: 'unread' }
  }
}

interface LiveAttempt {
  id: string
  status: 'sending' | 'accepted' | 'unknown'
  /** It is still being sent, but by a process that is gone, or for too long. */
  isAbandoned: boolean
  route: Route
}

async function findLiveAttempt(db: Db, jobId: string, upstream: string): Promise<LiveAttempt | undefined> {
  const { rows } = await db.query<{
    id: string
    status: LiveAttempt['status']
    is_abandoned: boolean
    route: Route | null
    provider: string
    model_slug: string
  }>({
    name: 'callback-attempt',
    text: `
      select a.id, a.status, a.route, a.provider, a.model_slug,
        a.status = 'sending' and (p.id is null or a.started_at < filmgate_now() - interval '2 minutes') as is_abandoned
      from attempts a
      left join processes p on p.id = a.process_id and p.beat_at > filmgate_now() - interval '15 s'
      where a.job_id = $1 and a.provider = $2 and a.status in ('sending', 'accepted', 'unknown')`,
    values: [jobId, upstream],
  })
  const found = rows[0]
  if (found === undefined) return undefined
  const { id, status, is_abandoned: isAbandoned } = found
  return { id, status, isAbandoned, route: routeSent(found) }
}
