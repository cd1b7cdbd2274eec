import { type Static, Type } from 'typebox'
import type { Caller } from '../accounts/authenticate.ts'
import type { Catalogue, Model, ModelVersion } from '../catalogue/load.ts'
import { versionStatuses } from '../catalogue/schema.ts'
import { ApiError } from '../errors.ts'
import { findModel } from '../jobs/model-input.ts'
import { statusOf } from '../policy/versions.ts'
import { audienceOf } from './audience.ts'
import { inputSchemaExample, modelExample, modelSummary, toModelSummary } from './model-answers.ts'
import { slugOf } from './model-id.ts'
import { outputSchema } from './output-schema.ts'
import { pricing, pricingExample, toPricing } from './pricing-answer.ts'
import { route } from './route.ts'
import { jsonSchema, noQuery, orNull } from './schemas.ts'

const limit = (window: string) =>
  orNull(Type.Integer({ minimum: 1, description: `Submits a ${window}; null: no limit.` }))

const versionAnswer = Type.Object({
  versionId: Type.String({ description: 'What submit and estimate take as version.' }),
  status: Type.Enum([...versionStatuses], {
    description:
      'active; deprecated: still takes jobs that name it; disabled: takes none now; deleted: gone for good.',
  }),
  inputSchema: jsonSchema('Of the input of a job.'),
  outputSchema: jsonSchema('Of the outputs of a completed job.'),
  pricing,
  rateLimits: Type.Object({ requestsPerMinute: limit('minute'), requestsPerDay: limit('day') }),
})

export const getModelRoute = route({
  method: 'GET',
  path: '/v1/models/:model+',
  name: 'Get a model',
  summary: 'A model with all of its versions: what each takes, gives and costs you.',
  scope: 'list_models',
  query: noQuery,
  params: Type.Object({
    model: Type.String({ description: 'Id or slug; the slashes of a slug may be written as %2F.' }),
  }),
  answer: Type.Object({
    ...modelSummary.properties,
    versions: Type.Array(versionAnswer, { description: 'Oldest first.' }),
  }),
  example: {
    ...modelExample,
    versions: [
      {
        versionId: 'v1.0',
        status: 'active',
        inputSchema: inputSchemaExample,
        outputSchema: outputSchema('video'),
        pricing: pricingExample,
        rateLimits: { requestsPerMinute: null, requestsPerDay: null },
      },
    ],
  },
  errors: ['VALIDATION_ERROR', 'INVALID_MODEL_SLUG', 'MODEL_NOT_FOUND', 'MODEL_ACCESS_DENIED'],
  async handler({ params, caller }, services) {
    const { catalogue } = services
    const model = findModel(catalogue, caller.policy, caller, knownSlug(catalogue, params.model))
    return {
      ...toModelSummary(audienceOf(services, caller), model),
      versions: model.versions.map((version) => toVersion(caller, model, version)),
    }
  },
})

function knownSlug(catalogue: Catalogue, idOrSlug: string): string {
  const slug = slugOf(catalogue, idOrSlug)
  if (slug !== undefined) return slug
  throw new ApiError('MODEL_NOT_FOUND', `There is no model with the id "${idOrSlug.slice(0, 100)}".`)
}

function toVersion(caller: Caller, model: Model, version: ModelVersion): Static<typeof versionAnswer> {
  const { policy } = caller
  const settings = policy.versions.get(`${model.slug} ${version.version}`)
  return {
    versionId: version.version,
    status: statusOf(policy, model, version),
    inputSchema: version.inputSchema,
    outputSchema: outputSchema(model.category),
    pricing: toPricing({ policy, caller }, model, version),
    rateLimits: {
      requestsPerMinute: settings?.requestsPerMinute ?? null,
      requestsPerDay: settings?.requestsPerDay ?? null,
    },
  }
}
