import { readJpeg } from './jpeg.ts'
import { readPng } from './png.ts'

/**
 * A JPEG or PNG with nothing in it but its picture, whose data stay as they are; undefined where that takes a new encoding:
 * it lies on its side, its colours are not those of sRGB, or it has more than 8 bits.
 */
export function stripped(bytes: Buffer, type: 'image/jpeg' | 'image/png'): Buffer | undefined {
  return type === 'image/jpeg' ? strippedJpeg(bytes) : strippedPng(bytes)
}

const [jfifBytes, grey, ycc] = [18, 1, 3]
const [soi, sos, eoi] = [0xd8, 0xda, 0xd9]

/** Only what decoders need is kept: up to the first end, as phones append films and other pictures. */
function strippedJpeg(bytes: Buffer): Buffer | undefined {
  const read = readJpeg(bytes)
  if ('fault' in read || read.orientation !== 1) return undefined
  const kept: Buffer[] = [Buffer.from([0xff, soi])]
  for (let at = 2; at + 1 < bytes.length; ) {
    const marker = bytes[at + 1]!
    if (bytes[at] !== 0xff || marker === 0xff || marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      // between segments, not within a scan: junk
      at += 1
      continue
    }
    if (marker === eoi) return Buffer.concat([...kept, Buffer.from([0xff, eoi])])
    const end = at + 2 + bytes.readUInt16BE(at + 2)
    const body = bytes.subarray(at + 4, end)
    if (isFrame(marker) && ![grey, ycc].includes(body[5] ?? 0)) return undefined
    if (isForeignProfile(marker, body)) return undefined
    const segment = keptSegment(marker, bytes.subarray(at, end))
    if (segment !== undefined) kept.push(segment)
    at = end
    if (marker !== sos) continue
    const scanEnd = endOfScan(bytes, at)
    kept.push(bytes.subarray(at, scanEnd))
    at = scanEnd
  }
  return undefined
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
}

/** Where the next marker is that is no part of the scan. */
function endOfScan(bytes: Buffer, start: number): number {
  for (let at = bytes.indexOf(0xff, start); at !== -1; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1]
    if (next !== undefined && next !== 0x00 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at
  }
  return bytes.length
}

function isForeignProfile(marker: number, body: Buffer): boolean {
  return marker === 0xe2 && body.toString('latin1', 0, 11) === 'ICC_PROFILE' && !isSrgb(body)
}

/** Tables, frames and scans; of the application's segments those that say how the colours are stored. */
function keptSegment(marker: number, segment: Buffer): Buffer | undefined {
  const isApplication = marker >= 0xe0 && marker <= 0xef
  if (!isApplication) return marker === 0xfe || marker >= 0xf0 ? undefined : segment
  const name = segment.toString('latin1', 4, 9)
  if (marker === 0xee && name === 'Adobe') return segment
  if (marker !== 0xe0 || name !== 'JFIF\0' || segment.length < jfifBytes) return undefined
  if (segment.length === jfifBytes) return segment
  // it has a small picture of its own behind it
  const short = Buffer.from(segment.subarray(0, jfifBytes))
  short.writeUInt16BE(jfifBytes - 2, 2)
  short.writeUInt16BE(0, jfifBytes - 2)
  return short
}

/** Profiles are known by the name that they give themselves, in one or two bytes a letter. */
function isSrgb(profile: Buffer): boolean {
  const text = profile.toString('latin1').replaceAll('\0', '')
  return text.includes('sRGB') && !text.includes('Display P3')
}

const keptChunks = ['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND', 'sRGB']
const [srgbGamma, srgbTransfer] = [45_455, 13]

function strippedPng(bytes: Buffer): Buffer | undefined {
  const read = readPng(bytes)
  if ('fault' in read || read.orientation !== 1 || bytes[24]! > 8) return undefined
  const kept: Buffer[] = [bytes.subarray(0, 8)]
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 12 + bytes.readUInt32BE(at)
    const type = bytes.toString('latin1', at + 4, at + 8)
    const data = bytes.subarray(at + 8, end - 4)
    if (type === 'iCCP') return undefined
    if (type === 'gAMA' && Math.abs(data.readUInt32BE(0) - srgbGamma) > 100) return undefined
    if (type === 'cICP' && (data[0] !== 1 || data[1] !== srgbTransfer)) return undefined
    if (type === 'cHRM' && Math.abs(data.readUInt32BE(8) - 64_000) > 200) return undefined
    if (keptChunks.includes(type)) kept.push(bytes.subarray(at, end))
    if (type === 'IEND') return Buffer.concat(kept)
    at = end
  }
  return undefined
}

/** Whether a PNG may be transparent anywhere, by its header. */
export function mayBeClear(png: Buffer): boolean {
  const colourType = png[25]!
  return colourType === 4 || colourType === 6 || png.includes('tRNS')
}
