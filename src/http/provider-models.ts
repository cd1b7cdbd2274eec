import { Type } from 'typebox'
import { visibleModels } from '../policy/visibility.ts'
import { audienceOf } from './audience.ts'
import { modelExample, modelSummary, toModelSummary } from './model-answers.ts'
import {
  findProvider,
  provider,
  providerExample,
  providerParams,
  providersOf,
  toProvider,
} from './provider-answers.ts'
import { route } from './route.ts'
import { noQuery } from './schemas.ts'

export const providerModelsRoute = route({
  method: 'GET',
  path: '/v1/providers/:providerId/models',
  name: "List a provider's models",
  summary: 'A provider, and those of its models that are open to you.',
  scope: 'list_models',
  query: noQuery,
  params: providerParams,
  answer: Type.Object({ provider, models: Type.Array(modelSummary) }),
  example: { provider: providerExample, models: [modelExample] },
  errors: ['VALIDATION_ERROR', 'NOT_FOUND'],
  async handler({ params, caller }, services) {
    const { catalogue } = services
    const audience = audienceOf(services, caller)
    const shown = providersOf(catalogue, visibleModels(catalogue, caller.policy, caller))
    const found = findProvider(shown, params.providerId)
    return {
      provider: toProvider(audience, found),
      models: found.models.map((model) => toModelSummary(audience, model)),
    }
  },
})
