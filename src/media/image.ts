import { fileTypeFromBuffer } from 'file-type'
import { mp3Start } from './mp3.ts'
import { type MediaType, mediaTypeOf } from './types.ts'

export { type InputKind, type MediaType, maxInputBytes } from './types.ts'

/** 50 megapixels decode to 200 MB. */
export const defaultMaxPixels = 50_000_000

/**
 * Of a customer's film: 4K and a little more. A dozen play at once where they become one film, each with several frames
 * in memory: five films of 10 KB and 49 megapixels took 6 GB.
 */
export const maxFramePixels = 10_000_000

/** Of a file with pictures in the boxes of ISO media, by what it names in its beginning as needed to read it. */
const heifBrands: Record<string, MediaType> = {
  avif: 'image/avif',
  avis: 'image/avif',
  heic: 'image/heic',
  heix: 'image/heic',
  heim: 'image/heic',
  heis: 'image/heic',
  hevc: 'image/heic',
  hevx: 'image/heic',
  hevm: 'image/heic',
  hevs: 'image/heic',
  mif1: 'image/heif',
  mif2: 'image/heif',
  msf1: 'image/heif',
  miaf: 'image/heif',
}

/** The type that the first 4,100 bytes of a file show, whatever its sender says it is. */
export async function sniff(firstBytes: Uint8Array): Promise<MediaType | undefined> {
  if (isWave(Buffer.from(firstBytes.subarray(0, 12)))) return 'audio/wav'
  const picture = heifType(Buffer.from(firstBytes.buffer, firstBytes.byteOffset, firstBytes.byteLength))
  if (picture !== undefined) return picture
  const found = await fileTypeFromBuffer(firstBytes).catch(() => undefined)
  if (found !== undefined) return mediaTypeOf(found.mime)
  return tiffType(firstBytes) ?? (mp3Start(firstBytes) === undefined ? undefined : 'audio/mpeg')
}

/** Of a TIFF the library reads the table of tags, which may be at its end; by those it knows photographs as cameras store them. */
function tiffType(bytes: Uint8Array): MediaType | undefined {
  const start = Buffer.from(bytes.subarray(0, 4)).toString('latin1')
  return ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(start) ? 'image/tiff' : undefined
}

/** The first brand decides whether these are pictures at all; the others say better of which kind. */
function heifType(bytes: Buffer): MediaType | undefined {
  if (bytes.length < 16 || bytes.toString('latin1', 4, 8) !== 'ftyp') return undefined
  const end = Math.min(bytes.readUInt32BE(0), bytes.length)
  const brands = [bytes.toString('latin1', 8, 12)]
  for (let at = 16; at + 4 <= end; at += 4) brands.push(bytes.toString('latin1', at, at + 4))
  const types = brands.map((brand) => heifBrands[brand])
  return types[0] && (types.find((type) => type === 'image/avif' || type === 'image/heic') ?? types[0])
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
