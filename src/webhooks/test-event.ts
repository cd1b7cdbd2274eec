import type { Db } from '../db.ts'
import { newId } from '../ids.ts'
import type { Outbound } from '../outbound.ts'
import { findWebhookSecrets } from './secrets.ts'
import { sendWebhook } from './send.ts'

/** The body of a completed job's webhook, of a job that can't be. */
function testBody(now: Date): string {
  const url = 'https://example.com/filmgate-test-event.mp4'
  return JSON.stringify({
    jobId: 'job_test',
    requestId: 'req_test',
    status: 'completed',
    output: {
      videoUrl: url,
      outputs: [{ url, type: 'video', thumbnail: null, posterImage: null }],
      metadata: { width: 1280, height: 720, format: 'mp4', durationSeconds: 5 },
    },
    completedAt: now.toISOString(),
  })
}

/** What became of a test event, as it is shown. */
export interface TestOutcome {
  delivered: boolean
  httpStatus: number | null
  latencyMs: number
  error: string | null
  response: string | null
}

/**
 * Sends one signed event to a URL that has been checked, and answers what came of it. During a rotation
 * X-PixelByte-Signature is made with the new secret: the question then is whether the receiver knows it yet.
 */
export async function sendTestEvent(
  context: { db: Db; outbound: Outbound },
  userId: string,
  url: string,
  now: Date,
): Promise<TestOutcome> {
  const { secret, previous } = (await findWebhookSecrets(context.db, userId, now))!
  const attempt = await sendWebhook({
    url,
    body: testBody(now),
    id: newId('msg', now),
    secrets: previous === null ? [secret] : [secret, previous.secret],
    dispatcher: context.outbound.dispatcher,
    now,
  })
  const { delivered, latencyMs, status = null, error = null, responseExcerpt } = attempt
  const response = status === null ? null : responseExcerpt
  return { delivered, httpStatus: status, latencyMs, error, response }
}
