import { crc32, createInflate, inflateSync } from 'node:zlib'
import { areForeign, type ColourTags, colourTags } from '../hdr.ts'
import { cutOff, type Part, type PictureReading, without } from './file.ts'
import { exifOrientation, xmpOrientation } from './orientation.ts'

const mostTextBytes = 4_000_000
const samplesPerPixel: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
/** Where the pixels of Adam7's seven passes start, and how far apart they are. */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

interface Header {
  width: number
  height: number
  bitsPerPixel: number
  isInterlaced: boolean
}

interface Chunk {
  type: string
  data: Buffer
  part: Part
}

/** Chunk by chunk up to IEND. Those that a decoder needs must have the right checksum. */
export function readPng(bytes: Buffer): PictureReading {
  const { chunks, isWhole } = readChunks(bytes)
  const header = chunks[0]?.type === 'IHDR' ? readHeader(chunks[0].data) : undefined
  if (header === undefined) return { fault: cutOff }
  const { width, height } = header
  if (width === 0 || height === 0) return { fault: 'The PNG has no pixels: its width or height is 0.' }
  const colours = coloursOf(chunks)
  // with other colours than sRGB an older profile for who does not know cICP must not count
  const hidden = colours === undefined ? ['eXIf'] : ['eXIf', 'iCCP', 'gAMA', 'cHRM', 'sRGB']
  const turning = chunks.filter(({ type }) => hidden.includes(type)).map(({ part }) => part)
  return {
    width,
    height,
    orientation: orientationOf(chunks),
    colours,
    decodable: without(bytes, turning),
    findFault: () => (isWhole ? findFault(chunks, header) : cutOff),
  }
}

function readChunks(bytes: Buffer): { chunks: Chunk[]; isWhole: boolean } {
  const chunks: Chunk[] = []
  let isWhole = true
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at)
    if (end + 4 > bytes.length) break
    const type = bytes.toString('latin1', at + 4, at + 8)
    const isNeeded = /^[A-Z]/.test(type)
    if (isNeeded && crc32(bytes.subarray(at + 4, end)) !== bytes.readUInt32BE(end)) isWhole = false
    chunks.push({ type, data: bytes.subarray(at + 8, end), part: { start: at, end: end + 4 } })
    if (type === 'IEND') return { chunks, isWhole }
    at = end + 4
  }
  return { chunks, isWhole: false }
}

function readHeader(data: Buffer): Header | undefined {
  if (data.length < 13) return undefined
  const samples = samplesPerPixel[data[9]!]
  if (samples === undefined || ![1, 2, 4, 8, 16].includes(data[8]!)) return undefined
  return {
    width: data.readUInt32BE(0),
    height: data.readUInt32BE(4),
    bitsPerPixel: samples * data[8]!,
    isInterlaced: data[12] === 1,
  }
}

/** The decoder takes data that ends early for a picture with its lower part missing. */
async function findFault(chunks: Chunk[], header: Header): Promise<string | undefined> {
  const data = chunks.filter(({ type }) => type === 'IDAT').map((chunk) => chunk.data)
  if (data.length === 0) return 'The PNG holds no picture: it has no IDAT chunk.'
  const wanted = dataBytes(header)
  return (await inflatesTo(data, wanted))
    ? undefined
    : 'The PNG is broken: its data ends before the picture does.'
}

/** How many bytes the picture's rows have, each with the byte in front that names its filter. */
function dataBytes({ width, height, bitsPerPixel, isInterlaced }: Header): number {
  const passes = isInterlaced ? adam7 : ([[0, 0, 1, 1]] as const)
  return passes.reduce((sum, [left, top, across, down]) => {
    const columns = Math.ceil((width - left) / across)
    const rows = Math.ceil((height - top) / down)
    return columns > 0 && rows > 0 ? sum + rows * (1 + Math.ceil((columns * bitsPerPixel) / 8)) : sum
  }, 0)
}

/** Keeps nothing of what comes out, and stops at the wanted length: a few bytes may inflate to gigabytes. */
async function inflatesTo(data: Buffer[], wanted: number): Promise<boolean> {
  const inflate = createInflate({ chunkSize: 262_144 })
  const feed = async () => {
    for (const part of data) {
      if (!inflate.write(part)) await new Promise((resolve) => inflate.once('drain', resolve))
    }
    inflate.end()
  }
  let bytes = 0
  void feed()
  try {
    for await (const chunk of inflate) {
      bytes += chunk.length
      if (bytes >= wanted) return true
    }
  } catch {
    // what came before it counts
  } finally {
    inflate.destroy()
  }
  return bytes >= wanted
}

/** From cICP, which goes before all else that a PNG says of its colours, and which its decoder does not read. */
function coloursOf(chunks: Chunk[]): ColourTags | undefined {
  const data = chunks.find(({ type }) => type === 'cICP')?.data
  if (data === undefined || data.length < 4) return undefined
  const tags = colourTags(data[0]!, data[1]!)
  return areForeign(tags) ? tags : undefined
}

/** From eXIf, else from the texts in which older programs keep EXIF and XMP. */
function orientationOf(chunks: Chunk[]): number {
  const exif = chunks.find(({ type }) => type === 'eXIf')
  const texts = new Map(chunks.flatMap((chunk) => textOf(chunk) ?? []))
  const profile = texts.get('Raw profile type exif') ?? texts.get('Raw profile type APP1')
  return (
    exifOrientation(exif?.data ?? rawProfile(profile ?? '')) ??
    xmpOrientation(texts.get('XML:com.adobe.xmp') ?? '') ??
    1
  )
}

/** The keyword and the text of a chunk of text. */
function textOf({ type, data }: Chunk): [string, string][] | undefined {
  const keyEnd = data.indexOf(0)
  if (!['tEXt', 'zTXt', 'iTXt'].includes(type) || keyEnd === -1) return undefined
  const key = data.toString('latin1', 0, keyEnd)
  if (type === 'tEXt') return [[key, data.toString('latin1', keyEnd + 1)]]
  if (type === 'zTXt') return [[key, inflated(data.subarray(keyEnd + 2))]]
  const isCompressed = data[keyEnd + 1] === 1
  // behind the language and the translated keyword
  const start = data.indexOf(0, data.indexOf(0, keyEnd + 3) + 1) + 1
  const text = data.subarray(start)
  return [[key, isCompressed ? inflated(text) : text.toString('utf8')]]
}

function inflated(data: Buffer): string {
  try {
    return inflateSync(data, { maxOutputLength: mostTextBytes }).toString('latin1')
  } catch {
    return ''
  }
}

/** Its name and its length in lines of their own, then hexadecimal digits. */
function rawProfile(text: string): Buffer {
  const digits = /^\s*\w+\s+\d+\s+([0-9a-f\s]*)/i.exec(text)?.[1] ?? ''
  return Buffer.from(digits.replaceAll(/\s/g, ''), 'hex')
}
