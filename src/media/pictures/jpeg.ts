import { cutOff, type Part, type PictureReading, without } from './file.ts'
import { exifOrientation, xmpOrientation } from './orientation.ts'

const remedy = 'save it as a baseline or progressive JPEG with 8 bits per colour.'

interface Frame {
  marker: number
  bits: number
  width: number
  height: number
}

interface Segments {
  frame: Frame | undefined
  exif: number | undefined
  xmp: number | undefined
  metadata: Part[]
  hasEnd: boolean
}

/**
 * From segment to segment up to the end. Bytes behind the end are fine: phones append a film to a photograph. So are
 * bytes between segments, which every decoder jumps over.
 */
export function readJpeg(bytes: Buffer): PictureReading {
  const { frame, exif, xmp, metadata, hasEnd } = readSegments(bytes)
  if (frame === undefined) return { fault: cutOff }
  const fault = faultOf(frame)
  if (fault !== undefined) return { fault }
  if (!hasEnd) return { fault: cutOff }
  const { width, height } = frame
  return { width, height, orientation: exif ?? xmp ?? 1, decodable: without(bytes, metadata) }
}

function readSegments(bytes: Buffer): Segments {
  const found: Segments = { frame: undefined, exif: undefined, xmp: undefined, metadata: [], hasEnd: false }
  for (let at = 2; at + 1 < bytes.length; ) {
    const marker = bytes[at + 1]!
    // what is no marker, also within a scan's data
    if (bytes[at] !== 0xff || marker === 0xff || standsAlone(marker)) {
      at += 1
      continue
    }
    if (marker === 0xd9) return { ...found, hasEnd: true }
    if (at + 4 > bytes.length) break
    const end = at + 2 + bytes.readUInt16BE(at + 2)
    readSegment(found, marker, bytes.subarray(at + 4, end), { start: at, end })
    at = end
  }
  return found
}

function standsAlone(marker: number): boolean {
  return marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)
}

function readSegment(found: Segments, marker: number, body: Buffer, part: Part): void {
  if (isFrame(marker) && body.length >= 6) {
    found.frame ??= {
      marker,
      bits: body[0]!,
      height: body.readUInt16BE(1),
      width: body.readUInt16BE(3),
    }
  }
  if (marker !== 0xe1) return
  const start = body.toString('latin1', 0, 32)
  if (/^exif/i.test(start)) found.exif ??= exifOrientation(body.subarray(4))
  else if (start.startsWith('http://ns.adobe.com/xap')) found.xmp ??= xmpOrientation(body.toString('latin1'))
  else return
  found.metadata.push(part)
}

/** DHT, JPG and DAC lie between the frame headers and are none. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
}

function faultOf({ marker, bits, width, height }: Frame): string | undefined {
  if (marker >= 0xc9) return `The JPEG is arithmetic-coded, which is not supported: ${remedy}`
  if (marker === 0xc3) return `The JPEG is lossless, which is not supported: ${remedy}`
  if (marker > 0xc3) return `The JPEG is hierarchical, which is not supported: ${remedy}`
  if (bits !== 8) return `The JPEG has ${bits} bits per colour, which is not supported: ${remedy}`
  if (width === 0 || height === 0) return `The JPEG does not say its size: ${remedy}`
  return undefined
}
