import { readFile } from 'node:fs/promises'
import { fileTypeFromBuffer } from 'file-type'
import { imageSize } from 'image-size'
import { ALL_FORMATS, BufferSource, Input } from 'mediabunny'
import { fileOf } from '../../torture/film.ts'

export type MediaKind = 'image' | 'video' | 'audio'

/** A file that a request names by URL, and what it may be like. */
export interface MediaReference {
  field: string
  url: string
  kind: MediaKind
  limits: MediaLimits
}

export interface MediaLimits {
  maxBytes?: number
  /** Of a picture's sides, each. */
  minPixels?: number
  /** The least and the greatest width by height. */
  ratio?: [number, number]
  seconds?: [number, number]
}

export type MediaFault =
  | 'unreachable'
  | 'not of its kind'
  | 'too many bytes'
  | 'too small'
  | 'ratio'
  | 'too short'
  | 'too long'

/** What was found behind a URL: what is wrong with it, or how long it plays. */
export interface Looked {
  fault?: MediaFault
  seconds?: number
}

/** Fetches the file, as the upstream does, and looks at it. Only loopback and data: URLs can be fetched in a test. */
export async function look({ url, kind, limits }: MediaReference): Promise<Looked> {
  if (!url.startsWith('data:') && !isLoopback(url)) return isWeb(url) ? {} : { fault: 'unreachable' }
  const bytes = await load(url)
  if (bytes === undefined) return { fault: 'unreachable' }
  const type = await fileTypeFromBuffer(bytes)
  if (type === undefined || !type.mime.startsWith(`${kind}/`)) return { fault: 'not of its kind' }
  if (bytes.length > (limits.maxBytes ?? Number.POSITIVE_INFINITY)) return { fault: 'too many bytes' }
  try {
    return kind === 'image' ? lookAtPicture(bytes, limits) : await lookAtTrack(bytes, limits)
  } catch {
    return { fault: 'not of its kind' }
  }
}

async function load(url: string): Promise<Buffer | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
    const bytes = Buffer.from(await response.arrayBuffer())
    return response.ok ? bytes : undefined
  } catch {
    return undefined
  }
}

function lookAtPicture(
  bytes: Buffer,
  { minPixels = 0, ratio = [0, Number.POSITIVE_INFINITY] }: MediaLimits,
): Looked {
  const { width, height } = imageSize(bytes)
  if (Math.min(width, height) < minPixels) return { fault: 'too small' }
  const isOdd = width / height < ratio[0] || width / height > ratio[1]
  return isOdd ? { fault: 'ratio' } : {}
}

async function lookAtTrack(
  bytes: Buffer,
  { seconds: range = [0, Number.POSITIVE_INFINITY] }: MediaLimits,
): Promise<Looked> {
  const seconds = await new Input({ source: new BufferSource(bytes), formats: ALL_FORMATS }).computeDuration()
  if (seconds < range[0]) return { fault: 'too short', seconds }
  return seconds > range[1] ? { fault: 'too long', seconds } : { seconds }
}

function isWeb(url: string): boolean {
  return ['http:', 'https:'].includes(URL.parse(url)?.protocol ?? '')
}

/** Whether the URL leads to this machine. */
export function isLoopback(url: string): boolean {
  return isWeb(url) && ['127.0.0.1', 'localhost', '[::1]'].includes(URL.parse(url)?.hostname ?? '')
}

/** The film that an upstream hands out: the given one, the one at the given path, or a small one that plays. */
export async function filmFrom(film: Uint8Array | string | undefined): Promise<Buffer> {
  if (film === undefined) return await fileOf(0)
  return typeof film === 'string' ? await readFile(film) : Buffer.from(film)
}
