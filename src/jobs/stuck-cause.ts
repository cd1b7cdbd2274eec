import type { AttemptStatus } from './life.ts'
import type { RankedRoute } from './rank-routes.ts'

/** What is known of a job that has not ended. Times in seconds, by the database's clock. */
export interface StuckFacts {
  status: 'pending' | 'processing'
  model_slug: string
  model_version: string
  age_s: number
  /** Since it was taken up. */
  taken_up_s: number | null
  is_late: boolean
  deadline_at: Date | null
  /** The attempt that may be alive. */
  live: Extract<AttemptStatus, 'sending' | 'accepted' | 'unknown'> | null
  provider: string
  live_cause: string | null
  live_s: number | null
  is_abandoned: boolean
  /** The last attempt that is not alive. */
  last_provider: string | null
  last_cause: string | null
  /** Of our own, as it was found last. */
  trouble: string | null
  failures: number
  absences: number
  output_failures: number
  has_result: boolean
  overdue_s: number | null
  is_polled: boolean
  /** How often the task that should carry it on was begun; null: there is no such task. */
  task_attempts: number | null
  task_error: string | null
  task_is_running: boolean
}

/** What is known of everything around it. */
export interface Surroundings {
  workers: number
  /** The upstreams that running servers have, and the sandbox. */
  upstreams: Set<string>
  /** Calls that failed in a row, of upstreams whose circuit is open. */
  circuits: Map<string, number>
  /** How long a job of the model usually takes; undefined: the catalogue has no such model or version any more. */
  usualSeconds: number | undefined
  /** The ways that it could go now, and those of the catalogue that no running server has. */
  ways: { ranked: RankedRoute[]; notSetUp: string[] }
}

export interface Stuck {
  cause: string
  /** What the operator can do. */
  remedy: string
}

const lateAfterSeconds = 60
const longPendingSeconds = 600

/** Why a job does not get on, and what to do; undefined if nothing is amiss. A pure choice: stuck.ts reads the facts. */
export function stuckCause(job: StuckFacts, around: Surroundings): Stuck | undefined {
  if (around.workers === 0 && job.age_s > 15) {
    return {
      cause: 'no worker runs on this database',
      remedy: 'start one: "filmgate serve", or "filmgate serve --role worker"',
    }
  }
  const found = job.live === null ? ofUnsent(job, around) : ofSent(job, job.live, around)
  if (found !== undefined) return found
  if (job.is_late) return { cause: 'its time is over', remedy: endsItself(job) }
  return undefined
}

function ofSent(
  job: StuckFacts,
  live: NonNullable<StuckFacts['live']>,
  { upstreams, circuits, usualSeconds }: Surroundings,
): Stuck | undefined {
  const { provider } = job
  const isServed = upstreams.has(provider)
  const noKey = `no running server has ${provider} set up`
  if (live === 'unknown') {
    const asked = isServed ? 'which is being asked' : `which nobody can ask: ${noKey}`
    return {
      cause: `nobody knows whether ${provider} has it, ${asked} (${job.live_cause ?? 'its answer was lost'})`,
      remedy: 'wait for its answer, or end the job: "filmgate job give-up"',
    }
  }
  if (live === 'sending') {
    if (!job.is_abandoned) return undefined
    return {
      cause: `the process that was sending it to ${provider} is gone`,
      remedy: `wait: a worker asks ${provider} whether it has the job`,
    }
  }
  const wait = endsItself(job)
  if (job.has_result) {
    const failed = job.trouble ?? job.task_error ?? `${job.output_failures} times`
    if (job.task_attempts === null) {
      return {
        cause: 'the task that copies its result was lost',
        remedy: 'wait: a worker adds it anew within a minute',
      }
    }
    const isWell = job.trouble === null && job.task_error === null && job.task_attempts < 2
    if (isWell && job.output_failures === 0) return undefined
    return {
      cause: `its result could not be copied: ${failed}`,
      remedy: 'see the log, the storage and its free space',
    }
  }
  if (job.trouble !== null) {
    return { cause: `${provider} has it, but ${job.trouble}`, remedy: 'mend it: the job goes on by itself' }
  }
  if (!isServed)
    return { cause: `${provider} has it, but ${noKey}`, remedy: `set its key for a server; ${wait}` }
  const inRow = circuits.get(provider)
  if (inRow !== undefined) {
    return {
      cause: `${provider} has it, and has failed to answer ${inRow} times in a row`,
      remedy: `"filmgate upstream check ${provider}"; ${wait}`,
    }
  }
  if (job.output_failures > 0) {
    return {
      cause: `its result could not be copied, ${job.output_failures} times`,
      remedy: `see the log; ${wait}`,
    }
  }
  if (job.failures > 0) {
    return {
      cause: `${provider} has it, and gave no answer about it, ${job.failures} times in a row`,
      remedy: wait,
    }
  }
  if (job.absences > 0) return { cause: `${provider} says that it does not have it any more`, remedy: wait }
  if (!job.is_polled || (job.overdue_s ?? 0) > lateAfterSeconds) {
    return {
      cause: `nobody asks ${provider} about it`,
      remedy: 'see the log of the workers: are there enough of them?',
    }
  }
  const usual = usualSeconds ?? 60
  if ((job.live_s ?? 0) > Math.max(longPendingSeconds, 4 * usual)) {
    const minutes = Math.round((job.live_s ?? 0) / 60)
    return {
      cause: `${provider} has been making it for ${minutes} minutes; ${Math.ceil(usual / 60)} are usual`,
      remedy: wait,
    }
  }
  return undefined
}

const cancel = 'end the job: "filmgate job cancel"'

function ofUnsent(job: StuckFacts, { usualSeconds, ways }: Surroundings): Stuck | undefined {
  if (usualSeconds === undefined) {
    const what = `${job.model_slug} ${job.model_version}`
    return { cause: `the catalogue has no ${what} any more`, remedy: `put it back, or ${cancel}` }
  }
  if (job.task_attempts === null && job.age_s > lateAfterSeconds) {
    return {
      cause: 'the task that sends it was lost',
      remedy: `wait: a worker adds it anew within a minute, or ${cancel}`,
    }
  }
  const blocked = ways.ranked.filter(({ standing }) => standing !== 'ready')
  if (blocked.length === ways.ranked.length) {
    const reasons = [
      ...blocked.map((route) => inWords(route, job)),
      ...ways.notSetUp.map((name) => `${name} is not set up on any running server`),
    ]
    if (reasons.length > 0) {
      return { cause: reasons.join('; '), remedy: `mend it, then "filmgate upstream check"; or ${cancel}` }
    }
  }
  if (job.trouble !== null) {
    return {
      cause: `it could not be sent: ${job.trouble}`,
      remedy: `mend it: it is tried again; or ${cancel}`,
    }
  }
  if (job.task_error !== null || (job.task_attempts ?? 0) > 2) {
    const why = job.task_error ?? 'its worker died'
    return {
      cause: `sending it was cut off ${job.task_attempts} times: ${why}`,
      remedy: `see the log, or ${cancel}`,
    }
  }
  if (job.last_cause !== null) {
    const cause = `${job.last_provider} did not take it: ${job.last_cause}`
    return { cause, remedy: `wait: it is sent again; or ${cancel}` }
  }
  if ((job.taken_up_s ?? 0) > lateAfterSeconds) {
    const cause = job.task_is_running
      ? 'its input files are still being fetched'
      : 'it waits for its turn to fetch input files, or for its upstream to make ready what it refers to'
    return { cause, remedy: `wait, or ${cancel}` }
  }
  if (job.age_s > longPendingSeconds) {
    const minutes = Math.round(job.age_s / 60)
    return { cause: `it has waited in line for ${minutes} minutes`, remedy: `add workers, or ${cancel}` }
  }
  return undefined
}

function inWords({ state, standing, why }: RankedRoute, { last_provider, last_cause }: StuckFacts): string {
  const isLast = standing === 'waiting' && last_provider === state.upstream && last_cause !== null
  return `${state.upstream}: ${standing === 'suspended' ? 'suspended, ' : ''}${why}${isLast ? ` (${last_cause})` : ''}`
}

function endsItself({ deadline_at: deadline, is_late }: StuckFacts): string {
  if (deadline === null || is_late) return 'it is ended by a worker within a few minutes'
  return `it ends by itself, at the latest at ${deadline.toISOString()}`
}
