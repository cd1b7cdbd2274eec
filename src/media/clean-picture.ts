import { readFile, writeFile } from 'node:fs/promises'
import type { Canvas, Image } from '@napi-rs/canvas'
import { encodePicture, isOpaque } from './draw.ts'
import { type DecodedPicture, decodePicture } from './pictures/decode.ts'
import { mayBeClear, stripped } from './pictures/strip.ts'
import type { MediaType } from './types.ts'

/** The types that pictures are made into. */
export type PictureType = 'image/jpeg' | 'image/png'

/** What a file was made into for an upstream. `changes` and `message` may be shown to the customer.
 * `takesLong`: it was not tried, as it has to be encoded anew. */
export type Cleaned<Facts> =
  | ({ ok: true; contentType: MediaType; changes: string[] } & Facts)
  | { ok: false; message: string; takesLong?: true }

type CleanedPicture = Cleaned<{ width: number; height: number }>
type Decoded = Extract<DecodedPicture, { ok: true }>

/** Vendors allow 10 MB, and not all say whether of 1,000 or of 1,024 each. */
const mostBytes = 10_000_000
/** A PNG of more takes ten seconds to make, for which those of all other customers wait. */
const mostPngPixels = 10_000_000
/** Cameras' formats: as PNG they would be many times as large, and show nothing more. */
const photographs: MediaType[] = ['image/jpeg', 'image/heic', 'image/heif', 'image/avif']

/**
 * Writes to `target` what an upstream may have of a picture: upright, in sRGB and 8 bits, over white, with nothing in the file
 * but the picture. One that is all that already keeps its data as they are. Decodes on the calling thread.
 */
export async function cleanPictureHere(
  path: string,
  { target, types, maxPixels }: { target: string; types: readonly string[]; maxPixels: number },
): Promise<CleanedPicture> {
  const bytes = await readFile(path)
  const found = await decodePicture(bytes, maxPixels)
  if (!found.ok) return found
  const { width, height } = found
  const kept = await asItIs(bytes, found, types)
  if (kept !== undefined) {
    await writeFile(target, kept.bytes)
    return { ok: true, width, height, ...kept.facts }
  }
  const made = await encode(found, types)
  if ('message' in made) return { ok: false, message: made.message }
  await writeFile(target, made.bytes)
  const changes = ['made anew without metadata']
  if (made.width !== width) changes.push(`scaled down from ${width} × ${height} to fit the provider's limit`)
  return { ok: true, contentType: made.contentType, width: made.width, height: made.height, changes }
}

async function asItIs(bytes: Buffer, { contentType, picture }: Decoded, types: readonly string[]) {
  if ((contentType !== 'image/jpeg' && contentType !== 'image/png') || !types.includes(contentType)) return
  const bare = stripped(bytes, contentType)
  if (bare === undefined || bare.length > mostBytes) return
  if (contentType === 'image/png' && mayBeClear(bare) && !isOpaque(picture)) return
  const changes = bare.length === bytes.length ? [] : ['metadata removed']
  return { bytes: bare, facts: { contentType, changes } }
}

interface Encoded {
  bytes: Uint8Array
  contentType: PictureType
  width: number
  height: number
}

async function encode(
  { picture, width, height, contentType }: Decoded,
  types: readonly string[],
): Promise<Encoded | { message: string }> {
  const mayBeJpeg = types.includes('image/jpeg')
  const mayBePng = types.includes('image/png')
  if (!mayBeJpeg && !mayBePng) return { message: `The provider takes ${types.join(' and ')} alone.` }
  const isDrawing = !photographs.includes(contentType) && width * height <= mostPngPixels
  if (mayBePng && (isDrawing || !mayBeJpeg)) {
    const bytes = await encodeBare(picture, 'image/png', { width, height })
    if (bytes.length <= mostBytes) return { bytes, contentType: 'image/png', width, height }
  }
  return scaleToFit(picture, mayBeJpeg ? 'image/jpeg' : 'image/png', { width, height })
}

/** The encoder adds a profile of sRGB, which is what a picture without one is in. */
async function encodeBare(...[picture, type, size]: Parameters<typeof encodePicture>): Promise<Uint8Array> {
  const made = Buffer.from(await encodePicture(picture, type, size))
  return stripped(made, type) ?? made
}

async function scaleToFit(
  picture: Canvas | Image,
  contentType: PictureType,
  size: { width: number; height: number },
): Promise<Encoded> {
  for (let scale = 1; ; ) {
    const [width, height] = [size.width, size.height].map((side) => Math.max(1, Math.round(side * scale)))
    const fitted = { width: width!, height: height! }
    const bytes = await encodeBare(picture, contentType, fitted)
    if (bytes.length <= mostBytes) return { bytes, contentType, ...fitted }
    scale *= 0.95 * Math.sqrt(mostBytes / bytes.length)
  }
}
