import { crc32, deflateSync } from 'node:zlib'
import { type Colour, height, quarterOf, width } from './scene.ts'

export function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

export interface PngForm {
  /** As PNG counts: 0 grey, 2 RGB, 3 palette, 4 grey with opacity, 6 RGB with opacity. */
  colourType: 0 | 2 | 3 | 4 | 6
  bits: 1 | 2 | 4 | 8 | 16
  isInterlaced?: boolean
  /** Between IHDR and IDAT, and between IDAT and IEND. */
  before?: Buffer[]
  behind?: Buffer[]
}

const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

/** `samples` are those of one pixel of each quarter, of as many bits as the form says. */
export function makePng(form: PngForm, samples: readonly (readonly number[])[]): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([form.bits, form.colourType, 0, 0, form.isInterlaced ? 1 : 0], 8)
  const rows = (form.isInterlaced ? passes : ([[0, 0, 1, 1]] as const)).flatMap(
    ([left, top, across, down]) => {
      const found: Buffer[] = []
      for (let y = top; y < height; y += down) {
        const values: number[] = []
        for (let x = left; x < width; x += across) values.push(...samples[quarterOf(x, y)]!)
        found.push(packRow(values, form.bits))
      }
      return found
    },
  )
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    pngChunk('IHDR', header),
    ...(form.before ?? []),
    pngChunk('IDAT', deflateSync(Buffer.concat(rows))),
    ...(form.behind ?? []),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

/** With no filter, and the first sample in the highest bits. */
function packRow(values: number[], bits: number): Buffer {
  const row = Buffer.alloc(1 + Math.ceil((values.length * bits) / 8))
  for (const [index, value] of values.entries()) {
    if (bits === 16) row.writeUInt16BE(value, 1 + 2 * index)
    else if (bits === 8) row[1 + index] = value
    else {
      const place = index * bits
      row[1 + (place >> 3)]! |= value << (8 - bits - (place & 7))
    }
  }
  return row
}

/** The chunks of a palette, and of its opacities where some are not whole. */
export function palette(colours: readonly Colour[]): Buffer[] {
  const chunks = [pngChunk('PLTE', Buffer.concat(colours.map((colour) => Buffer.from(colour.slice(0, 3)))))]
  if (colours.some(([, , , alpha]) => alpha < 255)) {
    chunks.push(pngChunk('tRNS', Buffer.from(colours.map(([, , , alpha]) => alpha))))
  }
  return chunks
}
