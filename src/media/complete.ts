import { crc32 } from 'node:zlib'

/**
 * Whether the file holds its format's own end. Decoders show a cut-off picture with its lower part missing and call
 * that success, so the end is looked for here. Bytes behind the end are fine: phones append a film to a photograph.
 */
export function isComplete(bytes: Buffer, contentType: string): boolean {
  switch (contentType) {
    case 'image/jpeg':
      return jpegEnds(bytes)
    case 'image/png':
      return pngEnds(bytes)
    case 'image/webp':
      return bytes.length >= 12 && bytes.readUInt32LE(4) + 8 <= bytes.length
    case 'image/gif':
      return gifEnds(bytes)
    default:
      return false
  }
}

/** From segment to segment up to EOI; the thumbnail inside EXIF, which has an end too, is jumped over. */
function jpegEnds(bytes: Buffer): boolean {
  let at = 2
  while (at + 1 < bytes.length) {
    const marker = bytes[at + 1]!
    if (bytes[at] !== 0xff || marker === 0x00 || (marker >= 0xd0 && marker <= 0xd7)) at += 1
    else if (marker === 0xff) at += 1
    else if (marker === 0xd9) return true
    else if (at + 4 > bytes.length) return false
    // Behind a scan's header comes entropy-coded data, which the first branch walks through.
    else at += 2 + bytes.readUInt16BE(at + 2)
  }
  return false
}

/** Chunk by chunk up to IEND, each with a checksum. */
function pngEnds(bytes: Buffer): boolean {
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at)
    if (end + 4 > bytes.length) return false
    if (crc32(bytes.subarray(at + 4, end)) !== bytes.readUInt32BE(end)) return false
    if (bytes.toString('latin1', at + 4, at + 8) === 'IEND') return true
    at = end + 4
  }
  return false
}

/** Block by block up to the trailer. */
function gifEnds(bytes: Buffer): boolean {
  const tableBytes = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0)
  if (bytes.length < 13) return false
  let at = 13 + tableBytes(bytes[10]!)
  while (at < bytes.length) {
    if (bytes[at] === 0x3b) return true
    if (bytes[at] === 0x21) at += 2
    else if (bytes[at] === 0x2c && at + 9 < bytes.length) at += 11 + tableBytes(bytes[at + 9]!)
    else return false
    while (at < bytes.length && bytes[at] !== 0) at += bytes[at]! + 1
    at += 1
  }
  return false
}
