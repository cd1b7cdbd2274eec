import { type Static, Type } from 'typebox'
import type { Model } from '../catalogue/load.ts'
import { whyNotSold } from '../jobs/takes-jobs.ts'
import { currentVersion } from '../policy/versions.ts'
import type { Audience } from './audience.ts'
import { modelId } from './model-id.ts'
import { pricing, pricingExample, toPricing } from './pricing-answer.ts'
import { orNull } from './schemas.ts'

export const modelSummary = Type.Object({
  id: Type.String({ description: 'Stands for the slug in GET /v1/models/{model}.' }),
  slug: Type.String({ description: 'What submit takes as model.' }),
  providerId: Type.String(),
  providerName: Type.String(),
  name: Type.String(),
  description: Type.String(),
  category: Type.String({ description: 'What comes out: video, image, audio or text.' }),
  capability: Type.String({ description: 'What it does, such as image-to-video.' }),
  currentVersion: orNull(
    Type.String({ description: 'The version of a job that names none; null while none takes jobs.' }),
  ),
  versionCount: Type.Integer({ minimum: 1 }),
  currentVersionPricing: orNull(pricing),
  available: Type.Boolean({
    description: 'Whether live jobs of it can be made on this server now. Jobs of test keys always can.',
  }),
  unavailableReason: orNull(Type.String({ description: 'Why they can not; null if they can.' })),
})

/** For the examples of declarations. */
export const modelExample: Static<typeof modelSummary> = {
  id: 'model_3e97d88590d43dfe6d7d5664',
  slug: 'kling/kling-omni-o1/image-to-video',
  providerId: 'kling',
  providerName: 'Kling',
  name: 'Kling O1',
  description: 'Sets one picture in motion as the prompt says.',
  category: 'video',
  capability: 'image-to-video',
  currentVersion: 'v1.0',
  versionCount: 1,
  currentVersionPricing: pricingExample,
  available: true,
  unavailableReason: null,
}

/** The input schema of the example, shortened. */
export const inputSchemaExample = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['prompt', 'image_url'],
  additionalProperties: false,
  properties: {
    prompt: { type: 'string', minLength: 1, maxLength: 2500 },
    image_url: { type: 'string', format: 'uri', media: 'image' },
    quality: { type: 'string', enum: ['std', 'pro'], default: 'std' },
    duration: { type: 'string', enum: ['5', '10'], default: '5' },
  },
}

/** A model as lists show it. */
export function toModelSummary(audience: Audience, model: Model): Static<typeof modelSummary> {
  const { policy, candidates, minMargin } = audience
  const current = currentVersion(policy, model)
  const reason =
    current === undefined
      ? `No version of ${model.slug} takes jobs now.`
      : whyNotSold(audience, { model, version: current }, candidates('live', model, current), minMargin)
  return {
    id: modelId(model.slug),
    slug: model.slug,
    providerId: model.provider.id,
    providerName: model.provider.name,
    name: model.name,
    description: model.description,
    category: model.category,
    capability: model.capability,
    currentVersion: current?.version ?? null,
    versionCount: model.versions.length,
    currentVersionPricing: current === undefined ? null : toPricing(audience, model, current),
    available: reason === null,
    unavailableReason: reason,
  }
}
