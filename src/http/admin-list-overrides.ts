import { Type } from 'typebox'
import { toDocument } from '../policy/override-document.ts'
import { findSubject } from '../policy/override-request.ts'
import { listOverrides } from '../policy/price-overrides.ts'
import { overrideDocument, overrideExample, subjectFields } from './admin-schemas.ts'
import { fieldNames, refuse } from './admin-set-override.ts'
import { route } from './route.ts'

export const adminListOverridesRoute = route({
  method: 'GET',
  path: '/v1/admin/price-overrides',
  name: 'List price overrides',
  summary:
    'All price overrides and markups, or the overrides of one user or segment, oldest first. For operators.',
  scope: 'admin',
  query: Type.Object(subjectFields, { additionalProperties: false }),
  answer: Type.Object({ overrides: Type.Array(overrideDocument) }),
  example: { overrides: [overrideExample] },
  errors: ['FORBIDDEN', 'VALIDATION_ERROR'],
  async handler({ query }, { pool }) {
    const found = await findSubject(pool, query, fieldNames)
    if (found !== undefined && 'issues' in found) throw refuse(found.issues, 'The query')
    return { overrides: (await listOverrides(pool, found?.subject)).map(toDocument) }
  },
})
