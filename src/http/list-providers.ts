import { Type } from 'typebox'
import { visibleModels } from '../policy/visibility.ts'
import { audienceOf } from './audience.ts'
import { provider, providerExample, providersOf, toProvider } from './provider-answers.ts'
import { route } from './route.ts'
import { noQuery } from './schemas.ts'

export const listProvidersRoute = route({
  method: 'GET',
  path: '/v1/providers',
  name: 'List providers',
  summary: 'Every provider with a model that is open to you.',
  scope: 'list_models',
  query: noQuery,
  answer: Type.Object({ providers: Type.Array(provider) }),
  example: { providers: [providerExample] },
  errors: ['VALIDATION_ERROR'],
  async handler({ caller }, services) {
    const { catalogue } = services
    const audience = audienceOf(services, caller)
    const shown = providersOf(catalogue, visibleModels(catalogue, caller.policy, caller))
    return { providers: shown.map((provider) => toProvider(audience, provider)) }
  },
})
