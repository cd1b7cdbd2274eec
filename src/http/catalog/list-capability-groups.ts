import { Type } from 'typebox'
import { route } from '../route.ts'
import { noQuery } from '../schemas.ts'
import { keptAnswer } from './kept-answer.ts'

const answer = keptAnswer(({ catalogue }) =>
  Object.entries(catalogue.capabilities)
    .map(([id, { name, label, icon, color, order }]) => ({
      id,
      displayName: name,
      label,
      icon,
      color,
      order,
    }))
    .sort((a, b) => a.order - b.order),
)

export const capabilityGroupsRoute = route({
  method: 'GET',
  path: '/v1/catalog/capability-groups',
  name: 'List capability groups',
  summary: 'Everything that models can do, in the order in which to show it.',
  scope: undefined,
  query: noQuery,
  answer: Type.Array(
    Type.Object({
      id: Type.String({ description: 'What models have as capability.' }),
      displayName: Type.String(),
      label: Type.String({ description: 'The name where room is short.' }),
      icon: Type.String({ description: 'A name that common icon sets have.' }),
      color: Type.String({ description: 'Hexadecimal, such as #7c3aed.' }),
      order: Type.Integer({ minimum: 1 }),
    }),
  ),
  example: [
    {
      id: 'image-to-video',
      displayName: 'Image to Video',
      label: 'Image → Video',
      icon: 'image-play',
      color: '#7c3aed',
      order: 2,
    },
  ],
  errors: ['VALIDATION_ERROR'],
  handler: ({ caller }, services, reply) => answer(services, caller, reply),
})
