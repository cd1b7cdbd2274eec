import { randomUUID } from 'node:crypto'
import { exchange, persist } from './exchange.ts'
import { CommandFailed } from './output.ts'

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
  const place = `FILMGATE_URL: ${url}`
  return {
    url,
    call(method, path, { body, headers, attempts, signal } = {}) {
      const allHeaders = {
        authorization: `Bearer ${key}`,
        ...(method === 'POST' && { 'content-type': 'application/json', 'idempotency-key': randomUUID() }),
        ...headers,
      }
      return persist({ attempts, signal }, async () => {
        const document = await exchange(place, `${url}${path}`, {
          method,
          redirect: 'error',
          headers: allHeaders,
          ...(body !== undefined && { body: JSON.stringify(body) }),
          signal: AbortSignal.any([AbortSignal.timeout(callTimeLimitMs), ...(signal ? [signal] : [])]),
        })
        if (document === undefined) throw new CommandFailed(`${place} does not answer as filmgate does`)
        return document
      })
    },
  }
}
