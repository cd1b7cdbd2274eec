import { Type } from 'typebox'
import { visibleModels } from '../policy/visibility.ts'
import { audienceOf } from './audience.ts'
import { modelExample, modelSummary, toModelSummary } from './model-answers.ts'
import { route } from './route.ts'
import { noQuery } from './schemas.ts'

export const listModelsRoute = route({
  method: 'GET',
  path: '/v1/models',
  name: 'List models',
  summary: 'Every model that is open to you, with what it costs you.',
  scope: 'list_models',
  query: noQuery,
  answer: Type.Object({ models: Type.Array(modelSummary) }),
  example: { models: [modelExample] },
  errors: ['VALIDATION_ERROR'],
  async handler({ caller }, services) {
    const audience = audienceOf(services, caller)
    const models = visibleModels(services.catalogue, caller.policy, caller)
    return { models: models.map((model) => toModelSummary(audience, model)) }
  },
})
