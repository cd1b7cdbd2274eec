import type { ProviderRequest } from '../provider.ts'

export interface FrameSize {
  width: number
  height: number
}

type Input = ProviderRequest['input']

const automatic = ['', 'auto', 'adaptive', 'original', 'match_input_image', 'match_input']
/** A shape that is taken from the customer's picture is kept between these, as the models do. */
const widestOwnRatio = 21 / 9
/** Short side by name. What the names do not say is 720. */
const shortSides: Record<string, number> = {
  '480p': 480,
  '512p': 480,
  pro: 1080,
  '1080p': 1080,
  '1440p': 1440,
  '2k': 1440,
  '3k': 1620,
  '4k': 2160,
}
/** What H.264's level 5.2 allows, the highest that players commonly decode, less what half-filled blocks take. */
const mostFilmPixels = 9_200_000

/** The size of a film's frames, with even sides as the encoder wants them; null where the shape is no shape. */
export function filmSize(input: Input, own: FrameSize | undefined): FrameSize | null {
  const ratio = readRatio(input, own, 16 / 9)
  if (ratio === null) {
    return null
  }
  const wanted = shortSides[String(input.resolution ?? input.quality ?? 'std').toLowerCase()] ?? 720
  const shortSide = Math.min(wanted, Math.floor(Math.sqrt(mostFilmPixels / Math.max(ratio, 1 / ratio))))
  return shaped(ratio, shortSide)
}

/**
 * The size of a still. "2K" counts, as with the models, for the area: that of a square of 2048, whatever the shape.
 */
export function stillSize(input: Input, own: FrameSize | undefined): FrameSize | null {
  const exact = /^(\d{2,4})\s*[x*×]\s*(\d{2,4})$/i.exec(String(input.size ?? ''))
  if (exact !== null) {
    return { width: clampSide(Number(exact[1])), height: clampSide(Number(exact[2])) }
  }
  const ratio = readRatio(input, own, 1)
  if (ratio === null) {
    return null
  }
  const name = String(input.resolution ?? input.size ?? '1k').toLowerCase()
  const lines = /^(480|720|1080)p$/.exec(name)
  if (lines !== null) {
    return shaped(ratio, Number(lines[1]))
  }
  const side = name === '512p' ? 512 : 1024 * Number(/^([1-4])k$/.exec(name)?.[1] ?? 1)
  return shaped(ratio, side / Math.sqrt(Math.max(ratio, 1 / ratio)))
}

/** The largest size of the same shape with no more pixels than that. */
export function atMost({ width, height }: FrameSize, pixels: number): FrameSize {
  const scale = Math.min(1, Math.sqrt(pixels / (width * height)))
  return scale === 1 ? { width, height } : { width: even(width * scale), height: even(height * scale) }
}

function readRatio(input: Input, own: FrameSize | undefined, usual: number): number | null {
  const asked = String(input.aspect_ratio ?? '').toLowerCase()
  if (automatic.includes(asked)) {
    const ratio = own === undefined ? usual : own.width / own.height
    return Math.min(widestOwnRatio, Math.max(1 / widestOwnRatio, ratio))
  }
  const [across, down] = asked.split(':').map(Number)
  const ratio = across! / down!
  return ratio >= 0.25 && ratio <= 4 ? ratio : null
}

function shaped(ratio: number, shortSide: number): FrameSize {
  return ratio >= 1
    ? { width: even(shortSide * ratio), height: even(shortSide) }
    : { width: even(shortSide), height: even(shortSide / ratio) }
}

function even(length: number): number {
  return Math.round(length / 2) * 2
}

function clampSide(side: number): number {
  return even(Math.min(4096, Math.max(64, side)))
}
