import type { Caller } from '../accounts/authenticate.ts'
import type { Catalogue } from '../catalogue/load.ts'
import type { CandidatesOf } from '../jobs/routes.ts'
import type { Policy } from '../policy/policy.ts'
import type { Percent } from '../pricing/margin.ts'
import type { Services } from './services.ts'

/** To whom models and providers are shown, and by which policy. */
export interface Audience {
  catalogue: Catalogue
  policy: Policy
  /** Undefined: somebody without a key. */
  caller: Caller | undefined
  origin: string
  /** The ways that live jobs can go on this server. */
  candidates: CandidatesOf
  /** Below it a route is not taken. */
  minMargin: Percent | undefined
}

export function audienceOf({ catalogue, origin, candidates, minMargin }: Services, caller: Caller): Audience {
  return { catalogue, policy: caller.policy, caller, origin: origin(), candidates, minMargin }
}
