import { type Static, Type } from 'typebox'
import type { Caller } from '../accounts/authenticate.ts'
import type { Model, ModelVersion } from '../catalogue/load.ts'
import { completeInput, priceInput } from '../jobs/model-input.ts'
import { listPricing } from '../policy/list-price.ts'
import { overridesFor, type Policy } from '../policy/policy.ts'
import { roundHalfUp } from '../pricing/decimal.ts'
import { mostSpecific, overriddenPricing, type PriceOverride } from '../pricing/override.ts'
import { exactBase } from '../pricing/price.ts'

export const pricing = Type.Object({
  baseCostMicroCents: Type.Integer({
    minimum: 0,
    description:
      'The price before factors: 1,000,000 are US $1.00. Shown as a whole number, where the price of a job is computed from the exact one.',
  }),
  unit: Type.Enum(['per_second', 'per_request', 'per_image'], {
    description: 'What the base price is for; how many there are is one of the factors.',
  }),
  baseCredits: Type.Number({ description: 'The base price in credits; 1 credit is US $0.01.' }),
  factors: Type.Unsafe<Record<string, Record<string, string>>>({
    type: 'object',
    description:
      'By input field and option: an exact decimal number. The price is the base times that of each chosen option.',
    additionalProperties: { type: 'object', additionalProperties: { type: 'string' } },
  }),
  override: Type.Optional(
    Type.Object(
      {
        type: Type.Enum(['percentage_discount', 'fixed_price', 'custom_dynamic'], {
          description:
            'percentage_discount comes off the price above, once all factors are in; fixed_price is for a whole job, whatever its input; custom_dynamic has changed the factors above.',
        }),
        percentage: Type.Optional(Type.Number({ description: 'What is taken off, in percent.' })),
        fixedPriceMicroCents: Type.Optional(
          Type.Integer({ minimum: 0, description: 'What each job costs.' }),
        ),
      },
      { description: 'Your own terms, if you have some for this model.' },
    ),
  ),
})

/** For the examples of declarations. */
export const pricingExample: Static<typeof pricing> = {
  baseCostMicroCents: 70_000,
  unit: 'per_second',
  baseCredits: 7,
  factors: { duration: { '5': '5', '10': '10' }, quality: { std: '1', pro: '1.5' } },
}

/** What a version costs by the policy, on the caller's own terms where it has some. */
export function toPricing(
  { policy, caller }: { policy: Policy; caller: Caller | undefined },
  model: Model,
  version: ModelVersion,
): Static<typeof pricing> {
  const override = caller && overrideFor(caller, model, version)
  const list = listPricing(policy, model, version)
  const own = override === undefined ? list : overriddenPricing(list, override)
  const { unit, factors } = own
  const baseCostMicroCents = Number(roundHalfUp(exactBase(own)))
  return {
    baseCostMicroCents,
    unit,
    baseCredits: baseCostMicroCents / 10_000,
    factors,
    ...(override && { override: toTerms(override) }),
  }
}

// Of several segments' terms that count alike, each input has the cheapest; those of the example are shown.
function overrideFor(caller: Caller, model: Model, version: ModelVersion): PriceOverride | undefined {
  const overrides = mostSpecific(overridesFor(caller.policy, caller), model)
  if (overrides.length < 2) return overrides[0]
  return priceInput(caller, model, version, completeInput(version, version.example)).override
}

function toTerms(override: PriceOverride) {
  switch (override.kind) {
    case 'percentage_discount':
      return { type: override.kind, percentage: Number(override.percentage) }
    case 'fixed_price':
      return { type: override.kind, fixedPriceMicroCents: override.priceMicroCents }
    case 'custom_dynamic':
      return { type: override.kind }
  }
}
