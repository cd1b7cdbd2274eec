import type { Json } from '../providers/provider.ts'
import { backoffMs } from './backoff.ts'
import type { JobContext } from './context.ts'
import { rankRoutes } from './rank-routes.ts'
import {
  type Candidate,
  type CandidateState,
  type ChosenRoute,
  type EarlierAttempt,
  readRouteStates,
} from './routes.ts'
import { busyLimitMs, unservedLimitMs } from './send.ts'
import type { Failure } from './settle.ts'
import { probeSuspended } from './suspensions.ts'
import { upstreamWait } from './upstreams.ts'

/** `limitMs`: a job that has waited for longer since its submit is given up. `trouble`: of our own, for the operator. */
export type RouteChoice =
  | ChosenRoute
  | { waitMs: number; limitMs: number; trouble?: string | undefined }
  | { failure: Failure }

interface ChosenFor {
  id: string
  model_slug: string
  input: Record<string, Json>
  earlier: EarlierAttempt[]
}

const unservedDelayMs = 15_000
const unfit: Failure = { code: 'GENERATION_FAILED', message: 'No upstream that is set up can do this input.' }

/**
 * Chooses the way for a job that is at no upstream. One that was lost on its way goes to the same upstream again and
 * nowhere else, though that has said that it does not have it: its own guard against a second job is what is left if that was
 * wrong.
 */
export async function chooseRoute(
  context: Pick<JobContext, 'pool' | 'routeRecords' | 'medianMs'>,
  all: Candidate[],
  job: ChosenFor,
): Promise<RouteChoice> {
  const lost = job.earlier.find(({ status }) => status === 'absent')
  const candidates = all.filter(
    ({ provider, route }) => lost === undefined || isSame(lost, provider.name, route.model),
  )
  if (candidates.length === 0) return { waitMs: unservedDelayMs, limitMs: unservedLimitMs }
  const learnt = { records: context.routeRecords, medianMs: context.medianMs }
  const { id: jobId, model_slug: modelSlug, input, earlier } = job
  const ranked = rankRoutes(
    await readRouteStates(context.pool, candidates, { jobId, modelSlug, input, earlier }, learnt),
  )
  const possible = ranked.filter(({ standing }) => standing !== 'unfit' && standing !== 'refused')
  const ready = possible.filter(({ standing }) => standing === 'ready')
  for (const { state } of ready) {
    const { waitMs } = await upstreamWait(context.pool, state.upstream)
    if (waitMs > 0) continue
    const wasSuspended = state.suspended !== undefined
    const hasCheck = state.candidate.provider.check !== undefined
    if (wasSuspended && !(await probeSuspended(context.pool, state, { jobId, hasCheck }))) continue
    const others = possible.filter((other) => other.state !== state)
    const fresh = others.filter(
      ({ standing, state: { hasJustFailed } }) => standing === 'ready' && !hasJustFailed,
    )
    return {
      candidate: state.candidate,
      listedCostMicroCents: state.costMicroCents,
      isFailing: state.isFailing,
      wasSuspended,
      others: others.length,
      othersReady: fresh.length,
    }
  }
  if (possible.length === 0) return { failure: refusalOf(earlier) ?? unfit }
  return waitFor(possible.map(({ state }) => state))
}

function isSame({ provider, model }: EarlierAttempt, name: string, routeModel: string): boolean {
  return provider === name && (model === null || model === routeModel)
}

/** What the first upstream that did not want the job has said. */
export function refusalOf(earlier: EarlierAttempt[]): Failure | undefined {
  const refusal = earlier.find(({ refusal_code }) => refusal_code !== null)
  return refusal && { code: refusal.refusal_code as Failure['code'], message: refusal.cause ?? '' }
}

function waitFor(states: CandidateState[]): { waitMs: number; limitMs: number } {
  const shortest = Math.min(
    ...states.map((state) => Math.max(state.waitMs, state.suspended?.retryMs ?? 0, 250)),
  )
  // one that is merely busy is worth a longer wait than one that is out of order or suspended
  const isMerelyBusy = states.some(({ suspended, isFailing }) => suspended === undefined && !isFailing)
  // the operator may mend a suspended one at any time
  const waitMs = backoffMs(0, { retryAfterMs: Math.min(shortest, unservedDelayMs) })
  return { waitMs, limitMs: isMerelyBusy ? busyLimitMs : unservedLimitMs }
}
