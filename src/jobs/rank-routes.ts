import type { Unfit } from '../providers/provider.ts'

/** What is known of a way to have a job made at the moment. */
export interface RouteState {
  upstream: string
  model: string
  /** What of the job's input it can't do. */
  unfit?: Unfit | undefined
  /** It has refused this very job. */
  hasRefused: boolean
  /** It did not take this very job a moment ago, for want of room or of health. */
  hasJustFailed: boolean
  /** It takes no jobs until the operator has done something. */
  suspended?: { cause: string; retryMs: number } | undefined
  /** Its circuit is open, or it asked for fewer calls: for so long. */
  waitMs: number
  /** By its list; undefined where that is not known. */
  costMicroCents?: bigint | undefined
  /** Of its recent jobs of this model. */
  succeeded: number
  failed: number
  medianMs: number
}

export type Standing = 'ready' | 'waiting' | 'suspended' | 'refused' | 'unfit'

export interface RankedRoute<T extends RouteState = RouteState> {
  state: T
  standing: Standing
  /** The lower the better; see rankRoutes. */
  score: number
  /** In words for the operator. */
  why: string
}

/** What the catalogue puts first is preferred as if each place further down cost this much more. */
const placeWeight = 1.05
/** A route that nothing is known of counts as one of whose jobs this part succeeds, and so many jobs' worth of that. */
const priorSuccess = 0.9
const priorJobs = 10
const order: Standing[] = ['ready', 'waiting', 'suspended', 'refused', 'unfit']

/**
 * Best first: those that can take the job now, those that may soon, those that can't. Among equals the lowest score:
 * price over the cheapest price × √(time over the fastest time) ÷ (success rate)², and 5 % for each place in the
 * catalogue's list. Success counts twice as a failure costs the customer a wait and us the work; time counts little, as a
 * job is worth waiting for. A price that is not known counts as the dearest one that is.
 */
export function rankRoutes<T extends RouteState>(states: T[]): RankedRoute<T>[] {
  const costs = states.flatMap(({ costMicroCents }) =>
    costMicroCents === undefined ? [] : [Number(costMicroCents)],
  )
  const cheapest = Math.max(1, Math.min(...costs))
  const dearest = Math.max(1, ...costs)
  const fastest = Math.max(1, Math.min(...states.map(({ medianMs }) => medianMs)))
  const ranked = states.map((state, place) => {
    const cost = state.costMicroCents === undefined ? dearest : Math.max(1, Number(state.costMicroCents))
    const priceRatio = costs.length === 0 ? 1 : cost / cheapest
    const timeRatio = Math.max(1, state.medianMs) / fastest
    const score = (priceRatio * Math.sqrt(timeRatio) * placeWeight ** place) / successRate(state) ** 2
    return { state, score, ...standingOf(state) }
  })
  return ranked.toSorted(
    (a, b) =>
      order.indexOf(a.standing) - order.indexOf(b.standing) ||
      Number(a.state.hasJustFailed) - Number(b.state.hasJustFailed) ||
      a.score - b.score,
  )
}

/** Of recent jobs, with what is supposed of those that are not known of yet. */
export function successRate({ succeeded, failed }: Pick<RouteState, 'succeeded' | 'failed'>): number {
  return (succeeded + priorSuccess * priorJobs) / (succeeded + failed + priorJobs)
}

function standingOf(state: RouteState): { standing: Standing; why: string } {
  if (state.unfit !== undefined) {
    return { standing: 'unfit', why: `can't do this input: ${state.unfit.path} ${state.unfit.message}` }
  }
  if (state.hasRefused) return { standing: 'refused', why: 'has refused this job' }
  if (state.suspended !== undefined && state.suspended.retryMs > 0) {
    const { cause, retryMs } = state.suspended
    return { standing: 'suspended', why: `takes no jobs: ${cause}; tried again in ${seconds(retryMs)}` }
  }
  if (state.waitMs > 0) {
    return { standing: 'waiting', why: `out of order or busy: asked again in ${seconds(state.waitMs)}` }
  }
  if (state.hasJustFailed) return { standing: 'ready', why: 'did not take this job a moment ago' }
  return { standing: 'ready', why: state.suspended === undefined ? 'ready' : 'to be tried again' }
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`
}
