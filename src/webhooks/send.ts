import { type Dispatcher, request } from 'undici'
import { outboundFailure, userAgent } from '../outbound.ts'
import { signWebhook } from './sign.ts'

export interface WebhookAttempt {
  delivered: boolean
  status?: number
  latencyMs: number
  /** The first 1 KB of the answer. */
  responseExcerpt: string
  /** Why it does not count as delivered, in words for the customer's delivery log. */
  error?: string
}

const excerptBytes = 1024
/** The status line settles the attempt; an answer's text is only waited for this long. */
const excerptTimeLimitMs = 5_000

/** Makes one attempt. `body` is sent as it stands; whatever the receiver does is an outcome, never a throw. */
export async function sendWebhook(options: {
  url: string
  body: string
  id: string
  secrets: readonly [string, ...string[]]
  dispatcher: Dispatcher
  now: Date
  timeoutMs?: number
}): Promise<WebhookAttempt> {
  const { url, body, dispatcher, timeoutMs = 30_000 } = options
  const start = performance.now()
  const elapsedMs = () => Math.round(performance.now() - start)
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const answer = await request(url, {
      method: 'POST',
      dispatcher,
      signal,
      headers: {
        'content-type': 'application/json',
        'user-agent': userAgent,
        accept: '*/*',
        ...signWebhook(options),
      },
      body,
    })
    const latencyMs = elapsedMs()
    const status = answer.statusCode
    const responseExcerpt = await readExcerpt(answer.body)
    if (status >= 200 && status < 300) return { delivered: true, status, latencyMs, responseExcerpt }
    const error =
      status >= 300 && status < 400
        ? `The receiver answered ${status}; redirects are not followed.`
        : `The receiver answered ${status}.`
    return { delivered: false, status, latencyMs, responseExcerpt, error }
  } catch (cause) {
    const latencyMs = elapsedMs()
    return { delivered: false, latencyMs, responseExcerpt: '', error: outboundFailure(cause).message }
  }
}

/** Reads the first bytes and hangs up. An answer that breaks off or stalls gives what there was. */
async function readExcerpt(answer: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => answer.destroy(), excerptTimeLimitMs)
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= excerptBytes) break
    }
  } catch {
    // The status has already settled the attempt.
  } finally {
    clearTimeout(timer)
    answer.destroy()
  }
  const start = Buffer.concat(chunks).subarray(0, excerptBytes)
  // `stream` leaves out a character cut in two; PostgreSQL text can't hold NUL.
  return new TextDecoder().decode(start, { stream: true }).replaceAll('\0', '\ufffd')
}
