import { Type } from 'typebox'
import { issueSession, sessionLifeMs } from '../accounts/sessions.ts'
import { route } from './route.ts'

export const createSessionRoute = route({
  method: 'POST',
  path: '/v1/sessions',
  name: 'Create a session',
  summary:
    'Makes a token that stands for the key for 12 hours, so that a browser need not hold the key itself. It may do what the key may, and stops when the key does.',
  scope: 'any',
  answer: Type.Object({
    token: Type.String({ description: 'Send it in place of the key: "Authorization: Bearer ses_…".' }),
    expiresAt: Type.String({
      description:
        'ISO 8601, UTC. In 12 hours, or when the key or session ends that the request was made with.',
    }),
  }),
  example: {
    token: 'ses_1795262400000_key_mi8q2k0x1f7d2m9c4p6t8w0z_Zm9yZ2V0LW1lLW5vdC1mb3JnZXQtbWUtbm90LWZvcmc',
    expiresAt: '2026-11-21T12:00:00.000Z',
  },
  errors: [],
  async handler({ caller }, { clock, sessionSecret }) {
    const latest = clock.now().getTime() + sessionLifeMs
    const expiresAt = new Date(Math.min(latest, caller.expiresAt?.getTime() ?? latest))
    const token = issueSession({ keyId: caller.keyId, expiresAt }, sessionSecret)
    return { token, expiresAt: expiresAt.toISOString() }
  },
})
