import type { Caller } from '../accounts/authenticate.ts'
import type { BreakdownEntry } from '../pricing/price.ts'
import { type AcceptContext, quote } from './accept.ts'
import { findModel, findVersion, partialInput, priceInput } from './model-input.ts'

export interface Estimate {
  baseCostMicroCents: number
  estimatedCostMicroCents: number
  breakdown: BreakdownEntry[]
  /** Only for a complete, valid input. */
  quote: { quoteId: string; quoteExpiresAt: Date } | undefined
}

/** The price of a job that was not submitted. Only priced fields count; the rest may be missing. */
export function estimateJob(
  context: Pick<AcceptContext, 'catalogue' | 'clock' | 'quoteSecret'>,
  caller: Caller,
  request: { model: string; version?: string | undefined; input?: Record<string, unknown> | undefined },
): Estimate {
  const model = findModel(context.catalogue, request.model)
  const version = findVersion(model, request.version)
  const { input, isComplete } = partialInput(version, request.input ?? {})
  const priced = priceInput(version, input)
  const costMicroCents = Number(priced.costMicroCents)
  return {
    baseCostMicroCents: costMicroCents,
    estimatedCostMicroCents: costMicroCents,
    breakdown: priced.breakdown,
    quote: isComplete
      ? quote(context, caller, { model, version, input }, priced.costMicroCents, context.clock.now())
      : undefined,
  }
}
