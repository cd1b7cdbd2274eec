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

/**
 * One request; answers the JSON document of a success, or undefined if it is none. `place` names what to mend where
 * the server can't be reached.
 */
export async function exchange(place: string, url: string, init: RequestInit) {
  const { answer, text } = await overNetwork(place, async () => {
    const answer = await fetch(url, init)
    return { answer, text: await answer.text() }
  })
  const document = parse(text)
  if (answer.ok) return document
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
  const text = describe(document?.error) ?? `${place} answered ${answer.status}, and not as filmgate does`
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
