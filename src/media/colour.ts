import type { InputVideoTrack } from 'mediabunny'
import { avcColour } from './films/avc.ts'
import { type FilmFrame, Undecodable } from './films/decoder.ts'
import { isHdrTransfer, toStandardColours } from './hdr.ts'

/** How the colours of a film's pictures are stored, as its container and its codec's parameters say. */
export interface FilmColour {
  matrix: string | undefined
  fullRange: boolean | undefined
  transfer: string | undefined
  primaries: string | undefined
  /** Whether the stream is of a profile that can hold RGB. */
  mayBeRgb: boolean
}

/** Weights of red and blue in the luma of each matrix. */
const weights: Record<string, readonly [red: number, blue: number]> = {
  bt709: [0.2126, 0.0722],
  bt470bg: [0.299, 0.114],
  smpte170m: [0.299, 0.114],
  fcc: [0.3, 0.11],
  smpte240m: [0.212, 0.087],
  'bt2020-ncl': [0.2627, 0.0593],
}
/** The numbers of ISO/IEC 23091-2 for what the codec library has no name for. */
const namesByNumber: Record<number, string> = {
  0: 'rgb',
  4: 'fcc',
  7: 'smpte240m',
  8: 'ycgco',
  10: 'bt2020-ncl',
}
/** HEVC's range extensions, VP9's profiles 1 and 3, AV1's above the main one. */
const rgbProfiles = /^(hev1|hvc1)[.][A-C]?(4|5|9|11)[.]|^vp09[.]0[13]|^av01[.][12]/
const rgbFilm = 'The video stores its pictures as RGB, which is not supported: send it as YCbCr (4:2:0, say).'

/**
 * What is said of the colours outside the pictures: by the container, whose word goes before the stream's (ISO/IEC
 * 14496-12, 12.1.5), else by the stream's parameters.
 */
export async function filmColour(track: InputVideoTrack): Promise<FilmColour> {
  const config = await track.getDecoderConfig()
  const codec = await track.getCodec()
  const { matrix, fullRange, transfer, primaries } = config?.colorSpace ?? {}
  const avc = codec === 'avc' && config?.description ? avcColour(config.description as Uint8Array) : undefined
  const number = avc?.matrix ?? matrixNumber(config?.codec ?? '')
  return {
    matrix: matrix ?? (number === undefined ? undefined : namesByNumber[number]),
    fullRange: fullRange ?? avc?.fullRange,
    transfer: transfer ?? undefined,
    primaries: primaries ?? undefined,
    mayBeRgb: avc === undefined ? rgbProfiles.test(config?.codec ?? '') : avc.chromaFormat === 3,
  }
}

/** The codec strings of AV1 and VP9 may end with primaries, transfer, matrix and range. */
function matrixNumber(codec: string): number | undefined {
  const parts = codec.split('.')
  const number = codec.startsWith('av01') ? parts[8] : codec.startsWith('vp09') ? parts[7] : undefined
  return number === undefined ? undefined : Number(number)
}

interface Layout {
  /** How many pixels share a chroma sample, as a shift. */
  across: 0 | 1
  down: 0 | 1
  bits: number
}

function layoutOf(format: string | null): Layout | undefined {
  const [, chroma, depth = '8'] = /^I(420|422|444)A?(?:P(\d+))?$/.exec(format ?? '') ?? []
  if (chroma === undefined) return undefined
  return { across: chroma === '444' ? 0 : 1, down: chroma === '420' ? 1 : 0, bits: Number(depth) }
}

/**
 * The visible pixels of a frame as RGBA, over black where it is transparent, or the same in half its width and height. The codec library converts every frame as
 * BT.601 of limited range whatever its tag says, and with the wrong reds and greens, so that it is done here.
 */
export async function rgbaOf(
  { picture, alpha }: FilmFrame,
  colour: FilmColour,
  rgba: Uint8ClampedArray,
  isHalf = false,
): Promise<void> {
  const layout = layoutOf(picture.format)
  const { matrix, fullRange, transfer, primaries } = tagsOf(picture, colour)
  if (layout === undefined) throw new Undecodable(`The video's pixels (${picture.format}) are not supported.`)
  if (matrix === 'rgb' && layout.across === 1) throw new Undecodable(rgbFilm)
  const stored = await readPlanes(picture, layout)
  const planes = isHalf ? halved(stored, layout) : stored
  const sampling = isHalf ? { ...layout, ...eachPixel } : layout
  convert(planes, sampling, { matrix, fullRange, width: planes.width, height: planes.height }, rgba)
  // of a usual film players take no notice of the primaries
  if (isHdrTransfer(transfer)) toStandardColours(rgba, { transfer, primaries })
  if (alpha !== undefined) await blacken(alpha, planes, rgba, isHalf)
}

function tagsOf({ colorSpace, codedHeight }: VideoFrame, colour: FilmColour) {
  // Untagged video is taken for what players take it for.
  const usual = codedHeight >= 720 ? 'bt709' : 'smpte170m'
  const matrix = colour.matrix ?? colorSpace.matrix ?? usual
  // Who encodes from RGB may tag the result as that; what is known to do so converts as BT.601.
  return {
    matrix: matrix === 'rgb' && !colour.mayBeRgb ? 'smpte170m' : matrix,
    fullRange: colour.fullRange ?? colorSpace.fullRange ?? false,
    transfer: colour.transfer ?? colorSpace.transfer ?? undefined,
    primaries: colour.primaries ?? colorSpace.primaries ?? undefined,
  }
}

/** Whether a frame is of high dynamic range, which only some screens and no model can make use of. */
export function isHdr({ picture }: FilmFrame, colour: FilmColour): boolean {
  return isHdrTransfer(tagsOf(picture, colour).transfer)
}

/** The size of what of a frame is visible. */
export function sizeOf({ picture }: Pick<FilmFrame, 'picture'>): { width: number; height: number } {
  const { visibleRect, codedWidth, codedHeight } = picture
  return { width: visibleRect?.width ?? codedWidth, height: visibleRect?.height ?? codedHeight }
}

interface Planes {
  width: number
  height: number
  /** Of luma, and of both chroma planes. */
  samples: Uint8Array | Uint16Array
  starts: number[]
  strides: number[]
}

async function readPlanes(frame: VideoFrame, { bits }: Pick<Layout, 'bits'>): Promise<Planes> {
  const { width, height } = sizeOf({ picture: frame })
  const bytes = new Uint8Array(frame.allocationSize())
  const layout = await frame.copyTo(bytes)
  const size = bits > 8 ? 2 : 1
  return {
    width,
    height,
    samples: size === 2 ? new Uint16Array(bytes.buffer, 0, bytes.length >> 1) : bytes,
    starts: layout.map(({ offset }) => offset / size),
    strides: layout.map(({ stride }) => stride / size),
  }
}

const eachPixel = { across: 0, down: 0 } as const

/**
 * Of every four pixels the mean luma, and the chroma of one, which at 4:2:0 all four share. What is to be made smaller anyway
 * takes a quarter of the time from here on.
 */
function halved(planes: Planes, { across, down }: Layout): Planes {
  const { samples, starts, strides } = planes
  const [width, height] = [planes.width >> 1, planes.height >> 1]
  const size = width * height
  const made = samples instanceof Uint16Array ? new Uint16Array(size * 3) : new Uint8Array(size * 3)
  const hasChroma = starts.length > 2
  for (let y = 0, at = 0; y < height; y += 1) {
    const top = starts[0]! + 2 * y * strides[0]!
    const below = top + strides[0]!
    const blue = hasChroma ? starts[1]! + ((2 * y) >> down) * strides[1]! : 0
    const red = hasChroma ? starts[2]! + ((2 * y) >> down) * strides[2]! : 0
    for (let x = 0; x < 2 * width; x += 2, at += 1) {
      made[at] =
        (samples[top + x]! + samples[top + x + 1]! + samples[below + x]! + samples[below + x + 1]! + 2) >> 2
      if (!hasChroma) continue
      made[size + at] = samples[blue + (x >> across)]!
      made[2 * size + at] = samples[red + (x >> across)]!
    }
  }
  return { width, height, samples: made, starts: [0, size, 2 * size], strides: [width, width, width] }
}

interface Tags {
  matrix: string
  fullRange: boolean
  width: number
  height: number
}

/** Factors by which a pixel's luma and chroma, less their zero, give its colours. */
function factorsOf({ matrix, fullRange }: Tags, bits: number) {
  const unit = 2 ** (bits - 8)
  const [black, range, chromaRange] = fullRange
    ? [0, 256 * unit - 1, 256 * unit - 1]
    : [16 * unit, 219 * unit, 224 * unit]
  const [red, blue] = weights[matrix] ?? weights.bt709!
  const green = 1 - red - blue
  const [gain, chromaGain] = [255 / range, 255 / chromaRange]
  return {
    black,
    middle: 128 * unit,
    gain,
    chromaGain,
    redOfRed: 2 * (1 - red) * chromaGain,
    blueOfBlue: 2 * (1 - blue) * chromaGain,
    greenOfRed: ((2 * (1 - red) * red) / green) * chromaGain,
    greenOfBlue: ((2 * (1 - blue) * blue) / green) * chromaGain,
  }
}

function convert(
  { samples, starts, strides }: Planes,
  { across, down, bits }: Layout,
  tags: Tags,
  rgba: Uint8ClampedArray,
): void {
  const { black, middle, gain, chromaGain, redOfRed, blueOfBlue, greenOfRed, greenOfBlue } = factorsOf(
    tags,
    bits,
  )
  const { matrix, width, height } = tags
  const [isRgb, isYCgCo] = [matrix === 'rgb', matrix === 'ycgco']
  for (let y = 0, at = 0; y < height; y += 1) {
    const lumaRow = starts[0]! + y * strides[0]!
    const blueRow = starts[1]! + (y >> down) * strides[1]!
    const redRow = starts[2]! + (y >> down) * strides[2]!
    for (let x = 0; x < width; x += 1, at += 4) {
      const l = (samples[lumaRow + x]! - black) * gain
      const b = samples[blueRow + (x >> across)]! - middle
      const r = samples[redRow + (x >> across)]! - middle
      if (isRgb) {
        rgba[at] = (r + middle - black) * gain
        rgba[at + 1] = l
        rgba[at + 2] = (b + middle - black) * gain
      } else if (isYCgCo) {
        rgba[at] = l - (b - r) * chromaGain
        rgba[at + 1] = l + b * chromaGain
        rgba[at + 2] = l - (b + r) * chromaGain
      } else {
        rgba[at] = l + redOfRed * r
        rgba[at + 1] = l - greenOfBlue * b - greenOfRed * r
        rgba[at + 2] = l + blueOfBlue * b
      }
      rgba[at + 3] = 255
    }
  }
}

/** Darkens what is transparent. The luma of the second picture says how much, always from 0 to its most. */
async function blacken(
  alpha: VideoFrame,
  { width, height }: Planes,
  rgba: Uint8ClampedArray,
  isHalf: boolean,
): Promise<void> {
  const layout = layoutOf(alpha.format) ?? { across: 1, down: 1, bits: 8 }
  const { bits } = layout
  const stored = await readPlanes(alpha, layout)
  const planes = isHalf ? halved(stored, layout) : stored
  if (planes.width !== width || planes.height !== height) return
  const most = 2 ** bits - 1
  for (let y = 0, at = 0; y < height; y += 1) {
    const row = planes.starts[0]! + y * planes.strides[0]!
    for (let x = 0; x < width; x += 1, at += 4) {
      const share = planes.samples[row + x]! / most
      rgba[at] = rgba[at]! * share
      rgba[at + 1] = rgba[at + 1]! * share
      rgba[at + 2] = rgba[at + 2]! * share
    }
  }
}
