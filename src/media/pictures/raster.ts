import sharp, { type Sharp } from 'sharp'
import { type ColourTags, toStandardColours } from '../hdr.ts'
import { tooLarge } from '../image.ts'
import { cutOff } from './file.ts'
import type { PlainPicture } from './heif.ts'
import { foreignColours } from './nclx.ts'
import { writePng } from './write-png.ts'

// what one picture took is given back, and does not wait for the next
sharp.cache(false)
// as all that decodes here: one task on one core
sharp.concurrency(1)

const secondsAtMost = 30

/**
 * Decodes AVIF and TIFF: the primary picture or the first page, upright, in sRGB and 8 bits, whatever is stored. The number
 * of pixels is read from the header and held against the limit before anything is decoded.
 */
export async function decodeRaster(file: Buffer, maxPixels: number): Promise<PlainPicture> {
  try {
    const bytes = asStill(file)
    const found = await sharp(bytes, { limitInputPixels: false }).metadata()
    const { width, height } = found.autoOrient
    if (width * height > maxPixels) {
      return { ok: false, message: tooLarge('picture', { width, height }, maxPixels) }
    }
    const picture = sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error' })
      .timeout({ seconds: secondsAtMost })
      .autoOrient()
      .toColourspace('srgb')
    const colours = isIso(bytes) && !found.hasProfile ? foreignColours(bytes) : undefined
    if (colours !== undefined) return await inStandardColours(picture, colours)
    const { data, info } = await picture.png({ compressionLevel: 0 }).toBuffer({ resolveWithObject: true })
    return { ok: true, png: data, width: info.width, height: info.height }
  } catch {
    return { ok: false, message: cutOff }
  }
}

async function inStandardColours(picture: Sharp, colours: ColourTags): Promise<PlainPicture> {
  const { data, info } = await picture.ensureAlpha().raw().toBuffer({ resolveWithObject: true })
  const { width, height } = info
  toStandardColours(data, colours)
  return { ok: true, png: writePng({ at: data, stride: width * 4 }, { width, height }), width, height }
}

function isIso(bytes: Buffer): boolean {
  return bytes.toString('latin1', 4, 8) === 'ftyp'
}

/** A moving AVIF holds a still picture, too, which the library only looks for in a file that says to be one. */
function asStill(bytes: Buffer): Buffer {
  if (!isIso(bytes)) return bytes
  const still = Buffer.from(bytes)
  still.write('avif', 8, 'latin1')
  return still
}
