import { Type } from 'typebox'
import { customerScopes } from '../accounts/keys.ts'
import { createSession, sessionLife } from '../accounts/sessions.ts'
import { ApiError } from '../errors.ts'
import { route } from './route.ts'

const body = Type.Object(
  {
    scopes: Type.Optional(
      Type.Array(Type.Enum([...customerScopes]), {
        minItems: 1,
        uniqueItems: true,
        description: 'What the session may do, of what the key may; all of that if left out. Never admin.',
      }),
    ),
    expiresInSeconds: Type.Integer({ ...sessionLife, description: 'How long the session is good.' }),
  },
  { additionalProperties: false },
)

export const createSessionRoute = route({
  method: 'POST',
  path: '/v1/sessions',
  name: 'Create a session',
  summary:
    'Makes a token that stands for the key for a while, so that a browser need not hold the key itself.',
  description:
    'A session may do what its key may, or less, and ends with the key. One that was made with another session ends with that one. [Delete it](/docs/endpoints/revoke-a-session) to end it sooner.',
  scope: 'any',
  body,
  isBodyOptional: true,
  exampleBody: { scopes: ['submit_job', 'check_status'], expiresInSeconds: 3_600 },
  answer: Type.Object({
    sessionId: Type.String({ description: 'What the session is revoked by.' }),
    token: Type.String({
      description: 'Send it in place of the key: "Authorization: Bearer ses_…". It is not shown again.',
    }),
    expiresAt: Type.String({
      description: 'ISO 8601, UTC. No later than the end of the key or session that it was made with.',
    }),
  }),
  example: {
    sessionId: 'session_mi8q2k0x1f7d2m9c4p6t8w0z',
    token: 'ses_1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R9s0T1u2V3w4X5',
    expiresAt: '2026-11-20T13:00:00.000Z',
  },
  errors: ['VALIDATION_ERROR', 'PAYLOAD_TOO_LARGE'],
  async handler({ body, caller }, { pool, clock }) {
    const missing = body.scopes?.find((scope) => !caller.scopes.includes(scope))
    if (missing !== undefined) {
      const message = `The key lacks the scope "${missing}", so a session of it can not have it.`
      throw new ApiError('OPERATION_NOT_ALLOWED', message)
    }
    const options = { scopes: body.scopes, seconds: body.expiresInSeconds }
    const { expiresAt, ...session } = await createSession(pool, caller, options, clock.now())
    return { ...session, expiresAt: expiresAt.toISOString() }
  },
})
