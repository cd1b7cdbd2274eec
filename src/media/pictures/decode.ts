import { type Canvas, createCanvas, type Image, loadImage } from '@napi-rs/canvas'
import { type ColourTags, toStandardColours } from '../hdr.ts'
import { type MediaType, sniff, tooLarge } from '../image.ts'
import { namesOf } from '../types.ts'
import { readBmp } from './bmp.ts'
import type { PictureFile, PictureReading } from './file.ts'
import { readGif } from './gif.ts'
import { decodeHeif, type PlainPicture } from './heif.ts'
import { readJpeg } from './jpeg.ts'
import { turnUpright, uprightSize } from './orientation.ts'
import { readPng } from './png.ts'
import { decodeRaster } from './raster.ts'
import { readWebp } from './webp.ts'

/** A decoded picture: upright, in sRGB, with 8 bits per colour. `message` may be shown to the customer. */
export type DecodedPicture =
  | { ok: true; contentType: MediaType; width: number; height: number; picture: Canvas | Image }
  | { ok: false; message: string }

/** Formats whose pixels the canvas decodes. */
const readers: Partial<Record<MediaType, (bytes: Buffer) => PictureReading>> = {
  'image/jpeg': readJpeg,
  'image/png': readPng,
  'image/webp': readWebp,
  'image/gif': readGif,
  'image/bmp': readBmp,
}

/** Formats with a decoder of their own, which also turns them upright and looks for their end. */
const decoders: Partial<Record<MediaType, (bytes: Buffer, maxPixels: number) => Promise<PlainPicture>>> = {
  'image/avif': decodeRaster,
  'image/tiff': decodeRaster,
  'image/heic': decodeHeif,
  'image/heif': decodeHeif,
}
const broken = 'The picture cannot be decoded.'

/**
 * The picture of a file, of a moving one the first frame. What it shows as transparent stays so. The number of pixels is
 * read from the header and held against the limit before anything is decoded: a file of a few bytes may claim any.
 */
export async function decodePicture(bytes: Buffer, maxPixels: number): Promise<DecodedPicture> {
  const contentType = await sniff(bytes)
  const decode = contentType && decoders[contentType]
  if (decode) return fromPlain(await decode(bytes, maxPixels), contentType)
  const read = contentType && readers[contentType]
  if (!read) return { ok: false, message: `The file is not a picture (${namesOf('image')}).` }
  const file = read(bytes)
  if ('fault' in file) return { ok: false, message: file.fault }
  const size = uprightSize(file)
  if (size.width * size.height > maxPixels) {
    return { ok: false, message: tooLarge('picture', size, maxPixels) }
  }
  const fault = await file.findFault?.()
  if (fault !== undefined) return { ok: false, message: fault }
  const stored = await decodeStored(file, contentType)
  if (stored === undefined) return { ok: false, message: broken }
  const picture = upright(stored, file)
  return {
    ok: true,
    contentType,
    ...size,
    picture: file.colours ? recoloured(picture, file.colours) : picture,
  }
}

async function fromPlain(plain: PlainPicture, contentType: MediaType): Promise<DecodedPicture> {
  if (!plain.ok) return plain
  const picture = await loadImage(plain.png)
  return { ok: true, contentType, width: plain.width, height: plain.height, picture }
}

/** As stored in the file; undefined if its data does not decode to the last row. */
async function decodeStored(file: PictureFile, contentType: MediaType): Promise<Image | undefined> {
  const image = await loadImage(file.decodable).catch(() => undefined)
  if (image === undefined || image.width !== file.width || image.height !== file.height) return undefined
  const row = createCanvas(image.width, 1).getContext('2d')
  row.drawImage(image, 0, image.height - 1, image.width, 1, 0, 0, image.width, 1)
  const { data } = row.getImageData(0, 0, image.width, 1)
  // Rows that could not be decoded stay transparent; a JPEG has no other transparent ones.
  for (let at = 3; at < data.length; at += 4) {
    if (contentType === 'image/jpeg' && data[at] !== 255) return undefined
  }
  return image
}

function upright(stored: Image, { width, height, orientation }: PictureFile): Canvas | Image {
  if (orientation === 1) return stored
  const size = uprightSize({ width, height, orientation })
  const canvas = createCanvas(size.width, size.height)
  const context = canvas.getContext('2d')
  context.imageSmoothingEnabled = false
  turnUpright(context, { width, height }, orientation)
  context.drawImage(stored, 0, 0)
  context.resetTransform()
  release(canvas, stored)
  return canvas
}

function recoloured(picture: Canvas | Image, colours: ColourTags): Canvas {
  const { width, height } = picture
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  context.drawImage(picture, 0, 0)
  const pixels = context.getImageData(0, 0, width, height)
  toStandardColours(pixels.data, colours)
  context.putImageData(pixels, 0, 0)
  return canvas
}

/** Lets the decoded pixels go at once, whose weight the garbage collector does not feel. */
function release(drawn: Canvas, stored: Image): void {
  // One pixel is read so that the picture is drawn now: the library otherwise keeps the call, and with it the pixels.
  drawn.getContext('2d').getImageData(0, 0, 1, 1)
  stored.src = Buffer.alloc(0)
}
