import { Type } from 'typebox'
import { findProvider, providerParams } from '../provider-answers.ts'
import { route } from '../route.ts'
import { noQuery } from '../schemas.ts'
import { entry, entryExample, offersTo, toEntry } from './entries.ts'
import { keptAnswer } from './kept-answer.ts'
import {
  offeringProviders,
  providerEntry,
  providerEntryExample,
  toProviderEntry,
} from './provider-entries.ts'

const answer = keptAnswer((audience, id) => {
  const provider = findProvider(offeringProviders(audience), id)
  const offers = offersTo(audience).filter(({ model }) => model.provider.id === id)
  return {
    ...toProviderEntry(audience, provider),
    models: offers.map((offer) => toEntry(audience, offer)),
  }
})

export const catalogProviderRoute = route({
  method: 'GET',
  path: '/v1/catalog/providers/:providerId',
  name: 'Get a provider of the catalog',
  summary: 'A provider with its models in the catalog.',
  scope: undefined,
  query: noQuery,
  params: providerParams,
  answer: Type.Object({ ...providerEntry.properties, models: Type.Array(entry) }),
  example: { ...providerEntryExample, modelCount: 1, models: [entryExample] },
  errors: ['VALIDATION_ERROR', 'NOT_FOUND'],
  handler: ({ params, caller }, services, reply) => answer(services, caller, reply, params.providerId),
})
