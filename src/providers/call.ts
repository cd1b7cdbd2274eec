import type { IncomingHttpHeaders } from 'node:http'
import { Agent, buildConnector, type Dispatcher, type FormData, request } from 'undici'
import { userAgent } from '../outbound.ts'
import { type ExactJson, parseExact, stringifyExact } from './exact-json.ts'
import type { SubmitOutcome } from './provider.ts'

/** One call to an upstream, at an address that the operator has set. */
export interface UpstreamCall {
  url: string
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  headers?: Record<string, string>
  /** Sent as JSON. */
  body?: ExactJson
  /** Sent in its place, as multipart/form-data. */
  form?: FormData
  /** The only time limit. */
  signal: AbortSignal
  /** An answer longer than this counts as malformed. */
  maxBytes?: number
}

export interface UpstreamAnswer {
  status: number
  headers: IncomingHttpHeaders
  /** Untrusted; undefined where the answer was no JSON or too long. Whole numbers that would be rounded are texts. */
  json: unknown
  /** What Retry-After asks for. */
  retryAfterMs: number | undefined
}

/**
 * There was no whole answer. The message names the upstream's origin and a code: no path, query or header, which may
 * hold a key.
 */
export class CallFailed extends Error {
  /** No connection was made, so the upstream can't have the request. False: it may have it. */
  readonly neverSent: boolean

  constructor(url: string, code: string, neverSent: boolean) {
    const what = neverSent ? 'could not be reached' : 'gave no whole answer'
    super(`${URL.parse(url)?.origin ?? 'the upstream'} ${what} (${code})`)
    this.name = 'CallFailed'
    this.neverSent = neverSent
  }
}

/** More than any answer has; of 8 MB made for it the reading alone would hold the event loop up for seconds. */
const defaultMaxBytes = 1024 * 1024
const maxRetryAfterMs = 10 * 60_000
const connectTimeLimitMs = 10_000

/** Tells trouble of the connect step from all later trouble, which no list of error codes does for certain. */
class NotConnected extends Error {
  readonly code: string

  constructor(cause: Error) {
    super('not connected')
    this.code = codeOf(cause)
  }
}

const connect = buildConnector({ timeout: connectTimeLimitMs, autoSelectFamilyAttemptTimeout: 2_500 })
const agent = new Agent({
  // the signal decides
  headersTimeout: 0,
  bodyTimeout: 0,
  connect(target, callback) {
    connect(target, (...[error, socket]) => {
      if (error === null) callback(null, socket)
      else callback(new NotConnected(error), null)
    })
  },
})

/**
 * Asks an upstream once: no retry, no redirect followed (which could carry the key elsewhere). Any status is an answer.
 * Throws CallFailed.
 */
export async function callUpstream(call: UpstreamCall): Promise<UpstreamAnswer> {
  try {
    const {
      statusCode: status,
      headers,
      body,
    } = await request(call.url, {
      method: call.method,
      dispatcher: agent,
      signal: call.signal,
      headers: {
        'user-agent': userAgent,
        accept: 'application/json',
        ...(call.body !== undefined && { 'content-type': 'application/json' }),
        ...call.headers,
      },
      ...(call.body !== undefined && { body: stringifyExact(call.body) }),
      ...(call.form !== undefined && { body: call.form }),
    })
    const json = parseJson(await read(body, call.maxBytes ?? defaultMaxBytes))
    return { status, headers, json, retryAfterMs: retryAfterMs(headers) }
  } catch (error) {
    throw new CallFailed(call.url, codeOf(error), error instanceof NotConnected)
  }
}

/** What a submit without a whole answer comes to. */
export function submitFailure(error: unknown): SubmitOutcome {
  const neverSent = error instanceof CallFailed && error.neverSent
  return { outcome: neverSent ? 'unavailable' : 'unknown', cause: error }
}

/** Undefined if there is more than `maxBytes`; the rest is not read. */
async function read(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // leaving the loop closes the connection
    if (bytes > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Undefined where it is no JSON. */
export function parseJson(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return parseExact(text)
  } catch {
    return undefined
  }
}

/** Seconds or a date; a date counts from the answer's own, as clocks differ, and says nothing without it. */
export function retryAfterMs(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['retry-after']?.trim()
  if (text === undefined || text === '') return undefined
  const until = Date.parse(text)
  const now = Date.parse(headers.date ?? '')
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : until - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxRetryAfterMs)
}

function codeOf(error: unknown): string {
  const { code, name } = error instanceof Error ? (error as NodeJS.ErrnoException) : { name: 'unknown' }
  return typeof code === 'string' ? code : name
}
