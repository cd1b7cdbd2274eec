import type { Caller } from '../accounts/authenticate.ts'
import type { Model, ModelVersion } from '../catalogue/load.ts'
import { ApiError } from '../errors.ts'
import type { Policy } from '../policy/policy.ts'
import { type Suspension, suspensionsOf } from '../policy/suspensions.ts'
import type { Percent } from '../pricing/margin.ts'
import { isSold } from './margins.ts'
import type { Candidate } from './routes.ts'

/** What becomes of a live submit of which every upstream is suspended (FILMGATE_WHEN_SUSPENDED). */
export type WhenSuspended = 'refuse' | 'hold'

/** Longest time that a client is told to wait. */
const longestRetrySeconds = 300
/** A check or a job is looking at this moment. */
const probedRetrySeconds = 5

const testKeys = 'Test keys (pb_test_…) are rendered by the sandbox.'

/** Why no live job of a version can be made here now, for its customers; null if it can. From memory: no I/O. */
export function whyUnavailable(
  { suspensions }: Pick<Policy, 'suspensions'>,
  { slug, unavailable }: Model,
  { routes }: ModelVersion,
  candidates: Candidate[],
): string | null {
  if (candidates.some((candidate) => keepingAway(suspensions, candidate).every(isOpenToTry))) return null
  if (candidates.length > 0) return suspended(slug)
  if (routes.length > 0) return `No upstream of ${slug} is set up on this server.`
  const reason = `No upstream makes ${slug} yet.`
  return unavailable === undefined ? reason : `${reason} ${unavailable}`
}

/**
 * The same with what the job would earn: by the price that this customer pays, or everybody where there is none, and an input
 * that leaves every option at its default.
 */
export function whyNotSold(
  audience: { policy: Policy; caller: Caller | undefined },
  { model, version }: { model: Model; version: ModelVersion },
  candidates: Candidate[],
  minMargin: Percent | undefined,
): string | null {
  const worthIt = candidates.filter(({ route }) => isSold(audience, { model, version }, [route], minMargin))
  if (worthIt.length === 0 && candidates.length > 0) {
    return `This server takes no live jobs of ${model.slug} at its present price.`
  }
  return whyUnavailable(audience.policy, model, version, worthIt)
}

/** Refuses a live job that has no candidate at all; where there is a route the operator can set it up. */
export function noCandidate(policy: Policy, model: Model, version: ModelVersion): ApiError {
  const message = `${whyUnavailable(policy, model, version, [])} Nothing was charged. ${testKeys}`
  return version.routes.length === 0
    ? new ApiError('MODEL_NOT_FOUND', message)
    : new ApiError('PROVIDER_UNAVAILABLE', message, { retryAfter: longestRetrySeconds })
}

/**
 * The candidate that a job can be taken for, of those that can do its input. `isProbe`: all are suspended, and it is time
 * that one job tries; whether it is this one the database must decide. Throws where the job is to be refused.
 */
export function takingCandidate(
  { suspensions }: Pick<Policy, 'suspensions'>,
  model: Model,
  able: [Candidate, ...Candidate[]],
  { whenSuspended, now }: { whenSuspended: WhenSuspended; now: Date },
): { candidate: Candidate; isProbe: boolean } {
  const open = able.find((candidate) => keepingAway(suspensions, candidate).length === 0)
  if (open !== undefined) return { candidate: open, isProbe: false }
  if (whenSuspended === 'hold') return { candidate: able[0], isProbe: false }
  const due = able.find((candidate) =>
    keepingAway(suspensions, candidate).every((suspension) => mayTry(suspension, candidate, now)),
  )
  if (due !== undefined) return { candidate: due, isProbe: true }
  throw allSuspended(model, retrySeconds(suspensions, able, now))
}

/** Refuses a live job since every upstream of it is suspended. */
export function allSuspended({ slug }: Model, retryAfter = probedRetrySeconds): ApiError {
  const message = `${suspended(slug)} Nothing was charged. Try again in ${retryAfter} seconds. ${testKeys}`
  return new ApiError('PROVIDER_UNAVAILABLE', message, { retryAfter })
}

function suspended(slug: string): string {
  return `Live jobs of ${slug} can't be made now: every upstream of it is suspended until the operator has mended something there.`
}

function keepingAway(suspensions: Suspension[], { provider, route }: Candidate): Suspension[] {
  if (suspensions.length === 0) return suspensions
  return suspensionsOf(suspensions, { upstream: provider.name, model: route.model })
}

// The next submit is let through: to say that none is would keep it away, and the upstream suspended for ever.
function isOpenToTry({ isChecked, isProbed }: Suspension): boolean {
  return isChecked && !isProbed
}

// The upstream's free check comes first, where it has one.
function mayTry({ retryAt, isChecked }: Suspension, { provider }: Candidate, now: Date): boolean {
  return retryAt <= now && (isChecked || provider.check === undefined)
}

function retrySeconds(suspensions: Suspension[], able: Candidate[], now: Date): number {
  const waits = able.map((candidate) => {
    const all = keepingAway(suspensions, candidate)
    if (all.some(({ isProbed }) => isProbed)) return probedRetrySeconds
    return Math.max(...all.map(({ retryAt }) => (retryAt.getTime() - now.getTime()) / 1000))
  })
  return Math.min(longestRetrySeconds, Math.max(1, Math.ceil(Math.min(...waits))))
}
