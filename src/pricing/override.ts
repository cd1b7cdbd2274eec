import { type Decimal, decimal, multiply, roundHalfUp } from './decimal.ts'
import { type BreakdownEntry, type Price, type Pricing, price, type UnpricedValue } from './price.ts'

/** The models that terms are for: one, a provider's or all. */
export type PriceScope = { modelSlug: string } | { providerId: string } | 'all'

/** Other terms for a user or segment than the catalogue's, for one model, a provider's or all. */
export type PriceOverride = {
  id: string
  subject: { userId: string } | { segment: string }
  scope: PriceScope
} & PriceTerms

/**
 * `percentage` is what is taken off, an exact decimal above 0 and at most 100. A fixed price is for a whole job,
 * whatever its input. `factors` stand in for the catalogue's multipliers, option by option.
 */
export type PriceTerms =
  | { kind: 'percentage_discount'; percentage: string }
  | { kind: 'fixed_price'; priceMicroCents: number }
  | { kind: 'custom_dynamic'; factors: Pricing['factors'] }

/**
 * The price under an override: `list` is what it would cost without. `breakdown` is the list's, and what the override takes off
 * or puts on: it adds up to the cost.
 */
export interface AgreedPrice {
  costMicroCents: bigint
  list: Price
  breakdown: BreakdownEntry[]
  override: PriceOverride | undefined
}

/**
 * The price of an input under the most specific of the overrides that are for this user and model: user before
 * segment, then model before provider before all. Of several segments' equally specific ones the cheapest counts, and
 * of equally cheap ones that with the lowest id, so that the order in which they are stored never does.
 */
export function agreedPrice(
  pricing: Pricing,
  overrides: PriceOverride[],
  model: { slug: string; provider: { id: string } },
  input: Record<string, unknown>,
): AgreedPrice | UnpricedValue {
  const list = price(pricing, input)
  if ('field' in list) return list
  const agreed = mostSpecific(overrides, model).map((override) => ({
    costMicroCents: overriddenCost(pricing, override, list, input),
    override,
  }))
  agreed.sort((a, b) => compare(a.costMicroCents, b.costMicroCents) || compare(a.override.id, b.override.id))
  const [best] = agreed
  if (best === undefined) {
    const { costMicroCents, breakdown } = list
    return { costMicroCents, list, breakdown, override: undefined }
  }
  const difference: BreakdownEntry = {
    component: 'agreed_price',
    costMicroCents: Number(best.costMicroCents - list.costMicroCents),
    value: best.override.kind,
  }
  return { ...best, list, breakdown: [...list.breakdown, difference] }
}

/** All of the overrides that are for the model and as specific as any that is. */
export function mostSpecific(
  overrides: PriceOverride[],
  model: { slug: string; provider: { id: string } },
): PriceOverride[] {
  const ranked = overrides.map((override) => ({ override, rank: rankOf(override, model) }))
  const best = Math.max(0, ...ranked.map(({ rank }) => rank))
  return ranked.filter(({ rank }) => rank === best && rank > 0).map(({ override }) => override)
}

// 0: not for this model.
function rankOf(
  { subject, scope }: PriceOverride,
  model: { slug: string; provider: { id: string } },
): number {
  const ofScope = scopeRank(scope, model)
  return ofScope > 0 && 'userId' in subject ? ofScope + 3 : ofScope
}

/** How closely a scope fits a model: 3 for the model itself, 2 for its provider, 1 for all, 0 for others. */
export function scopeRank(scope: PriceScope, model: { slug: string; provider: { id: string } }): number {
  if (scope === 'all') return 1
  if ('providerId' in scope) return scope.providerId === model.provider.id ? 2 : 0
  return scope.modelSlug === model.slug ? 3 : 0
}

function overriddenCost(
  pricing: Pricing,
  terms: PriceTerms,
  list: Price,
  input: Record<string, unknown>,
): bigint {
  switch (terms.kind) {
    case 'fixed_price':
      return BigInt(terms.priceMicroCents)
    case 'percentage_discount':
      return roundHalfUp(multiply(list.exact, remainder(decimal(terms.percentage))))
    case 'custom_dynamic': {
      const own = price(overriddenPricing(pricing, terms), input)
      if ('field' in own) throw new Error('an override took the price of an option away')
      return own.costMicroCents
    }
  }
}

// 12.5 → 0.875
function remainder(percentage: Decimal): Decimal {
  return { digits: 100n * 10n ** BigInt(percentage.scale) - percentage.digits, scale: percentage.scale + 2 }
}

/** The catalogue's pricing with the override's terms in it, as far as they show there. */
export function overriddenPricing(pricing: Pricing, terms: PriceTerms): Pricing {
  if (terms.kind === 'fixed_price') {
    return { baseCostMicroCents: terms.priceMicroCents, unit: 'per_request', factors: {} }
  }
  if (terms.kind === 'percentage_discount') return pricing
  const factors = Object.entries(pricing.factors).map(([field, options]) => {
    const own = Object.hasOwn(terms.factors, field) ? terms.factors[field] : undefined
    const known = Object.entries(own ?? {}).filter(([option]) => Object.hasOwn(options, option))
    return [field, { ...options, ...Object.fromEntries(known) }]
  })
  return { ...pricing, factors: Object.fromEntries(factors) }
}

function compare<T extends bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
