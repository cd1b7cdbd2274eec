import { type Static, Type } from 'typebox'
import { familyOf } from '../../catalogue/load.ts'
import { ApiError } from '../../errors.ts'
import { findModel } from '../../jobs/model-input.ts'
import type { Audience } from '../audience.ts'
import { inputSchemaExample } from '../model-answers.ts'
import { route } from '../route.ts'
import { jsonSchema, noQuery } from '../schemas.ts'
import { entry, entryExample, offersTo, toEntry } from './entries.ts'
import { keptAnswer } from './kept-answer.ts'

const modelEntry = Type.Object({
  ...entry.properties,
  description: Type.String(),
  inputSchema: jsonSchema('Of the input of a job.'),
  processingSeconds: Type.Integer({ minimum: 1, description: 'How long a job usually takes.' }),
  siblings: Type.Array(Type.Object({ slug: Type.String(), capability: Type.String() }), {
    description: 'What else the same model of this provider can do.',
  }),
})

const answer = keptAnswer(toModelEntry)

export const catalogModelRoute = route({
  method: 'GET',
  path: '/v1/catalog/models/:slug+',
  name: 'Get a model of the catalog',
  summary: 'A model with what it takes and costs; with a key: on your terms.',
  scope: undefined,
  query: noQuery,
  params: Type.Object({
    slug: Type.String({ description: 'The slug; its slashes may be written as %2F.' }),
  }),
  answer: modelEntry,
  example: {
    ...entryExample,
    description: 'Sets one picture in motion as the prompt says.',
    inputSchema: inputSchemaExample,
    processingSeconds: 240,
    siblings: [{ slug: 'kling/kling-omni-o1/text-to-video', capability: 'text-to-video' }],
  },
  errors: ['VALIDATION_ERROR', 'INVALID_MODEL_SLUG', 'MODEL_NOT_FOUND', 'MODEL_ACCESS_DENIED'],
  handler: ({ params, caller }, services, reply) => answer(services, caller, reply, params.slug),
})

function toModelEntry(audience: Audience, slug: string): Static<typeof modelEntry> {
  const { catalogue, policy, caller } = audience
  const model = findModel(catalogue, policy, caller, slug)
  const offers = offersTo(audience)
  const offer = offers.find((offer) => offer.model === model)
  if (offer === undefined) throw new ApiError('MODEL_NOT_FOUND', `The model ${slug} takes no jobs now.`)
  const siblings = offers.filter((other) => other !== offer && familyOf(other.model) === familyOf(model))
  return {
    ...toEntry(audience, offer),
    description: model.description,
    inputSchema: offer.version.inputSchema,
    processingSeconds: model.processingSeconds,
    siblings: siblings.map(({ model: { slug, capability } }) => ({ slug, capability })),
  }
}
