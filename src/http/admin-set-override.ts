import { ApiError } from '../errors.ts'
import { type Issue, sentence } from '../json-schema.ts'
import { toDocument } from '../policy/override-document.ts'
import { type FieldNames, readOverride } from '../policy/override-request.ts'
import { setOverride } from '../policy/price-overrides.ts'
import { overrideBody, overrideDocument, overrideExample } from './admin-schemas.ts'
import { route } from './route.ts'

export const adminSetOverrideRoute = route({
  method: 'PUT',
  path: '/v1/admin/price-overrides',
  name: 'Set a price override',
  summary:
    "Sets the terms of a user or segment, for one model, for those of a provider or for all, in place of those that were there. The most specific terms count: a user's before a segment's, then a model's before a provider's before all. A markup is for everybody, and the others are on top of it. For operators.",
  scope: 'admin',
  body: overrideBody,
  exampleBody: {
    userId: 'ada@example.com',
    modelSlug: 'kling/kling-omni-o1/image-to-video',
    percentage: '20',
    note: 'contract 7',
  },
  answer: overrideDocument,
  example: overrideExample,
  errors: ['FORBIDDEN', 'VALIDATION_ERROR', 'PAYLOAD_TOO_LARGE'],
  async handler({ body }, { pool, catalogue }) {
    const read = await readOverride(pool, catalogue, body, fieldNames)
    if ('issues' in read) throw refuse(read.issues, 'The body')
    return toDocument(await setOverride(pool, { ...read.override, note: body.note }))
  },
})

/** The fields as the API calls them. */
export const fieldNames: FieldNames = {
  userId: 'userId',
  segment: 'segment',
  modelSlug: 'modelSlug',
  providerId: 'providerId',
  percentage: 'percentage',
  markup: 'markup',
  priceMicroCents: 'priceMicroCents',
  factors: 'factors',
  beforeFactor: 'factors.',
}

export function refuse(issues: Issue[], whole: string): ApiError {
  return new ApiError('VALIDATION_ERROR', sentence(issues, whole), { issues })
}
