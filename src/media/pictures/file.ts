import type { ColourTags } from '../hdr.ts'

/** What a picture's file says of itself before its pixels are decoded. */
export interface PictureFile {
  /** As stored: before the picture is turned upright. */
  width: number
  height: number
  /** How the stored picture must be turned and mirrored, as EXIF counts: 1 to 8. */
  orientation: number
  /** What the decoded colours are, where that is not sRGB. */
  colours?: ColourTags | undefined
  /** The file for the decoder, without the metadata by which some decoders turn a picture and others don't. */
  decodable: Buffer
  /** What is wrong with the pixels' data and the decoder would hide. Asked only of a picture of a size that is taken. */
  findFault?: () => string | undefined | Promise<string | undefined>
}

/** A picture's file, or why it can't be used, in words for the customer. */
export type PictureReading = PictureFile | { fault: string }

export const cutOff = 'The picture is cut off or corrupt.'

/** A part of a file: from `start` up to `end`, which is not part of it. */
export interface Part {
  start: number
  end: number
}

/** The bytes without these parts, which are in the order of the file. */
export function without(bytes: Buffer, parts: Part[]): Buffer {
  if (parts.length === 0) return bytes
  const kept: Buffer[] = []
  let from = 0
  for (const { start, end } of parts) {
    kept.push(bytes.subarray(from, start))
    from = end
  }
  kept.push(bytes.subarray(from))
  return Buffer.concat(kept)
}
