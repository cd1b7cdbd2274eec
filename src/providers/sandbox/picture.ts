import { readFile } from 'node:fs/promises'
import type { Canvas } from '@napi-rs/canvas'
import { defaultMaxPixels } from '../../media/image.ts'
import { decodePicture } from '../../media/pictures/decode.ts'
import { atMost } from './frame-size.ts'
import { prerender } from './painter.ts'

/** What a picture is shrunk to: a job may bring a dozen, and no frame shows more of one. */
const keptPixels = 8_000_000

/** A file of the customer's can't be used; the message may be shown. */
export class UnusableSource extends Error {}

/** Decodes a customer's picture, upright, over white where it is transparent. */
export async function readPicture(path: string): Promise<Canvas> {
  const found = await decodePicture(await readFile(path), defaultMaxPixels)
  if (!found.ok) throw new UnusableSource(found.message)
  const kept = atMost(found, keptPixels)
  const picture = prerender(kept.width, kept.height, (context) => {
    context.fillStyle = 'white'
    context.fillRect(0, 0, kept.width, kept.height)
    context.imageSmoothingQuality = 'high'
    context.drawImage(found.picture, 0, 0, kept.width, kept.height)
  })
  // Lets the decoded pixels go at once, whose weight the garbage collector does not feel.
  if ('src' in found.picture) found.picture.src = Buffer.alloc(0)
  return picture
}
