import { type Static, Type } from 'typebox'
import type { Model, ModelVersion } from '../../catalogue/load.ts'
import { whyNotSold } from '../../jobs/takes-jobs.ts'
import { currentVersion } from '../../policy/versions.ts'
import { visibleModels } from '../../policy/visibility.ts'
import type { Audience } from '../audience.ts'
import { pricing, pricingExample, toPricing } from '../pricing-answer.ts'
import { logoUrl, providerFields } from '../provider-answers.ts'
import { orNull } from '../schemas.ts'

/** A model that takes jobs now, with the version that those get which name none. */
export interface Offer {
  model: Model
  version: ModelVersion
}

/** What the catalog shows: the models that are open to the audience and take jobs now. */
export function offersTo({ catalogue, policy, caller }: Audience): Offer[] {
  return visibleModels(catalogue, policy, caller).flatMap((model) => {
    const version = currentVersion(policy, model)
    return version === undefined ? [] : [{ model, version }]
  })
}

export const entry = Type.Object({
  slug: Type.String({ description: 'What submit takes as model.' }),
  name: Type.String(),
  provider: Type.Object({
    id: Type.String(),
    name: Type.String(),
    logoUrl: providerFields.logoUrl,
  }),
  category: Type.String({ description: 'What comes out: video, image, audio or text.' }),
  capability: Type.String({ description: 'What it does, such as image-to-video.' }),
  pricing,
  available: Type.Boolean({
    description: 'Whether live jobs of it can be made on this server now. Jobs of test keys always can.',
  }),
  unavailableReason: orNull(Type.String({ description: 'Why they can not; null if they can.' })),
  tags: Type.Array(Type.String()),
  ratings: Type.Object(
    { average: Type.Number({ minimum: 0 }), count: Type.Integer({ minimum: 0 }) },
    { description: 'Nothing is rated yet: both are 0.' },
  ),
})

/** For the examples of declarations. */
export const entryExample: Static<typeof entry> = {
  slug: 'kling/kling-omni-o1/image-to-video',
  name: 'Kling O1',
  provider: { id: 'kling', name: 'Kling', logoUrl: 'https://films.example.com/docs/logos/kling.svg' },
  category: 'video',
  capability: 'image-to-video',
  pricing: pricingExample,
  available: true,
  unavailableReason: null,
  tags: ['video', 'image-to-video', 'kling', 'quality-tiers'],
  ratings: { average: 0, count: 0 },
}

/** A model as the catalog's lists show it. */
export function toEntry(audience: Audience, { model, version }: Offer): Static<typeof entry> {
  const { origin, candidates, minMargin } = audience
  const { slug, name, provider, category, capability, tags } = model
  const ways = candidates('live', model, version)
  const reason = whyNotSold(audience, { model, version }, ways, minMargin)
  return {
    slug,
    name,
    provider: { ...provider, logoUrl: logoUrl(origin, provider.id) },
    category,
    capability,
    pricing: toPricing(audience, model, version),
    available: reason === null,
    unavailableReason: reason,
    tags,
    ratings: { average: 0, count: 0 },
  }
}
