/** A colour as red, green, blue and opacity, each 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number, alpha: number]

/** The four quarters of a picture: upper left, upper right, lower left, lower right. */
export type Quarters = readonly [Colour, Colour, Colour, Colour]

export interface PictureCase {
  name: string
  bytes: Buffer
  /** Of the upright picture. */
  width: number
  height: number
  quarters: Quarters
  /** By how much a colour may differ: lossy coding, and arithmetic in 8 bits. */
  tolerance: number
  /** Other decoders do not do the same; why. */
  unlikeOthers?: string
}

/** The stored size of every picture: whole blocks of 8 in each quarter, also where chroma has a quarter of the samples. */
export const [width, height] = [128, 64]

export const quarters: Quarters = [
  [220, 30, 40, 255],
  [30, 200, 60, 255],
  [40, 60, 220, 255],
  [230, 220, 50, 255],
]

/** By orientation as EXIF counts, which stored quarter is shown in each place. */
const shownQuarters: Record<number, readonly number[]> = {
  1: [0, 1, 2, 3],
  2: [1, 0, 3, 2],
  3: [3, 2, 1, 0],
  4: [2, 3, 0, 1],
  5: [0, 2, 1, 3],
  6: [2, 0, 3, 1],
  7: [3, 1, 2, 0],
  8: [1, 3, 0, 2],
}

export const orientations = [1, 2, 3, 4, 5, 6, 7, 8] as const

/** What is shown of a stored picture with this orientation. */
export function shown(orientation: number, stored: Quarters = quarters) {
  const [first, second, third, fourth] = shownQuarters[orientation]!.map((index) => stored[index]!)
  const size = orientation < 5 ? { width, height } : { width: height, height: width }
  return { ...size, quarters: [first!, second!, third!, fourth!] as Quarters }
}

/** Which quarter a stored pixel is in. */
export function quarterOf(x: number, y: number, across = width, down = height): number {
  return (x < across / 2 ? 0 : 1) + (y < down / 2 ? 0 : 2)
}

/** EXIF data that notes nothing but an orientation. */
export function exif(
  orientation: number,
  { isLittle = true, asLong = false, gap = 0 }: { isLittle?: boolean; asLong?: boolean; gap?: number } = {},
): Buffer {
  const tiff = Buffer.alloc(8 + gap + 2 + 12 + 4)
  const short = (value: number, at: number) =>
    isLittle ? tiff.writeUInt16LE(value, at) : tiff.writeUInt16BE(value, at)
  const long = (value: number, at: number) =>
    isLittle ? tiff.writeUInt32LE(value, at) : tiff.writeUInt32BE(value, at)
  tiff.write(isLittle ? 'II' : 'MM', 0, 'latin1')
  short(42, 2)
  long(8 + gap, 4)
  short(1, 8 + gap)
  short(0x0112, 10 + gap)
  short(asLong ? 4 : 3, 12 + gap)
  long(1, 14 + gap)
  if (asLong) long(orientation, 18 + gap)
  else short(orientation, 18 + gap)
  return tiff
}

export function xmp(orientation: number, asElement = false): string {
  const [attribute, element] = asElement
    ? ['', `<tiff:Orientation>${orientation}</tiff:Orientation>`]
    : [` tiff:Orientation="${orientation}"`, '']
  return `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"${attribute}>${element}</rdf:Description></rdf:RDF></x:xmpmeta>`
}
