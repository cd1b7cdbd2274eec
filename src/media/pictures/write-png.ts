import { crc32, deflateSync } from 'node:zlib'

/** What the numbers of a picture mean, where that is not sRGB. */
export interface Colour {
  icc: Uint8Array
}

/**
 * Rows of RGBA, `stride` bytes apart, as a PNG that is made to be read again at once: hardly compressed, and with its colours described, so that whatever
 * decodes PNGs turns them into sRGB.
 */
export function writePng(
  rgba: { at: Uint8Array; stride: number },
  { width, height, colour }: { width: number; height: number; colour?: Colour | undefined },
): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // 8 bits, RGBA
  header.set([8, 6], 8)
  const rows = Buffer.alloc((width * 4 + 1) * height)
  for (let y = 0; y < height; y += 1) {
    const from = y * rgba.stride
    rows.set(rgba.at.subarray(from, from + width * 4), y * (width * 4 + 1) + 1)
  }
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    ...(colour === undefined ? [] : [profile(colour)]),
    chunk('IDAT', deflateSync(rows, { level: 0 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function profile({ icc }: Colour): Buffer {
  return chunk('iCCP', Buffer.concat([Buffer.from('icc\0\0', 'latin1'), deflateSync(icc)]))
}

function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  checksum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, checksum])
}
