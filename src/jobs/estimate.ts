import type { Caller } from '../accounts/authenticate.ts'
import type { PriceOverride } from '../pricing/override.ts'
import type { BreakdownEntry } from '../pricing/price.ts'
import { type AcceptContext, quote } from './accept.ts'
import type { AddressCheck } from './media-addresses.ts'
import { findModel, findVersion, partialInput, priceInput, refuseUnfetchable } from './model-input.ts'

export interface Estimate {
  /** The list price, before overrides. */
  baseCostMicroCents: number
  estimatedCostMicroCents: number
  /** Sums up to the estimated cost. */
  breakdown: BreakdownEntry[]
  /** The override that makes it cheaper; one that makes it dearer shows in the breakdown alone. */
  discount: { type: PriceOverride['kind']; percentage?: number; savedMicroCents: number } | undefined
  /** Only for a complete, valid input. */
  quote: { quoteId: string; quoteExpiresAt: Date } | undefined
}

/** The price of a job that was not submitted. Only priced fields count; the rest may be missing. */
export function estimateJob(
  context: Pick<AcceptContext, 'catalogue' | 'clock' | 'quoteSecret'> & AddressCheck,
  caller: Caller,
  request: { model: string; version?: string | undefined; input?: Record<string, unknown> | undefined },
): Estimate {
  const model = findModel(context.catalogue, caller.policy, caller, request.model)
  const version = findVersion(caller, model, request.version)
  const now = context.clock.now()
  const { input, isComplete } = partialInput(version, request.input ?? {})
  refuseUnfetchable(context, version, input, now)
  const { costMicroCents, list, breakdown, override } = priceInput(caller, model, version, input)
  const savedMicroCents = Number(list.costMicroCents - costMicroCents)
  return {
    baseCostMicroCents: Number(list.costMicroCents),
    estimatedCostMicroCents: Number(costMicroCents),
    breakdown,
    discount: override && savedMicroCents > 0 ? { ...describe(override), savedMicroCents } : undefined,
    quote: isComplete ? quote(context, caller, { model, version, input }, costMicroCents, now) : undefined,
  }
}

function describe(override: PriceOverride) {
  return override.kind === 'percentage_discount'
    ? { type: override.kind, percentage: Number(override.percentage) }
    : { type: override.kind }
}
