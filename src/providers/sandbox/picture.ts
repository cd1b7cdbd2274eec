import { readFile } from 'node:fs/promises'
import { type Canvas, loadImage } from '@napi-rs/canvas'
import { imageSize } from 'image-size'
import { defaultMaxPixels } from '../../media/image.ts'
import { atMost } from './frame-size.ts'
import { prerender } from './painter.ts'

/** What a picture is shrunk to: a job may bring a dozen, and no frame shows more of one. */
const keptPixels = 8_000_000

/** A file of the customer's can't be used; the message may be shown. */
export class UnusableSource extends Error {}

/**
 * Decodes a customer's picture. The size is read from the header first, so that a small file that claims
 * enormous dimensions costs nothing. Canvas turns the picture by its EXIF orientation itself (all eight tested).
 */
export async function readPicture(path: string): Promise<Canvas> {
  const bytes = await readFile(path)
  const size = headerSize(bytes)
  if (size === null || size.width < 1 || size.height < 1) {
    throw new UnusableSource('The picture is of no kind that can be decoded; send a JPEG, PNG, WebP or GIF.')
  }
  if (size.width * size.height > defaultMaxPixels) {
    const limit = `${defaultMaxPixels / 1_000_000} million pixels`
    throw new UnusableSource(`The picture has more than ${limit}; send a smaller one.`)
  }
  try {
    const image = await loadImage(bytes)
    if (image.width > 0 && image.height > 0) {
      const kept = atMost(image, keptPixels)
      const picture = prerender(kept.width, kept.height, (context) => {
        context.imageSmoothingQuality = 'high'
        context.drawImage(image, 0, 0, kept.width, kept.height)
      })
      // Lets the decoded pixels go at once, whose weight the garbage collector does not feel.
      image.src = Buffer.alloc(0)
      return picture
    }
  } catch {
    // The decoder's own words say less than the sentence below.
  }
  throw new UnusableSource('The picture is damaged or cut short; send a file that opens in a browser.')
}

function headerSize(bytes: Uint8Array): { width: number; height: number } | null {
  try {
    return imageSize(bytes)
  } catch {
    return null
  }
}
