import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { type Dispatcher, request } from 'undici'
import { type Outbound, outboundFailure, userAgent } from '../outbound.ts'

/** `message` may be shown to the customer: it names no address but the one given. */
export type DownloadOutcome =
  | { ok: true; bytes: number; sha256: string }
  | { ok: false; reason: 'unreachable' | 'too_large' | 'refused_address'; message: string }

type Failure = Extract<DownloadOutcome, { ok: false }>

const maxRedirects = 3
const redirectStatuses = new Set([301, 302, 303, 307, 308])

/**
 * Fetches a customer's file to `path`; of a failed download nothing is left there. `timeLimitMs` counts over all,
 * redirects and a body that trickles in included.
 */
export async function downloadMedia(options: {
  url: string
  path: string
  maxBytes: number
  outbound: Outbound
  timeLimitMs: number
}): Promise<DownloadOutcome> {
  const { path, maxBytes, outbound } = options
  const signal = AbortSignal.timeout(options.timeLimitMs)
  let answer: Dispatcher.ResponseData
  try {
    const reached = await followRedirects(options.url, outbound, signal)
    if ('ok' in reached) return reached
    answer = reached
  } catch (error) {
    return failureOf(error)
  }
  if (answer.statusCode !== 200) {
    hangUp(answer)
    return unreachable(`The server answered ${answer.statusCode}.`)
  }
  // Only to refuse early: what counts is what arrives.
  if (Number(answer.headers['content-length']) > maxBytes) {
    hangUp(answer)
    return tooLarge(maxBytes)
  }
  await using file = await open(path, 'w', 0o600)
  try {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBytes) {
        await rm(path, { force: true })
        return tooLarge(maxBytes)
      }
      hash.update(chunk)
      await file.appendFile(chunk)
    }
    return { ok: true, bytes, sha256: hash.digest('hex') }
  } catch (error) {
    await rm(path, { force: true })
    if (isDiskError(error)) throw error
    return failureOf(error)
  }
}

async function followRedirects(
  url: string,
  outbound: Outbound,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData | Failure> {
  let next = url
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const check = outbound.check(next, ['http:', 'https:'])
    if (!check.ok) {
      const reason = check.reason === 'refused_address' ? 'refused_address' : 'unreachable'
      return { ok: false, reason, message: check.message }
    }
    const answer = await request(check.url.href, {
      dispatcher: outbound.dispatcher,
      signal,
      headers: { 'user-agent': userAgent, accept: '*/*', 'accept-encoding': 'identity' },
    })
    const { location } = answer.headers
    if (!redirectStatuses.has(answer.statusCode) || typeof location !== 'string') return answer
    hangUp(answer)
    const target = URL.parse(location, check.url.href)
    if (target === null) return unreachable('The server redirected to a malformed URL.')
    next = target.href
  }
  return unreachable(`The server redirected more than ${maxRedirects} times.`)
}

/** Ends the connection with whatever of the body is under way. */
function hangUp(answer: Dispatcher.ResponseData): void {
  answer.body.on('error', () => {})
  answer.body.destroy()
}

function failureOf(error: unknown): Failure {
  const { reason, message } = outboundFailure(error)
  return reason === 'refused_address' ? { ok: false, reason, message } : unreachable(message)
}

function unreachable(message: string): Failure {
  return { ok: false, reason: 'unreachable', message }
}

function tooLarge(maxBytes: number): Failure {
  return { ok: false, reason: 'too_large', message: `The file is larger than ${maxBytes} bytes.` }
}

/** A full disk is our trouble, not the customer's. */
function isDiskError(error: unknown): boolean {
  const syscall = error instanceof Error ? (error as NodeJS.ErrnoException).syscall : undefined
  return (
    syscall === 'write' && /^(ENOSPC|EDQUOT|EIO|EROFS)$/.test((error as NodeJS.ErrnoException).code ?? '')
  )
}
