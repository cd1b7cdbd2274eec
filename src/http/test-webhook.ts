import { Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { storablePattern } from '../json-schema.ts'
import { checkWebhookUrl } from '../webhooks/check-url.ts'
import { sendTestEvent } from '../webhooks/test-event.ts'
import { route } from './route.ts'
import { attemptFields } from './schemas.ts'

// Each call makes this server send a request: one at a time for each user, so that it is no means to send many.
const underWay = new Set<string>()

export const testWebhookRoute = route({
  method: 'POST',
  path: '/v1/webhooks/test',
  name: 'Test a webhook',
  summary:
    'Sends one event to a URL, signed and guarded as a real one, of a completed job "job_test" that does not exist, and answers what the receiver did. It is not tried again.',
  scope: 'submit_job',
  body: Type.Object(
    {
      url: Type.String({
        pattern: storablePattern,
        description: 'The public https URL of the receiver.',
      }),
    },
    { additionalProperties: false },
  ),
  exampleBody: { url: 'https://example.com/hooks/filmgate' },
  answer: Type.Object(attemptFields),
  example: { delivered: true, httpStatus: 200, latencyMs: 84, error: null, response: 'ok' },
  errors: ['VALIDATION_ERROR', 'INVALID_WEBHOOK_URL', 'PAYLOAD_TOO_LARGE'],
  async handler({ body, caller }, { pool, outbound, clock }) {
    if (underWay.has(caller.userId)) {
      const text = 'A test event of yours is still under way: wait for its answer, 30 seconds at most.'
      throw new ApiError('RATE_LIMIT_EXCEEDED', text, { retryAfter: 5 })
    }
    underWay.add(caller.userId)
    try {
      const url = await checkWebhookUrl(outbound, body.url, 'url')
      return await sendTestEvent({ db: pool, outbound }, caller.userId, url, clock.now())
    } finally {
      underWay.delete(caller.userId)
    }
  },
})
