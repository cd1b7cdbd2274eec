import { fileTypeFromBuffer } from 'file-type'
import { imageSize } from 'image-size'
import { isComplete } from './complete.ts'

/** The types of files that customers may hand in (contract: "Uploads"). */
const mediaTypes = [
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/gif',
  'video/mp4',
  'video/webm',
  'audio/mpeg',
  'audio/wav',
] as const

export type MediaType = (typeof mediaTypes)[number]

export type InputKind = 'image' | 'video' | 'audio'

/** What a customer's file of each kind may weigh: as much as an upload of it. */
export const maxInputBytes: Record<InputKind, number> = {
  image: 10_485_760,
  video: 104_857_600,
  audio: 52_428_800,
}

/** 50 megapixels decode to 200 MB. */
export const defaultMaxPixels = 50_000_000

/**
 * Of a customer's film: 4K and a little more. A dozen play at once where they become one film, each with several frames
 * in memory: five films of 10 KB and 49 megapixels took 6 GB.
 */
export const maxFramePixels = 10_000_000

/** Names that the same magic bytes are also known by. */
const aliases: Record<string, MediaType> = { 'image/apng': 'image/png', 'video/x-m4v': 'video/mp4' }

/** The type that the first 4,100 bytes of a file show, whatever its sender says it is. */
export async function sniff(firstBytes: Uint8Array): Promise<MediaType | undefined> {
  const found = await fileTypeFromBuffer(firstBytes).catch(() => undefined)
  if (found === undefined) return undefined
  const type = aliases[found.mime] ?? found.mime
  return mediaTypes.find((known) => known === type)
}

/** `width` and `height` are as shown, with the EXIF orientation applied. `message` may be shown to the customer. */
export type ImageCheck =
  | { ok: true; contentType: MediaType; width: number; height: number }
  | { ok: false; message: string }

/**
 * What can be said of a picture without decoding it: type, size as shown, and whether it is all there. The number of
 * pixels is limited here, as a file of a few bytes may claim any.
 */
export async function readImage(bytes: Buffer, maxPixels: number): Promise<ImageCheck> {
  const contentType = await sniff(bytes)
  if (contentType === undefined || !contentType.startsWith('image/')) {
    return { ok: false, message: 'The file is not a JPEG, PNG, WebP or GIF picture.' }
  }
  const size = sizeOf(bytes)
  if (size === undefined) return { ok: false, message: 'The picture is cut off or corrupt.' }
  const { width, height } = size
  if (width * height > maxPixels) return { ok: false, message: tooLarge('picture', size, maxPixels) }
  if (!isComplete(bytes, contentType)) return { ok: false, message: 'The picture is cut off or corrupt.' }
  return { ok: true, contentType, width, height }
}

/** As the header says; orientations from 5 up lie on their side. */
function sizeOf(bytes: Buffer): { width: number; height: number } | undefined {
  try {
    const { width, height, orientation = 1 } = imageSize(bytes)
    if (!(width > 0 && height > 0)) return undefined
    return orientation >= 5 ? { width: height, height: width } : { width, height }
  } catch {
    return undefined
  }
}

/** Of a picture or video with more pixels than are taken. */
export function tooLarge(
  what: 'picture' | 'video',
  { width, height }: { width: number; height: number },
  maxPixels: number,
): string {
  const limit = `${Math.floor(maxPixels / 1_000_000)} megapixels`
  return `The ${what} has ${width} × ${height} pixels; at most ${limit} are accepted.`
}
