import { Type } from 'typebox'
import { route } from '../route.ts'
import { noQuery } from '../schemas.ts'
import { offersTo } from './entries.ts'
import { keptAnswer } from './kept-answer.ts'

const answer = keptAnswer((audience) => {
  const offers = offersTo(audience)
  return Object.entries(audience.catalogue.categories).map(([id, { name, description }]) => ({
    id,
    name,
    description,
    modelCount: offers.filter(({ model }) => model.category === id).length,
  }))
})

export const catalogCategoriesRoute = route({
  method: 'GET',
  path: '/v1/catalog/categories',
  name: 'List categories',
  summary: 'What models make, and how many in the catalog make it.',
  scope: undefined,
  query: noQuery,
  answer: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      description: Type.String(),
      modelCount: Type.Integer({ minimum: 0 }),
    }),
  ),
  example: [
    {
      id: 'video',
      name: 'Video',
      description: 'Models that make, continue or change moving pictures, with or without sound.',
      modelCount: 114,
    },
  ],
  errors: ['VALIDATION_ERROR'],
  handler: ({ caller }, services, reply) => answer(services, caller, reply),
})
