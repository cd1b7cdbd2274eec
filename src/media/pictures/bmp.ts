import { cutOff, type PictureReading } from './file.ts'

const fileHeaderBytes = 14
/** The header of OS/2, with sides of 16 bits. */
const coreHeaderBytes = 12
const embedded = { 4: 'JPEG', 5: 'PNG' } as const

/** A BMP of any depth, packed by run lengths or not, whichever of its rows comes first. */
export function readBmp(bytes: Buffer): PictureReading {
  if (bytes.length < fileHeaderBytes + coreHeaderBytes) return { fault: cutOff }
  const isCore = bytes.readUInt32LE(fileHeaderBytes) === coreHeaderBytes
  if (!isCore && bytes.length < fileHeaderBytes + 40) return { fault: cutOff }
  const sides = isCore
    ? [bytes.readUInt16LE(18), bytes.readUInt16LE(20)]
    : [bytes.readInt32LE(18), Math.abs(bytes.readInt32LE(22))]
  const [width = 0, height = 0] = sides
  const bits = bytes.readUInt16LE(isCore ? 24 : 28)
  const packing = isCore ? 0 : bytes.readUInt32LE(30)
  if (width < 1 || height < 1) return { fault: 'The BMP does not say its size.' }
  if (packing === 4 || packing === 5) {
    return { fault: `The BMP holds a ${embedded[packing]}, which is not supported: give that one.` }
  }
  const pixels = bytes.subarray(bytes.readUInt32LE(10))
  const isPacked = packing === 1 || packing === 2
  const rowBytes = Math.ceil((width * bits) / 32) * 4
  const isWhole = isPacked ? packedRows(pixels, bits) >= height : pixels.length >= rowBytes * height
  return isWhole ? { width, height, orientation: 1, decodable: bytes } : { fault: cutOff }
}

/** How many rows are packed as run lengths. The mark of the end stands for all that are left, as nothing is drawn there. */
function packedRows(data: Buffer, bits: number): number {
  let rows = 0
  for (let at = 0; at + 1 < data.length; ) {
    const [count, value] = [data[at]!, data[at + 1]!]
    at += 2
    if (count > 0) continue
    if (value === 1) return Number.POSITIVE_INFINITY
    if (value === 0) rows += 1
    else if (value === 2) {
      rows += data[at + 1] ?? 0
      at += 2
    } else {
      // as many pixels follow as they are, up to an even place
      const bytes = Math.ceil((value * bits) / 8)
      at += bytes + (bytes % 2)
    }
  }
  return rows
}
