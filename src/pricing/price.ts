import { type Decimal, decimal, multiply, plusPercent, roundHalfUp } from './decimal.ts'

/** A model's price: base × markup × one multiplier per priced field, in the order of `factors`. */
export interface Pricing {
  baseCostMicroCents: number
  unit: 'per_second' | 'per_request' | 'per_image'
  /** field → option → multiplier, an exact decimal as text */
  factors: Record<string, Record<string, string>>
  /** What everybody pays more than the catalogue says, in percent: an exact decimal as text. */
  markup?: string
}

/** What one component adds to the price. The first is the base cost once; the sum of all is the price. */
export interface BreakdownEntry {
  component: string
  costMicroCents: number
  value?: string
  multiplier?: string
}

export interface Price {
  /** In millionths of a US dollar, whole. */
  costMicroCents: bigint
  /** The same before it was rounded. */
  exact: Decimal
  breakdown: BreakdownEntry[]
}

/** A priced field has no multiplier for its value. */
export interface UnpricedValue {
  field: string
  value: unknown
  options: string[]
}

/**
 * The price of a model's input, exact: multiplied as decimals and rounded half up once, at the very end. A
 * field without a value does not count. Each breakdown entry is the difference of two rounded running totals,
 * so that they add up to the price without a rest. Answers the offending field where a value has no price.
 */
export function price(pricing: Pricing, input: Record<string, unknown>): Price | UnpricedValue {
  let running = exactBase(pricing)
  const breakdown: BreakdownEntry[] = [
    { component: 'base_generation', costMicroCents: Number(roundHalfUp(running)) },
  ]
  for (const [field, options] of Object.entries(pricing.factors)) {
    const value = input[field]
    if (value === undefined) continue
    const multiplier = Object.hasOwn(options, String(value)) ? options[String(value)] : undefined
    if (multiplier === undefined) return { field, value, options: Object.keys(options) }
    const before = roundHalfUp(running)
    running = multiply(running, decimal(multiplier))
    breakdown.push({
      component: field,
      costMicroCents: Number(roundHalfUp(running) - before),
      value: String(value),
      multiplier,
    })
  }
  return { costMicroCents: roundHalfUp(running), exact: running, breakdown }
}

/** The base with the markup in it; not always whole. */
export function exactBase({ baseCostMicroCents, markup }: Pricing): Decimal {
  const base = decimal(String(baseCostMicroCents))
  return markup === undefined ? base : multiply(base, plusPercent(decimal(markup)))
}
