import { createCanvas } from '@napi-rs/canvas'
import { composeShot, type Source } from './compose.ts'
import { atMost, type FrameSize } from './frame-size.ts'
import { readLook } from './look.ts'
import { makeOverlay } from './overlay.ts'
import type { Painter } from './painter.ts'
import { seededRandom, variantSeed } from './random.ts'
import type { StillRequest } from './request.ts'
import { textToVideo } from './text-to-video.ts'

/** Above 4 megapixels painting took 3 to 7 s and up to 2 GB; enlarged from there it takes about 1 s. */
const mostPaintedPixels = 2048 ** 2
const jpegQuality = 90

/** Draws one picture of a job, as a JPEG. */
export async function drawStill(request: StillRequest, sources: Source[], index: number): Promise<Buffer> {
  const { width, height, prompt } = request
  const painted = atMost(request, mostPaintedPixels)
  const canvas = createCanvas(painted.width, painted.height)
  const context = canvas.getContext('2d', { alpha: false })
  paintStill(request, sources, index, painted).paint(context, 0.4, 2)
  const whole = createCanvas(width, height)
  const wholeContext = whole.getContext('2d', { alpha: false })
  wholeContext.imageSmoothingQuality = 'high'
  wholeContext.drawImage(canvas, 0, 0, width, height)
  makeOverlay(width, height, sources.length === 0 ? prompt : null).draw(wholeContext)
  return await whole.encode('jpeg', jpegQuality)
}

function paintStill(request: StillRequest, sources: Source[], index: number, frame: FrameSize): Painter {
  const { prompt, look: words } = request
  const seed = variantSeed(request.seed, index)
  if (sources.length > 0) {
    return composeShot(sources, { ...frame, prompt, seed, look: words, from: 0, to: 1 })
  }
  const scene = textToVideo(prompt, frame.width, frame.height, seed)
  const look = words === null ? null : readLook(words, seededRandom(seed, 'look'))
  return {
    paint(context, progress, seconds) {
      scene.paint(context, progress, seconds)
      look?.(context, frame.width, frame.height)
    },
  }
}
