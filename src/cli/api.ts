import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CommandFailed } from './output.ts'

/** What keeps a request from being answered may pass by itself, so the same request may be sent again. */
export class PassingTrouble extends CommandFailed {
  /** As the server asked. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryAfterMs?: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

interface CallOptions {
  body?: unknown
  headers?: Record<string, string>
  attempts?: number
  signal?: AbortSignal | undefined
}

/** The API of one server, as one customer calls it. */
export interface Api {
  url: string
  /** The answer, or CommandFailed with the code and message of the refusal. */
  call<T>(method: 'GET' | 'POST', path: string, options?: CallOptions): Promise<T>
}

/** The server and the customer that FILMGATE_URL and FILMGATE_API_KEY name. An empty value counts as unset. */
export function openApi(environment: NodeJS.ProcessEnv): Api {
  const url = environment.FILMGATE_URL || 'http://127.0.0.1:8787'
  const parsed = URL.parse(url)
  // what could be a password is not shown
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password) {
    throw new CommandFailed(
      'FILMGATE_URL is not the address of a server: write it like http://127.0.0.1:8787, without a password',
    )
  }
  const key = environment.FILMGATE_API_KEY
  if (!key) {
    throw new CommandFailed(
      'FILMGATE_API_KEY is not set: ask the operator for a key, or make one with "filmgate key create --user USER --test", and export it',
    )
  }
  // fetch would show a header that it refuses
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new CommandFailed('FILMGATE_API_KEY holds spaces or other characters that no key has: copy it anew')
  }
  return createApi(url.replace(/\/+$/, ''), key)
}

const callTimeLimitMs = 60_000

/**
 * The API of the server at `url`. Every POST has an idempotency key that its retries share, so that those whose
 * answers were lost can't charge twice. Redirects are not followed: the key is for this server only.
 */
export function createApi(url: string, key: string): Api {
  return {
    url,
    call(method, path, { body, headers, attempts, signal } = {}) {
      const allHeaders = {
        authorization: `Bearer ${key}`,
        ...(method === 'POST' && { 'content-type': 'application/json', 'idempotency-key': randomUUID() }),
        ...headers,
      }
      return persist({ attempts, signal }, () =>
        exchange('FILMGATE_URL: ', `${url}${path}`, {
          method,
          redirect: 'error',
          headers: allHeaders,
          ...(body !== undefined && { body: JSON.stringify(body) }),
          signal: AbortSignal.any([AbortSignal.timeout(callTimeLimitMs), ...(signal ? [signal] : [])]),
        }),
      )
    },
  }
}

const firstPauseMs = 500
const longestPauseMs = 8_000
const longestAskedPauseMs = 60_000

/** Tries again while only passing trouble keeps `attempt` from succeeding, `attempts` times in all. */
export async function persist<T>(
  { attempts = 4, signal }: { attempts?: number | undefined; signal?: AbortSignal | undefined },
  attempt: () => Promise<T>,
): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof PassingTrouble) || count >= attempts) throw error
      const pauseMs = error.retryAfterMs ?? Math.min(firstPauseMs * 2 ** (count - 1), longestPauseMs)
      if (pauseMs > longestAskedPauseMs) throw error
      await sleep(pauseMs, undefined, { signal })
    }
  }
}

/** One request and its JSON answer. `setting` names what to mend where the server can't be reached. */
export async function exchange(setting: string, url: string, init: RequestInit) {
  const place = `${setting}${new URL(url).origin}`
  const { answer, text } = await overNetwork(place, async () => {
    const answer = await fetch(url, init)
    return { answer, text: await answer.text() }
  })
  const document = parse(text)
  if (document !== undefined && answer.ok) return document
  throw refusal(answer, document, place)
}

/** Does `work`; what fetch throws where nothing, or not all, came over the network is told as such. */
export async function overNetwork<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw networkTrouble(place, error) ?? error
  }
}

function networkTrouble(place: string, error: unknown): CommandFailed | undefined {
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new PassingTrouble(`${place} is too slow: try again later`)
  }
  if (!(error instanceof TypeError)) return undefined
  // of a name with several addresses each has its own error
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause
  const reason = cause instanceof Error ? cause.message : error.message
  const text = `${place} gives no answer (${reason}): is this a running server?`
  // what fetch itself refuses, such as a redirect, has no code
  const isPassing = cause instanceof Error && 'code' in cause
  return isPassing ? new PassingTrouble(text) : new CommandFailed(text)
}

function parse(text: string) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface ApiError {
  code: string
  message: string
  details?: { issues?: { path: string; message: string }[] }
}

// A proxy answers 502 and 504 where the server's own answer was lost.
const passingStatuses = [429, 502, 503, 504]

/** The refusal that an answer is. `place` stands in for a message where it has none. */
export function refusal(
  answer: Response,
  document: { error?: ApiError } | undefined,
  place: string,
): CommandFailed {
  const text = describe(document?.error) ?? `${place} answered ${answer.status}, but not as filmgate does`
  if (!passingStatuses.includes(answer.status)) return new CommandFailed(text)
  const seconds = answer.headers.get('retry-after') ?? ''
  return new PassingTrouble(text, /^\d+$/.test(seconds) ? Number(seconds) * 1000 : undefined)
}

// The message holds the first issue; of several each has its own line.
function describe(error: ApiError | undefined): string | undefined {
  if (typeof error?.code !== 'string') return undefined
  const issues = error.details?.issues ?? []
  const lines = issues.length > 1 ? issues.map(({ path, message }) => `  ${path}: ${message}`) : []
  return [`${error.code}: ${error.message}`, ...lines].join('\n')
}
