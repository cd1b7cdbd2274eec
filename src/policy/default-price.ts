import { checkInput } from '../catalogue/check-input.ts'
import type { Catalogue, Model, ModelVersion } from '../catalogue/load.ts'
import { type Markup, markupFor } from '../pricing/markup.ts'
import { type AgreedPrice, agreedPrice, mostSpecific, type PriceOverride } from '../pricing/override.ts'
import type { Pricing } from '../pricing/price.ts'
import { listPricing } from './list-price.ts'
import type { Policy } from './policy.ts'
import { currentVersion } from './versions.ts'

/** What a job costs that gives only what it must, under these overrides; `pricing` in place of the catalogue's. */
export function defaultPrice(
  model: Model,
  version: ModelVersion,
  overrides: PriceOverride[],
  pricing: Pricing = version.pricing,
): AgreedPrice {
  const required = (version.inputSchema.required as string[]).map((field) => [field, version.example[field]])
  const { input } = checkInput(version, Object.fromEntries(required))
  const agreed = agreedPrice(pricing, overrides, model, input)
  if ('field' in agreed) throw new Error(`${model.slug} has no price for its own default of ${agreed.field}`)
  return agreed
}

/** How an override changes the default price of one model. */
export interface PriceEffect {
  modelSlug: string
  listMicroCents: number
  costMicroCents: number
}

/** What `override` does among all of its subject's: models for which a more specific one stands are left out. */
export function effectsOf(
  catalogue: Catalogue,
  policy: Policy,
  override: PriceOverride,
  ofSubject: PriceOverride[],
): PriceEffect[] {
  const concerned = [...catalogue.models.values()].filter((model) =>
    mostSpecific(ofSubject, model).some(({ id }) => id === override.id),
  )
  return concerned.flatMap((model) => {
    const version = currentVersion(policy, model)
    if (version === undefined) return []
    const { list, costMicroCents } = defaultPrice(
      model,
      version,
      [override],
      listPricing(policy, model, version),
    )
    const prices = {
      listMicroCents: Number(list.costMicroCents),
      costMicroCents: Number(costMicroCents),
    }
    return [{ modelSlug: model.slug, ...prices }]
  })
}

/** What a markup makes of the catalogue's prices: models for which a more specific one stands are left out. */
export function effectsOfMarkup(catalogue: Catalogue, policy: Policy, markup: Markup): PriceEffect[] {
  const concerned = [...catalogue.models.values()].filter(
    (model) => markupFor(policy.markups, model)?.id === markup.id,
  )
  return concerned.flatMap((model) => {
    const version = currentVersion(policy, model)
    if (version === undefined) return []
    const before = defaultPrice(model, version, [])
    const after = defaultPrice(model, version, [], listPricing(policy, model, version))
    return [
      {
        modelSlug: model.slug,
        listMicroCents: Number(before.costMicroCents),
        costMicroCents: Number(after.costMicroCents),
      },
    ]
  })
}
