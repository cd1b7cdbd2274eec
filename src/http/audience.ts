import type { Caller } from '../accounts/authenticate.ts'
import type { Catalogue } from '../catalogue/load.ts'
import type { Policy } from '../policy/policy.ts'
import type { Services } from './services.ts'

/** To whom models and providers are shown, and by which policy. */
export interface Audience {
  catalogue: Catalogue
  policy: Policy
  /** Undefined: somebody without a key. */
  caller: Caller | undefined
  origin: string
}

export function audienceOf({ catalogue, origin }: Services, caller: Caller): Audience {
  return { catalogue, policy: caller.policy, caller, origin: origin() }
}
