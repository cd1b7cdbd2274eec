import type { Model, ModelVersion } from '../catalogue/load.ts'
import { markedUp } from '../pricing/markup.ts'
import type { Pricing } from '../pricing/price.ts'
import type { Policy } from './policy.ts'

/** What a version costs everybody: the catalogue's price with the operator's markup. */
export function listPricing(
  { markups }: Pick<Policy, 'markups'>,
  model: Model,
  version: ModelVersion,
): Pricing {
  return markedUp(version.pricing, markups, model)
}
