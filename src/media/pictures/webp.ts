import { cutOff, type Part, type PictureReading, without } from './file.ts'
import { exifOrientation, xmpOrientation } from './orientation.ts'

const noFrame = 'The WebP holds no picture: its first frame is empty or broken.'

interface Chunk {
  type: string
  data: Buffer
  part: Part
}

interface Size {
  width: number
  height: number
}

/** Chunk by chunk within the length that RIFF gives; the first frame must have data that begins as a picture does. */
export function readWebp(bytes: Buffer): PictureReading {
  if (bytes.length < 12) return { fault: cutOff }
  const end = bytes.readUInt32LE(4) + 8
  if (end > bytes.length) return { fault: cutOff }
  const chunks = readChunks(bytes, 12, end)
  const first = chunks.find(({ type }) => ['VP8 ', 'VP8L', 'ANMF'].includes(type))
  const frame = first?.type === 'ANMF' ? frameWithin(first.data) : first
  const size = frame === undefined ? undefined : frameSize(frame)
  if (size === undefined) return { fault: noFrame }
  const metadata = chunks.filter(({ type }) => type === 'EXIF' || type === 'XMP ').map(({ part }) => part)
  return {
    ...(canvasSize(chunks) ?? size),
    orientation: orientationOf(chunks),
    decodable: metadata.length === 0 ? bytes : resized(without(bytes.subarray(0, end), metadata)),
  }
}

function readChunks(bytes: Buffer, start: number, end: number): Chunk[] {
  const chunks: Chunk[] = []
  for (let at = start; at + 8 <= end; ) {
    const dataEnd = at + 8 + bytes.readUInt32LE(at + 4)
    if (dataEnd > end) break
    const next = Math.min(end, dataEnd + (dataEnd % 2))
    const type = bytes.toString('latin1', at, at + 4)
    chunks.push({ type, data: bytes.subarray(at + 8, dataEnd), part: { start: at, end: next } })
    at = next
  }
  return chunks
}

/** An animation's frame has 16 bytes of place and time in front. */
function frameWithin(data: Buffer): Chunk | undefined {
  // a copy, as chunks begin at even places of their own file
  const inner = Buffer.from(data.subarray(16))
  return readChunks(inner, 0, inner.length).find(({ type }) => type === 'VP8 ' || type === 'VP8L')
}

function frameSize({ type, data }: Chunk): Size | undefined {
  if (type === 'VP8L') {
    if (data.length < 6 || data[0] !== 0x2f) return undefined
    const bits = data.readUInt32LE(1)
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
  }
  const isKey = data.length > 10 && (data[0]! & 1) === 0 && data.readUIntBE(3, 3) === 0x9d012a
  const firstPartBytes = isKey ? data.readUIntLE(0, 3) >>> 5 : 0
  if (!isKey || firstPartBytes > data.length - 10) return undefined
  const [width, height] = [data.readUInt16LE(6) & 0x3fff, data.readUInt16LE(8) & 0x3fff]
  return width > 0 && height > 0 ? { width, height } : undefined
}

function canvasSize(chunks: Chunk[]): Size | undefined {
  const header = chunks.find(({ type, data }) => type === 'VP8X' && data.length >= 10)?.data
  return header && { width: header.readUIntLE(4, 3) + 1, height: header.readUIntLE(7, 3) + 1 }
}

function orientationOf(chunks: Chunk[]): number {
  const dataOf = (wanted: string) => chunks.find(({ type }) => type === wanted)?.data
  const [exif, xmp] = [dataOf('EXIF'), dataOf('XMP ')]
  return (exif && exifOrientation(exif)) ?? (xmp && xmpOrientation(xmp.toString('latin1'))) ?? 1
}

/** With the length in its head that it has now, and no word there of the metadata that it has no longer. */
function resized(webp: Buffer): Buffer {
  webp.writeUInt32LE(webp.length - 8, 4)
  if (webp.toString('latin1', 12, 16) === 'VP8X') webp[20] = webp[20]! & ~0x0c
  return webp
}
