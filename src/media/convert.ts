import { readFile, writeFile } from 'node:fs/promises'
import { encodePicture } from './draw.ts'
import { maxInputBytes } from './image.ts'
import { decodePicture } from './pictures/decode.ts'

/** The types that every upstream with pictures takes one of. */
export type PictureType = 'image/jpeg' | 'image/png'

/** What a picture was made into. `message` may be shown to the customer. */
export type Conversion =
  | { ok: true; contentType: PictureType; width: number; height: number }
  | { ok: false; message: string }

/**
 * A PNG of more is hardly ever as small as pictures must be, and to make it takes ten seconds, for which those of all other
 * customers wait.
 */
const mostPngPixels = 10_000_000
const tooFine = 'The picture is larger than 10 MB as a JPEG, which it must be made into: give a smaller one.'

/**
 * Makes a picture of one of these types, upright, the first frame of a moving one, and writes it to `target`: a PNG, which
 * loses nothing, unless that is not wanted or larger than pictures may be. Decodes on the calling thread.
 */
export async function convertHere(
  path: string,
  { target, types, maxPixels }: { target: string; types: PictureType[]; maxPixels: number },
): Promise<Conversion> {
  const found = await decodePicture(await readFile(path), maxPixels)
  if (!found.ok) return found
  const { picture, width, height } = found
  const mayBeJpeg = types.includes('image/jpeg')
  const mayBePng = types.includes('image/png') && (width * height <= mostPngPixels || !mayBeJpeg)
  const png = mayBePng ? await encodePicture(picture, 'image/png') : undefined
  const isPng = png !== undefined && (png.length <= maxInputBytes.image || !mayBeJpeg)
  const made = isPng ? png : await encodePicture(picture, 'image/jpeg')
  if (mayBeJpeg && made.length > maxInputBytes.image) return { ok: false, message: tooFine }
  await writeFile(target, made)
  return { ok: true, contentType: isPng ? 'image/png' : 'image/jpeg', width, height }
}
