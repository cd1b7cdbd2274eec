import { cutOff, type PictureReading } from './file.ts'

const noFrame = 'The GIF holds no picture: it has no frame.'
const brokenFrame = 'The GIF is broken: the data of its first frame ends before the frame does.'

interface Frame {
  left: number
  top: number
  width: number
  height: number
  /** Where the size of the smallest code and the blocks of data behind it are. */
  dataAt: number
}

/** Block by block up to the trailer; the first frame must have all of its pixels, which decoders don't tell. */
export function readGif(bytes: Buffer): PictureReading {
  if (bytes.length < 13) return { fault: cutOff }
  const { first, hasEnd } = readBlocks(bytes)
  if (!hasEnd) return { fault: cutOff }
  if (first === undefined) return { fault: noFrame }
  const { left, top, width, height, dataAt } = first
  if (width === 0 || height === 0)
    return { fault: 'The GIF holds no picture: its first frame has no pixels.' }
  return {
    width: Math.max(bytes.readUInt16LE(6), left + width),
    height: Math.max(bytes.readUInt16LE(8), top + height),
    orientation: 1,
    decodable: bytes,
    findFault: () => (countPixels(bytes, dataAt, width * height) < width * height ? brokenFrame : undefined),
  }
}

function readBlocks(bytes: Buffer): { first: Frame | undefined; hasEnd: boolean } {
  const tableBytes = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0)
  let first: Frame | undefined
  let at = 13 + tableBytes(bytes[10]!)
  while (at < bytes.length) {
    if (bytes[at] === 0x3b) return { first, hasEnd: true }
    if (bytes[at] === 0x21) at += 2
    else if (bytes[at] === 0x2c && at + 9 < bytes.length) {
      const [left, top, width, height] = [1, 3, 5, 7].map((place) => bytes.readUInt16LE(at + place))
      at += 10 + tableBytes(bytes[at + 9]!)
      first ??= { left: left!, top: top!, width: width!, height: height!, dataAt: at }
      at += 1
    } else break
    while (at < bytes.length && bytes[at] !== 0) at += bytes[at]! + 1
    at += 1
  }
  return { first, hasEnd: false }
}

/** How many pixels a frame's data has. Of what a code stands for, only its length is needed. */
function countPixels(bytes: Buffer, dataAt: number, wanted: number): number {
  const smallest = bytes[dataAt]!
  if (smallest < 1 || smallest > 11) return 0
  const clear = 1 << smallest
  const lengths = new Uint32Array(4096).fill(1, 0, clear)
  let [next, bits, previous, pixels] = [clear + 2, smallest + 1, 0, 0]
  for (const code of codes(bytes, dataAt + 1, () => bits)) {
    if (code === clear + 1 || pixels >= wanted) break
    if (code === clear) {
      ;[next, bits, previous] = [clear + 2, smallest + 1, 0]
      continue
    }
    if (code > next || (code === next && previous === 0)) break
    if (previous > 0 && next < 4096) {
      lengths[next] = previous + 1
      next += 1
      if (next === 1 << bits && bits < 12) bits += 1
    }
    previous = lengths[code]!
    pixels += previous
  }
  return pixels
}

/** The numbers of as many bits as wanted, from blocks that each have their length in front. */
function* codes(bytes: Buffer, start: number, bits: () => number): Generator<number> {
  let [held, count] = [0, 0]
  for (let at = start; at < bytes.length && bytes[at] !== 0; at += bytes[at]! + 1) {
    const end = Math.min(bytes.length, at + 1 + bytes[at]!)
    for (let place = at + 1; place < end; place += 1) {
      held |= bytes[place]! << count
      count += 8
      while (count >= bits()) {
        const size = bits()
        yield held & ((1 << size) - 1)
        held >>>= size
        count -= size
      }
    }
  }
}
