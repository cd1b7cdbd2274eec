import type { JobDescription, PrepareOutcome, Provider, ProviderRequest } from '../providers/provider.ts'
import { withinTime } from '../time-limit.ts'
import { type LendMedia, lendWithin } from './lend-media.ts'

const prepareLimitMs = 60_000
const nothing: PrepareOutcome = { outcome: 'ready', prepared: null }

/** Has an upstream make ready what a job refers to. Nothing of that is paid for, so a lost answer is no more than none. */
export async function makeReady(
  provider: Provider,
  request: JobDescription | ProviderRequest,
  lend: LendMedia,
): Promise<PrepareOutcome> {
  if (provider.prepare === undefined) return nothing
  try {
    return await withinTime(prepareLimitMs, (signal) =>
      provider.prepare!(request, { signal, ...lendWithin(lend) }),
    )
  } catch (cause) {
    return { outcome: 'unavailable', cause }
  }
}
