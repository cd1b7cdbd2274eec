import { rm } from 'node:fs/promises'
import { pipeline, type Transform } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { CookieJar } from 'tough-cookie'
import { type Dispatcher, request } from 'undici'
import { type Outbound, outboundFailure, userAgent } from '../outbound.ts'
import { askForRest, continuation, type FileVersion, versionOf, wholeOf } from './file-version.ts'
import { type GrowingFile, openGrowingFile } from './growing-file.ts'

/** `message` may be shown to the customer: it names no address but the one given. */
export type DownloadOutcome =
  | { ok: true; bytes: number; sha256: string }
  | { ok: false; reason: 'unreachable' | 'too_large' | 'refused_address'; message: string }

type Failure = Extract<DownloadOutcome, { ok: false }>

/** What a transfer that breaks off is worth; for tests to shorten. */
export interface Patience {
  /** How often it is taken up again without getting on. */
  retries: number
  /** The first pause is up to twice as long, each further one twice the one before. */
  pauseMs: number
  /** A body of which nothing comes for so long counts as broken off. */
  silenceMs: number
}

export interface Download {
  url: string
  path: string
  maxBytes: number
  outbound: Outbound
  /** Counts over all: redirects, pauses and a body that trickles in included. */
  timeLimitMs: number
  /** Ends the download before its time. */
  signal?: AbortSignal
  /** Asked while the file grows: how much has come, and how long it is said to be. False: it is too large. */
  fits?(bytes: number, promisedBytes: number): boolean
  patience?: Patience
}

const usualPatience: Patience = { retries: 5, pauseMs: 200, silenceMs: 20_000 }
/** Less than this is no getting on: a server could have us come back for each single byte. */
const leastProgressBytes = 65_536
const maxRedirects = 10
const mostCookies = 50
/** Of an upstream's output and of redirects, whose signatures can be long; a customer's URL is checked at the submit. */
const maxUrlLength = 8_192
const redirectStatuses = new Set([301, 302, 303, 307, 308])
const passingStatuses = new Set([408, 429, 500, 502, 503, 504])

/**
 * Fetches a file, mostly a customer's, to `path`; of a failed download nothing is left there. A transfer that breaks
 * off or falls silent is resumed where it ended if the server lets us prove that it is the same file still, and else
 * begun anew; bytes of two versions are never joined.
 */
export async function downloadMedia(download: Download): Promise<DownloadOutcome> {
  const limit = AbortSignal.timeout(download.timeLimitMs)
  const signal = download.signal ? AbortSignal.any([limit, download.signal]) : limit
  let isWhole = false
  const file = await openGrowingFile(download.path)
  try {
    await file.restart()
    const outcome = await fetchWhole(download, file, signal)
    isWhole = outcome.ok
    return outcome
  } finally {
    await file.close()
    if (!isWhole) await rm(download.path, { force: true })
  }
}

/** What came of one request: the end of it all, or a reason to ask again. `version`: of what is in the file then. */
type Part = { end: DownloadOutcome } | { version: FileVersion | undefined; broken: Failure }

async function fetchWhole(
  download: Download,
  file: GrowingFile,
  signal: AbortSignal,
): Promise<DownloadOutcome> {
  const { retries, pauseMs } = download.patience ?? usualPatience
  let version: FileVersion | undefined
  let furthest = 0
  let fruitless = 0
  for (;;) {
    const part = await fetchPart(download, file, version, signal)
    if ('end' in part) return part.end
    if (signal.aborted) return failureOf(signal.reason)
    version = part.version
    fruitless = file.bytes >= furthest + leastProgressBytes ? 0 : fruitless + 1
    furthest = Math.max(furthest, file.bytes)
    if (fruitless > retries) return part.broken
    // full jitter: a server that restarts has broken off more than this transfer
    const pause = Math.random() * pauseMs * 2 ** fruitless
    await sleep(pause, undefined, { signal }).catch(() => {})
  }
}

/** One request, for the whole file or for the rest of the version of which the file has the beginning. */
async function fetchPart(
  download: Download,
  file: GrowingFile,
  version: FileVersion | undefined,
  signal: AbortSignal,
): Promise<Part> {
  const rest = version === undefined ? {} : askForRest(version, file.bytes)
  let answer: Dispatcher.ResponseData | Failure
  try {
    answer = await followRedirects(download, rest, signal)
  } catch (error) {
    const failure = failureOf(error)
    const isFinal = failure.reason === 'refused_address' || (version === undefined && !isLost(error))
    return isFinal ? { end: failure } : { version, broken: failure }
  }
  if ('ok' in answer) return { end: answer }
  const started = await startPart(answer, 'range' in rest ? version : undefined, file)
  if (started === 'not_the_rest') {
    hangUp(answer)
    // what is in the file may be of a version that is there no more
    return { version: {}, broken: unreachable('The server did not continue the file where it broke off.') }
  }
  if ('message' in started) {
    hangUp(answer)
    return passingStatuses.has(answer.statusCode) ? { version, broken: started } : { end: started }
  }
  return receive(download, file, started, answer)
}

/** What is coming: a part of a version, up to `endByte` (exclusive) if that was told. */
interface Started {
  version: FileVersion
  endByte?: number | undefined
  /** What undoes the encoding of the body. */
  decode?: (() => Transform) | undefined
}

/** Judges an answer before its body, and empties the file for one that begins anew. */
async function startPart(
  answer: Dispatcher.ResponseData,
  continued: FileVersion | undefined,
  file: GrowingFile,
): Promise<Started | Failure | 'not_the_rest'> {
  const { statusCode, headers } = answer
  if (continued && statusCode === 416) return 'not_the_rest'
  const isWhole = statusCode === 206 && continued === undefined && wholeOf(headers) !== undefined
  if (statusCode !== 200 && statusCode !== 203 && !isWhole && !(continued && statusCode === 206)) {
    return unreachable(
      statusCode === 206 ? 'The server sent only a part of the file.' : `The server answered ${statusCode}.`,
    )
  }
  const encodings = encodingsOf(headers['content-encoding'])
  if (encodings.length > 0) {
    if (statusCode === 206) return 'not_the_rest'
    const unknown = encodings.find((name) => decoders[name] === undefined)
    if (unknown !== undefined || encodings.length > 1) {
      return unreachable(`The server sent the file encoded as ${encodings.join(', ')}, which is not read.`)
    }
    await file.restart()
    // of what comes out neither the length is known nor where it could be taken up again
    return { version: {}, decode: decoders[encodings[0]!] }
  }
  if (continued && statusCode === 206) return continuation(continued, headers, file.bytes) ?? 'not_the_rest'
  await file.restart()
  const version = isWhole ? { ...versionOf(headers), totalBytes: wholeOf(headers) } : versionOf(headers)
  return { version, endByte: version.totalBytes }
}

async function receive(
  { maxBytes, fits = () => true }: Download,
  file: GrowingFile,
  { version, endByte = Number.POSITIVE_INFINITY, decode }: Started,
  answer: Dispatcher.ResponseData,
): Promise<Part> {
  const { totalBytes = 0 } = version
  const isTooLarge = (bytes: number) => Math.max(bytes, totalBytes) > maxBytes || !fits(bytes, totalBytes)
  if (isTooLarge(file.bytes)) {
    hangUp(answer)
    return { end: tooLarge(maxBytes) }
  }
  try {
    for await (const chunk of bodyOf(answer, decode)) {
      const bytes = file.bytes + chunk.length
      if (bytes > endByte) return { version: {}, broken: unreachable('The file is longer than was said.') }
      if (isTooLarge(bytes)) return { end: tooLarge(maxBytes) }
      await file.append(chunk)
    }
  } catch (error) {
    if (isDiskError(error)) throw error
    return { version, broken: isNotDecoded(error) ? unreachable(notDecoded) : failureOf(error) }
  }
  if (file.bytes < totalBytes) return { version, broken: unreachable('The file broke off.') }
  return { end: { ok: true, ...(await file.finish()) } }
}

async function followRedirects(
  { url, outbound, patience = usualPatience }: Download,
  rest: Record<string, string>,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData | Failure> {
  let next = url
  // for the way to this one file: some stores and drives let nobody pass who does not bring back what they set
  const cookies = new CookieJar()
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const check = outbound.check(next, ['http:', 'https:'], maxUrlLength)
    if (!check.ok) {
      const reason = check.reason === 'refused_address' ? 'refused_address' : 'unreachable'
      return { ok: false, reason, message: check.message }
    }
    const { href } = check.url
    const cookie = cookies.getCookieStringSync(href)
    const answer = await request(href, {
      dispatcher: outbound.dispatcher,
      signal,
      headers: {
        'user-agent': userAgent,
        accept: '*/*',
        'accept-encoding': 'identity',
        ...(cookie && { cookie }),
        ...rest,
      },
      bodyTimeout: patience.silenceMs,
    })
    const { location } = answer.headers
    if (!redirectStatuses.has(answer.statusCode) || typeof location !== 'string') return answer
    hangUp(answer)
    for (const set of [answer.headers['set-cookie'] ?? []].flat().slice(0, mostCookies)) {
      cookies.setCookieSync(set, href, { ignoreError: true })
    }
    const target = URL.parse(location, href)
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

/** A kept connection that the server ends at the very moment of the request is nobody's fault. */
function isLost(error: unknown): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return /^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/.test(code ?? '')
}

/** Some servers compress whatever is asked of them. A small answer that becomes a large file is cut off like one. */
const decoders: Record<string, () => Transform> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

/** Other words in this header (`aws-chunked`, `utf-8`) are leftovers of an upload and change no byte. */
function encodingsOf(contentEncoding: string | string[] | undefined): string[] {
  const words = String(contentEncoding ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
  return words.filter((word) => Object.hasOwn(decoders, word) || word === 'compress')
}

const notDecoded = 'The server sent the file in a broken encoding.'

function isNotDecoded(error: unknown): boolean {
  return error instanceof Error && /^(Z_|ZSTD_|ERR__)/.test((error as NodeJS.ErrnoException).code ?? '')
}

function bodyOf(
  { body }: Dispatcher.ResponseData,
  decode: (() => Transform) | undefined,
): AsyncIterable<Buffer> {
  if (decode === undefined) return body as AsyncIterable<Buffer>
  // its failure is told by the decoder as well
  return pipeline(body, decode(), () => {})
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
