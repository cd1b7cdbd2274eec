import { Type } from 'typebox'
import { route } from '../route.ts'
import { noQuery } from '../schemas.ts'
import { entry, entryExample, offersTo, toEntry } from './entries.ts'
import { keptAnswer } from './kept-answer.ts'

const answer = keptAnswer((audience) => offersTo(audience).map((offer) => toEntry(audience, offer)))

export const catalogModelsRoute = route({
  method: 'GET',
  path: '/v1/catalog/models',
  name: 'List the catalog',
  summary: 'Every model that takes jobs now. With a key: those open to you, with what they cost you.',
  scope: undefined,
  query: noQuery,
  answer: Type.Array(entry),
  example: [entryExample],
  errors: ['VALIDATION_ERROR'],
  handler: ({ caller }, services, reply) => answer(services, caller, reply),
})
