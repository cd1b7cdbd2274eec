import { Type } from 'typebox'
import { findUser, unknownOutcomes, userStatuses } from '../accounts/users.ts'
import { ApiError } from '../errors.ts'
import { storablePattern } from '../json-schema.ts'
import { route } from './route.ts'
import { microCents, moment, noQuery, orNull } from './schemas.ts'

export const adminGetUserRoute = route({
  method: 'GET',
  path: '/v1/admin/users/:userId',
  name: 'Get a user',
  summary: 'A user with balances, limits, segments and private models. For operators.',
  scope: 'admin',
  query: noQuery,
  params: Type.Object({
    userId: Type.String({ pattern: storablePattern, description: 'Id or e-mail address of the user.' }),
  }),
  answer: Type.Object({
    userId: Type.String(),
    email: Type.String(),
    name: orNull(Type.String()),
    status: Type.Enum([...userStatuses]),
    concurrencyLimit: orNull(
      Type.Integer({
        description: 'Most unfinished jobs at once, counted apart for live and test; null: no limit.',
      }),
    ),
    segments: Type.Array(Type.String(), { description: 'Names of the segments that the user is in.' }),
    allowedModels: Type.Array(Type.String(), {
      description: 'Slugs of the private models that the user may use.',
    }),
    retentionDays: orNull(
      Type.Integer({
        description: 'Days that the files of a job are kept after it has completed; null: for ever.',
      }),
    ),
    unknownOutcome: Type.Enum([...unknownOutcomes], {
      description:
        'What becomes of a job at the end of its time if nobody can tell whether its upstream has it: it is failed and refunded, or held until the upstream has answered.',
    }),
    balanceMicroCents: microCents,
    testBalanceMicroCents: microCents,
    owedMicroCents: Type.Integer({
      minimum: 0,
      description:
        'What debits took that the balance did not have. Live submits are refused until credits have paid it.',
    }),
    testOwedMicroCents: Type.Integer({ minimum: 0, description: 'The same in test mode.' }),
    createdAt: moment,
  }),
  example: {
    userId: 'user_mi8q1z7a9b3c5d7e1f2g4h6j',
    email: 'ada@example.com',
    name: 'Ada',
    status: 'active',
    concurrencyLimit: 10,
    segments: ['studios'],
    allowedModels: [],
    retentionDays: null,
    unknownOutcome: 'refund',
    balanceMicroCents: 25_000_000,
    testBalanceMicroCents: 5_000_000,
    owedMicroCents: 0,
    testOwedMicroCents: 0,
    createdAt: '2026-11-20T12:00:00.000Z',
  },
  errors: ['FORBIDDEN', 'USER_NOT_FOUND', 'VALIDATION_ERROR'],
  async handler({ params }, { pool }) {
    const user = await findUser(pool, params.userId)
    if (user !== undefined) return user
    throw new ApiError('USER_NOT_FOUND', 'There is no user of this id or e-mail address.')
  },
})
