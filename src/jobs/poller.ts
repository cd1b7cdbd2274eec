import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { coalesce } from '../coalesce.ts'
import { isUnavailable } from '../db.ts'
import { durable } from '../fault-points.ts'
import type { Provider } from '../providers/provider.ts'
import type { JobContext } from './context.ts'
import { pollJobs, reconcileJob } from './poll.ts'
import {
  claimPolls,
  type DoneJob,
  type DuePoll,
  type NextPoll,
  planCollects,
  planPolls,
  releasePolls,
} from './polls.ts'

/** How often it is looked whether a poll is due. A callback is acted on within this. */
const idleMs = 50
const troubleMs = 1_000
/** Calls to one upstream under way at once, per process. */
const callsPerUpstream = 16
/** Longer than a call and what follows from it can take. */
const leaseMs = 60_000
const planTogether = 500
const collectTogether = 100
/**
 * A round looks back this far beyond the one before it: what was due earlier was taken then, or is found by the next thorough
 * round. While a backup or another long transaction runs, the index keeps an entry of every poll made: to begin at the
 * oldest would take each round longer.
 */
const lookBackMs = 1_000
const thoroughEveryMs = 5_000
const everMs = 10 * 365 * 86_400_000

/**
 * Asks upstreams about jobs when they are due, until stopped; `stop` waits for the calls under way. Any number of
 * processes do so side by side. `pool` is one for look-ups: with any other the database takes whole tables for the few
 * rows that are due, once there are many jobs.
 */
export function startPoller(context: JobContext, pool: pg.Pool): { stop(): Promise<void> } {
  const { log, processId } = context
  const stopping = new AbortController()
  const underWay = new Map(context.providers.map(({ name }) => [name, new Set<Promise<void>>()]))
  const plan = coalesce(planTogether, async (next: NextPoll[]) => {
    await planPolls(pool, next)
    return next.map(() => undefined)
  })
  const collect = coalesce(collectTogether, async (done: DoneJob[]): Promise<(void | Promise<void>)[]> => {
    try {
      await planCollects(pool, done)
      return done.map(() => undefined)
    } catch (error) {
      if (isUnavailable(error) || done.length === 1) throw error
      // one that can't be written must not keep the others
      return done.map((job) => planCollects(pool, [job]))
    }
  })

  async function poll(provider: Provider, due: DuePoll[]): Promise<void> {
    const isAsked = due[0]?.attempt_status === 'accepted'
    const next = isAsked
      ? await pollJobs(context, provider, due, collect)
      : [await reconcileJob(context, provider, due[0]!)]
    await Promise.all(next.flatMap((planned) => (planned === undefined ? [] : [plan(planned)])))
  }

  function start(provider: Provider, due: DuePoll[]): void {
    const calls = underWay.get(provider.name)!
    const call = poll(provider, due)
      // they are due again when their lease is over
      .catch((error) => log.error({ provider: provider.name, err: error }, 'asking an upstream failed'))
      .finally(() => calls.delete(call))
    calls.add(call)
  }

  /** 'more': more may be due than was taken; 'behind': an upstream has no call free, and what is due there waits. */
  async function round(lookBackMs: number): Promise<'more' | 'behind' | 'done'> {
    const wanted = context.providers.flatMap(({ name, pollBatch }) => {
      const free = callsPerUpstream - underWay.get(name)!.size
      return free > 0 ? [{ provider: name, most: free * pollBatch, batch: pollBatch }] : []
    })
    if (wanted.length === 0) return 'behind'
    const due = await durable('poll.claim', () =>
      claimPolls(pool, wanted, { processId, leaseMs, lookBackMs }),
    )
    for (const provider of context.providers) {
      const mine = due.filter((job) => job.provider === provider.name)
      const accepted = mine.filter((job) => job.attempt_status === 'accepted')
      for (let at = 0; at < accepted.length; at += provider.pollBatch)
        start(provider, accepted.slice(at, at + provider.pollBatch))
      for (const job of mine) if (job.attempt_status !== 'accepted') start(provider, [job])
    }
    const isMore = ({ provider, most }: (typeof wanted)[number]) =>
      due.filter((job) => job.provider === provider).length === most
    if (wanted.some(isMore)) return 'more'
    return wanted.length < context.providers.length ? 'behind' : 'done'
  }

  async function run(): Promise<void> {
    let thoroughAt = Number.NEGATIVE_INFINITY
    let roundAt = Number.NEGATIVE_INFINITY
    let outcome: 'more' | 'behind' | 'done' = 'done'
    while (!stopping.signal.aborted) {
      let waitMs = idleMs
      try {
        const isThorough = performance.now() - thoroughAt > thoroughEveryMs
        if (isThorough) {
          await releasePolls(pool)
          thoroughAt = performance.now()
        }
        const now = performance.now()
        const isBehind = isThorough || outcome !== 'done'
        outcome = await round(isBehind ? everMs : Math.min(everMs, now - roundAt + lookBackMs))
        roundAt = now
        if (outcome === 'more') waitMs = 0
      } catch (error) {
        log.error({ err: error }, 'looking for due polls failed')
        waitMs = troubleMs
      }
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  const running = run()
  return {
    async stop() {
      stopping.abort()
      await running
      await Promise.all([...underWay.values()].flatMap((calls) => [...calls]))
    },
  }
}
