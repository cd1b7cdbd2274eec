import { fileTypeFromBuffer } from 'file-type'
import { mp3Start } from './mp3.ts'

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
  if (isWave(Buffer.from(firstBytes.subarray(0, 12)))) return 'audio/wav'
  const found = await fileTypeFromBuffer(firstBytes).catch(() => undefined)
  if (found === undefined) return mp3Start(firstBytes) === undefined ? undefined : 'audio/mpeg'
  const type = aliases[found.mime] ?? found.mime
  return mediaTypes.find((known) => known === type)
}

/** Also in its forms for more than 4 GB, and for the other byte order. */
function isWave(head: Buffer): boolean {
  return /^(RIFF|RIFX|RF64|BW64)....WAVE$/s.test(head.toString('latin1'))
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
