import { Type } from 'typebox'
import { route } from '../route.ts'
import { noQuery } from '../schemas.ts'
import { keptAnswer } from './kept-answer.ts'
import {
  offeringProviders,
  providerEntry,
  providerEntryExample,
  toProviderEntry,
} from './provider-entries.ts'

const answer = keptAnswer((audience) =>
  offeringProviders(audience).map((provider) => toProviderEntry(audience, provider)),
)

export const catalogProvidersRoute = route({
  method: 'GET',
  path: '/v1/catalog/providers',
  name: 'List the providers of the catalog',
  summary: 'Every provider with a model in the catalog.',
  scope: undefined,
  query: noQuery,
  answer: Type.Array(providerEntry),
  example: [providerEntryExample],
  errors: ['VALIDATION_ERROR'],
  handler: ({ caller }, services, reply) => answer(services, caller, reply),
})
