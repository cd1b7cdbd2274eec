import { Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { storablePattern } from '../json-schema.ts'
import { removeOverride } from '../policy/price-overrides.ts'
import { route } from './route.ts'

export const adminRemoveOverrideRoute = route({
  method: 'DELETE',
  path: '/v1/admin/price-overrides/:id',
  name: 'Remove a price override',
  summary: 'Takes a price override away; the next job is priced without it. For operators.',
  scope: 'admin',
  params: Type.Object({
    id: Type.String({ pattern: storablePattern, description: 'Id of the override, as the list shows it.' }),
  }),
  answer: Type.Object({ id: Type.String(), removed: Type.Literal(true) }),
  example: { id: 'override_mi8q2k0x1f7d2m9c4p6t8w0z', removed: true },
  errors: ['FORBIDDEN', 'NOT_FOUND', 'VALIDATION_ERROR'],
  async handler({ params: { id } }, { pool }) {
    if (await removeOverride(pool, id)) return { id, removed: true as const }
    throw new ApiError('NOT_FOUND', 'There is no price override of this id.')
  },
})
