import { fileTypeFromBuffer } from 'file-type'
import { imageSize } from 'image-size'
import { ALL_FORMATS, BufferSource, Input } from 'mediabunny'
import { isLoopback } from './media.ts'

/** A file that a request brings, by URL or (pictures only) as base64, and what it may be like. */
export interface KlingMedia {
  field: string
  value: string
  kind: 'image' | 'video'
  maxMegabytes: number
  /** The least and the greatest of each side, in pixels. */
  sides?: [number, number]
  maxArea?: number
  /** Width by height. */
  ratio?: [number, number]
  seconds?: [number, number]
  framesPerSecond?: [number, number]
}

const types = { image: ['image/jpeg', 'image/png'], video: ['video/mp4', 'video/quicktime'] }
/** Encoders seldom hit a length or a rate to the last digit. */
const slack = 0.05

/** A picture of which neither side is too small and the shape not too long. */
export function picture(field: string, value: string, maxMegabytes: number): KlingMedia {
  return {
    field,
    value,
    kind: 'image',
    maxMegabytes,
    sides: [300, Number.POSITIVE_INFINITY],
    ratio: [0.4, 2.5],
  }
}

/** What the vendor would say of a file; undefined if it may be used. Only files on loopback can be looked at here. */
export async function mediaFault(media: KlingMedia): Promise<string | undefined> {
  const { field, value, kind, maxMegabytes } = media
  const isUrl = /^https?:\/\//.test(value)
  if (value.startsWith('data:')) return `${field} must not have a data: prefix`
  if (!isUrl && kind === 'video') return `${field} must be a URL`
  if (isUrl && !isLoopback(value)) return undefined
  const bytes = isUrl ? await load(value) : decode(value)
  if (bytes === undefined) return `${field} ${isUrl ? 'cannot be downloaded' : 'is no valid base64'}`
  if (bytes.length > maxMegabytes * 1024 * 1024) return `${field} is larger than ${maxMegabytes} MB`
  const type = await fileTypeFromBuffer(bytes)
  if (type === undefined || !types[kind].includes(type.mime))
    return `${field} is not of ${types[kind].join(', ')}`
  return kind === 'image' ? pictureFault(bytes, media) : await filmFault(bytes, media)
}

async function load(url: string): Promise<Buffer | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
    return response.ok ? Buffer.from(await response.arrayBuffer()) : undefined
  } catch {
    return undefined
  }
}

function decode(base64: string): Buffer | undefined {
  const isWhole = base64.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(base64)
  return isWhole ? Buffer.from(base64, 'base64') : undefined
}

function pictureFault(bytes: Buffer, media: KlingMedia): string | undefined {
  try {
    const { width, height } = imageSize(bytes)
    return sizeFault(width, height, media)
  } catch {
    return `${media.field} cannot be read`
  }
}

async function filmFault(bytes: Buffer, media: KlingMedia): Promise<string | undefined> {
  try {
    using input = new Input({ source: new BufferSource(bytes), formats: ALL_FORMATS })
    const track = await input.getPrimaryVideoTrack()
    if (track === null) return `${media.field} has no pictures`
    const { averagePacketRate } = await track.computePacketStats()
    return (
      sizeFault(track.displayWidth, track.displayHeight, media) ??
      rangeFault(`${media.field}: duration`, await track.computeDuration(), media.seconds, slack) ??
      rangeFault(`${media.field}: frame rate`, averagePacketRate, media.framesPerSecond, slack)
    )
  } catch {
    return `${media.field} cannot be read`
  }
}

function sizeFault(
  width: number,
  height: number,
  { field, sides, ratio, maxArea }: KlingMedia,
): string | undefined {
  if (maxArea !== undefined && width * height > maxArea) return `${field}: more than ${maxArea} pixels`
  return (
    rangeFault(`${field}: width`, width, sides) ??
    rangeFault(`${field}: height`, height, sides) ??
    rangeFault(`${field}: width by height`, width / height, ratio)
  )
}

function rangeFault(name: string, value: number, range?: [number, number], give = 0): string | undefined {
  if (range === undefined || (value >= range[0] - give && value <= range[1] + give)) return undefined
  return `${name} must be from ${range[0]} to ${range[1]}, is ${value}`
}
