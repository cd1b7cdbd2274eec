import { height, quarterOf, width } from './scene.ts'

export function riffChunk(name: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(data.length)
  return Buffer.concat([Buffer.from(name, 'latin1'), length, data, Buffer.alloc(data.length % 2)])
}

export function webp(chunks: Buffer[]): Buffer {
  return riffChunk('RIFF', Buffer.concat([Buffer.from('WEBP'), ...chunks]))
}

/** The chunks of a WebP file, as they are. */
export function webpChunks(bytes: Buffer): { name: string; data: Buffer }[] {
  const chunks: { name: string; data: Buffer }[] = []
  for (let at = 12; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32LE(at + 4)
    chunks.push({ name: bytes.toString('latin1', at, at + 4), data: bytes.subarray(at + 8, end) })
    at = end + (end % 2)
  }
  return chunks
}

/** A WebP's picture in the extended form, with these chunks of metadata around it. */
export function extendedWebp(
  plain: Buffer,
  {
    before = [],
    behind = [],
    hasAlpha = false,
  }: {
    before?: Buffer[]
    behind?: Buffer[]
    hasAlpha?: boolean
  },
): Buffer {
  const header = Buffer.alloc(10)
  header[0] = (hasAlpha ? 0x10 : 0) | (before.length > 0 ? 0x20 : 0) | (behind.length > 0 ? 0x0c : 0)
  header.writeUIntLE(width - 1, 4, 3)
  header.writeUIntLE(height - 1, 7, 3)
  const picture = webpChunks(plain).filter(({ name }) => ['VP8 ', 'VP8L', 'ALPH'].includes(name))
  return webp([
    riffChunk('VP8X', header),
    ...before,
    ...picture.map(({ name, data }) => riffChunk(name, data)),
    ...behind,
  ])
}

export interface GifFrame {
  /** The number of a colour in each quarter. */
  indexes: readonly number[]
  isInterlaced?: boolean
  transparent?: number
  /** In the place of the global one. */
  table?: readonly (readonly number[])[]
}

/** Colours without compression: a code that clears the table in front of every run, so that codes keep their length. */
export function makeGif(table: readonly (readonly number[])[], frames: GifFrame[], comment?: string): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt16LE(width, 0)
  size.writeUInt16LE(height, 2)
  return Buffer.concat([
    Buffer.from('GIF89a'),
    size,
    Buffer.from([0x80 | 7, 0, 0]),
    tableBytes(table),
    ...(comment === undefined
      ? []
      : [Buffer.from([0x21, 0xfe, comment.length]), Buffer.from(`${comment}\0`)]),
    ...frames.flatMap((frame) => gifFrame(frame, size)),
    Buffer.from([0x3b]),
  ])
}

function tableBytes(table: readonly (readonly number[])[]): Buffer {
  const bytes = Buffer.alloc(768)
  for (const [index, colour] of table.entries()) bytes.set(colour.slice(0, 3), 3 * index)
  return bytes
}

function gifFrame({ indexes, isInterlaced = false, transparent, table }: GifFrame, size: Buffer): Buffer[] {
  const control = Buffer.from([0x21, 0xf9, 4, transparent === undefined ? 0 : 1, 10, 0, transparent ?? 0, 0])
  const flags = (table === undefined ? 0 : 0x87) | (isInterlaced ? 0x40 : 0)
  const every = Array.from({ length: height }, (_, y) => y)
  const rows = isInterlaced
    ? [
        [0, 8],
        [4, 8],
        [2, 4],
        [1, 2],
      ].flatMap(([from, step]) => every.filter((y) => y >= from! && (y - from!) % step! === 0))
    : every
  const pixels = rows.flatMap((y) => Array.from({ length: width }, (_, x) => indexes[quarterOf(x, y)]!))
  return [
    control,
    Buffer.from([0x2c, 0, 0, 0, 0]),
    size,
    Buffer.from([flags]),
    ...(table === undefined ? [] : [tableBytes(table)]),
    Buffer.from([8]),
    ...gifData(pixels),
  ]
}

/** Codes of nine bits; a clear code before the table would need ten. */
function gifData(pixels: number[]): Buffer[] {
  const codes = pixels.flatMap((pixel, index) => (index % 200 === 0 ? [256, pixel] : [pixel]))
  codes.push(257)
  const packed = Buffer.alloc(Math.ceil((codes.length * 9) / 8))
  for (const [index, code] of codes.entries()) {
    for (let bit = 0; bit < 9; bit += 1) {
      const place = index * 9 + bit
      packed[place >> 3]! |= ((code >> bit) & 1) << (place & 7)
    }
  }
  const blocks: Buffer[] = []
  for (let at = 0; at < packed.length; at += 255) {
    const block = packed.subarray(at, at + 255)
    blocks.push(Buffer.from([block.length]), block)
  }
  return [...blocks, Buffer.from([0])]
}

/** A colour profile whose red is sRGB's green, and the other way around: pictures with it show these two swapped. */
export function swappedProfile(): Buffer {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(Math.round(value * 65_536))
    return bytes
  }
  const xyz = (x: number, y: number, z: number) =>
    Buffer.concat([Buffer.from('XYZ \0\0\0\0', 'latin1'), number(x), number(y), number(z)])
  const curve = Buffer.concat([
    Buffer.from('para\0\0\0\0', 'latin1'),
    Buffer.from([0, 3, 0, 0]),
    ...[2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045].map(number),
  ])
  const [red, green, blue] = [
    xyz(0.43607, 0.22249, 0.01392),
    xyz(0.38515, 0.71687, 0.09708),
    xyz(0.14307, 0.06061, 0.7141),
  ]
  const text = Buffer.concat([Buffer.from('mluc\0\0\0\0\0\0\0\0\0\0\0\x0c', 'latin1')])
  const tags: [string, Buffer][] = [
    ['desc', text],
    ['cprt', text],
    ['wtpt', xyz(0.9642, 1, 0.8249)],
    ['rXYZ', green],
    ['gXYZ', red],
    ['bXYZ', blue],
    ['rTRC', curve],
    ['gTRC', curve],
    ['bTRC', curve],
  ]
  let at = 128 + 4 + 12 * tags.length
  const list = [Buffer.from([0, 0, 0, tags.length])]
  for (const [name, data] of tags) {
    const entry = Buffer.alloc(12)
    entry.write(name, 0, 'latin1')
    entry.writeUInt32BE(at, 4)
    entry.writeUInt32BE(data.length, 8)
    list.push(entry)
    at += data.length
  }
  const header = Buffer.alloc(128)
  header.writeUInt32BE(at, 0)
  header.writeUInt32BE(0x04300000, 8)
  header.write('mntrRGB XYZ ', 12, 'latin1')
  header.write('acsp', 36, 'latin1')
  for (const [index, part] of [0.9642, 1, 0.8249].entries()) number(part).copy(header, 68 + 4 * index)
  return Buffer.concat([header, ...list, ...tags.map(([, data]) => data)])
}
