import { Type } from 'typebox'
import { storablePattern } from '../json-schema.ts'
import type { OverrideDocument } from '../policy/override-document.ts'
import { moment, orNull } from './schemas.ts'

const userId = 'Id of the user that it is for; null where it is for a segment or everybody.'
const segment = 'Name of the segment that it is for; null where it is for a user or everybody.'
const factors = Type.Record(Type.String(), Type.Record(Type.String(), Type.String()), {
  description:
    'Multipliers in place of the catalogue\'s, by field and option: {"duration": {"10": "1.8"}}. Exact decimals, as text.',
})
const microCents = Type.Integer({
  description: 'Price of a job whatever its input; 1,000,000 are US $1.00.',
  minimum: 0,
})

/** A price override as operators are shown it. */
export const overrideDocument = Type.Object({
  id: Type.String({
    description: 'A new one each time it is set; jobs keep that of the terms they were priced by.',
  }),
  userId: orNull(Type.String({ description: userId })),
  segment: orNull(Type.String({ description: segment })),
  modelSlug: orNull(Type.String({ description: 'The one model that it is for.' })),
  providerId: orNull(
    Type.String({ description: 'Whose models it is for; all models where this is null too.' }),
  ),
  kind: Type.Enum(['percentage_discount', 'fixed_price', 'custom_dynamic', 'percentage_markup'], {
    description: 'percentage_markup is for everybody and part of the list price.',
  }),
  percentage: orNull(
    Type.String({ description: 'What is taken off the price, or put on it as markup: an exact decimal.' }),
  ),
  priceMicroCents: orNull(microCents),
  factors: orNull(factors),
  note: orNull(Type.String()),
  createdAt: moment,
})

export const overrideExample: OverrideDocument = {
  id: 'override_mi8q2k0x1f7d2m9c4p6t8w0z',
  userId: 'user_mi8q1z7a9b3c5d7e1f2g4h6j',
  segment: null,
  modelSlug: 'kling/kling-omni-o1/image-to-video',
  providerId: null,
  kind: 'percentage_discount',
  percentage: '20',
  priceMicroCents: null,
  factors: null,
  note: 'contract 7',
  createdAt: '2026-11-20T12:00:00.000Z',
}

const text = (description: string) => Type.String({ pattern: storablePattern, description })

/** Whose overrides to list, and whom one is for. */
export const subjectFields = {
  userId: Type.Optional(text('Id or e-mail address of a user.')),
  segment: Type.Optional(text('Name of a segment.')),
}

export const overrideBody = Type.Object(
  {
    ...subjectFields,
    modelSlug: Type.Optional(text('For this model only.')),
    providerId: Type.Optional(text("For this provider's models only; for all models if neither is given.")),
    percentage: Type.Optional(
      Type.String({ description: 'Taken off the price: a plain decimal above 0 and at most 100, as text.' }),
    ),
    markup: Type.Optional(
      Type.String({
        description:
          'Put on the list price of everybody: a plain decimal from 0 to 1000, in percent, as text. Without userId and segment.',
      }),
    ),
    priceMicroCents: Type.Optional(microCents),
    factors: Type.Optional(factors),
    note: Type.Optional(
      Type.String({ maxLength: 500, pattern: storablePattern, description: 'Why, for other operators.' }),
    ),
  },
  {
    additionalProperties: false,
    description: 'One of userId and segment, and one kind of terms; or markup alone.',
  },
)
