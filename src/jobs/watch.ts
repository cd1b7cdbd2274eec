import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'
import { type Asked, findEvents, type JobEvent } from './timeline.ts'

/** Watches jobs for as many as want to know of them, by one question to the database for all. */
export interface JobWatch {
  /** A place among the watchers, to be left again; a refusal where there are too many. */
  join(accountId: bigint): Watcher | ApiError
  /** Lets all of them go, now and from now on. */
  stop(): void
}

export interface Watcher {
  /** The job's events after this one as soon as there are any; none once the time is over or the watcher is let go. */
  next(jobId: string, after: bigint, timeoutMs: number): Promise<JobEvent[]>
  /** Aborted once the watcher has left or was let go. */
  signal: AbortSignal
  leave(): void
}

/** So many places of an account are known to customers (docs/guides/limits.md). */
const watchersPerAccount = 100
// Each costs a look into an index at every question: 2,000 of them some 12 ms of the database's time.
const watchersInAll = 2_000
const askEveryMs = 200
const askAgainMs = 1_000
const retryAfter = 5

interface Waiting extends Asked {
  settle(events: JobEvent[]): void
}

/** `log` hears of questions that were not answered; they only delay. While nobody watches nothing is asked. */
export function createJobWatch(
  db: Db,
  log: { warn(details: object, message: string): void },
  limits = { inAll: watchersInAll, perAccount: watchersPerAccount },
): JobWatch {
  const watchers = new Set<AbortController>()
  const places = new Map<bigint, number>()
  const waiting = new Set<Waiting>()
  let isAsking = false
  let isStopped = false

  async function askWhileWaiting() {
    if (isAsking) return
    isAsking = true
    while (waiting.size > 0) await sleep(await ask())
    isAsking = false
  }

  /** Answers for how long to pause. */
  async function ask(): Promise<number> {
    const asked = [...waiting]
    try {
      const found = await findEvents(db, asked)
      for (const [index, { settle }] of asked.entries()) if (found[index]!.length > 0) settle(found[index]!)
      return askEveryMs
    } catch (error) {
      log.warn({ err: error }, 'could not look what happened to jobs that are watched')
      return askAgainMs
    }
  }

  function next(signal: AbortSignal, asked: Asked, timeoutMs: number): Promise<JobEvent[]> {
    if (signal.aborted) return Promise.resolve([])
    return new Promise((resolve) => {
      const none = () => settle([])
      const settle = (events: JobEvent[]) => {
        waiting.delete(entry)
        clearTimeout(timer)
        signal.removeEventListener('abort', none)
        resolve(events)
      }
      const entry = { ...asked, settle }
      const timer = setTimeout(none, timeoutMs)
      signal.addEventListener('abort', none)
      waiting.add(entry)
      void askWhileWaiting()
    })
  }

  function refusal(accountId: bigint): ApiError | undefined {
    const isOwn = (places.get(accountId) ?? 0) >= limits.perAccount
    if (!isOwn && watchers.size < limits.inAll) return undefined
    const message = isOwn
      ? `This account watches ${limits.perAccount} jobs already: end a stream first, or get the jobs one by one.`
      : `As many jobs are being watched as this server can: get the job instead, or try again in ${retryAfter} seconds.`
    return new ApiError('RATE_LIMIT_EXCEEDED', message, { retryAfter })
  }

  return {
    join(accountId) {
      const refused = refusal(accountId)
      if (refused !== undefined) return refused
      const controller = new AbortController()
      const { signal } = controller
      watchers.add(controller)
      places.set(accountId, (places.get(accountId) ?? 0) + 1)
      const leave = () => {
        if (!watchers.delete(controller)) return
        const left = places.get(accountId)! - 1
        if (left > 0) places.set(accountId, left)
        else places.delete(accountId)
        controller.abort()
      }
      if (isStopped) leave()
      return {
        signal,
        leave,
        next: (jobId, after, timeoutMs) => next(signal, { jobId, after }, timeoutMs),
      }
    },
    stop() {
      isStopped = true
      for (const controller of watchers) controller.abort()
    },
  }
}
