import { Type } from 'typebox'
import { revokeSession } from '../accounts/sessions.ts'
import { ApiError } from '../errors.ts'
import { storablePattern } from '../json-schema.ts'
import { route } from './route.ts'

export const revokeSessionRoute = route({
  method: 'DELETE',
  path: '/v1/sessions/:sessionId',
  name: 'Revoke a session',
  summary:
    'Ends a session of the key at once, on every server, and with it the sessions that were made with it. Its open event streams end within 15 seconds.',
  description: 'A session may end itself, and those that it has made: so a browser signs out.',
  scope: 'any',
  params: Type.Object({
    sessionId: Type.String({ pattern: storablePattern, description: 'As the create answered it.' }),
  }),
  answer: Type.Object({ sessionId: Type.String(), revoked: Type.Literal(true) }),
  example: { sessionId: 'session_mi8q2k0x1f7d2m9c4p6t8w0z', revoked: true },
  errors: ['VALIDATION_ERROR', 'NOT_FOUND'],
  async handler({ params: { sessionId }, caller }, { pool }) {
    if (await revokeSession(pool, caller, sessionId)) return { sessionId, revoked: true as const }
    throw new ApiError('NOT_FOUND', 'This key has no session of this id, or no longer.')
  },
})
