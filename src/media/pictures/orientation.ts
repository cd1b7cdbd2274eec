import type { SKRSContext2D } from '@napi-rs/canvas'

const orientationTag = 0x0112
const [shortType, longType] = [3, 4]

/**
 * The orientation that EXIF data notes, from 1 to 8. Cameras and editors put things in front of its TIFF header
 * ("Exif" and two bytes, or more than that), so the header is looked for.
 */
export function exifOrientation(exif: Buffer): number | undefined {
  for (const mark of ['II*\0', 'MM\0*']) {
    const start = exif.indexOf(mark, 0, 'latin1')
    const found = start === -1 ? undefined : tiffOrientation(exif.subarray(start), mark === 'II*\0')
    if (found !== undefined) return found
  }
  return undefined
}

function tiffOrientation(tiff: Buffer, isLittle: boolean): number | undefined {
  const short = (at: number) => (isLittle ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at))
  const long = (at: number) => (isLittle ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at))
  if (tiff.length < 8) return undefined
  const directory = long(4)
  if (directory + 2 > tiff.length) return undefined
  const entries = short(directory)
  for (let index = 0; index < entries; index += 1) {
    const at = directory + 2 + 12 * index
    if (at + 12 > tiff.length) return undefined
    if (short(at) !== orientationTag) continue
    const type = short(at + 2)
    return known(type === shortType ? short(at + 8) : type === longType ? long(at + 8) : 0)
  }
  return undefined
}

/** The orientation that XMP notes, as an attribute or as an element. */
export function xmpOrientation(xmp: string): number | undefined {
  return known(Number(/tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])\s*["'<]/.exec(xmp)?.[1]))
}

function known(orientation: number): number | undefined {
  return orientation >= 1 && orientation <= 8 ? orientation : undefined
}

/** Whether width and height change places when the picture is turned upright. */
export function liesOnSide(orientation: number): boolean {
  return orientation >= 5
}

/** The size of the upright picture. */
export function uprightSize({ width, height, orientation }: Size & { orientation: number }): Size {
  return liesOnSide(orientation) ? { width: height, height: width } : { width, height }
}

interface Size {
  width: number
  height: number
}

/** Makes the context draw a picture, stored with these sides at 0, 0, upright and within its upright size. */
export function turnUpright(context: SKRSContext2D, { width, height }: Size, orientation: number): void {
  const transforms: Record<number, [number, number, number, number, number, number]> = {
    2: [-1, 0, 0, 1, width, 0],
    3: [-1, 0, 0, -1, width, height],
    4: [1, 0, 0, -1, 0, height],
    5: [0, 1, 1, 0, 0, 0],
    6: [0, 1, -1, 0, height, 0],
    7: [0, -1, -1, 0, height, width],
    8: [0, -1, 1, 0, 0, width],
  }
  context.setTransform(...(transforms[orientation] ?? [1, 0, 0, 1, 0, 0]))
}
