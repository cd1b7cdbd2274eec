import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCanvas } from '@napi-rs/canvas'
import { closeSources, composeShot, openSources, type Source } from './compose.ts'
import { type Film, openFilm } from './film.ts'
import { atMost } from './frame-size.ts'
import { makeOverlay } from './overlay.ts'
import type { Painter } from './painter.ts'
import { UnusableSource } from './picture.ts'
import { variantSeed } from './random.ts'
import type { FilmRequest, RenderRequest, StillRequest } from './request.ts'
import { makeSoundtrack } from './soundtrack.ts'
import { drawStill } from './still.ts'
import { type Failure, outputNames, sourceName } from './store.ts'
import { textToVideo } from './text-to-video.ts'

/** What a rendering thread is told of one job. */
export interface RenderTask {
  /** Holds the customer's files, and gets the result. */
  folder: string
  request: RenderRequest
  /** Set to 1 to end the render at the next frame. */
  stop: Int32Array
}

export type RenderResult =
  | { outcome: 'rendered' }
  | { outcome: 'stopped' }
  | { outcome: 'failed'; failure: Failure }

/** Frames above this (1080 lines at 21:9) are painted at it and enlarged: painting would take most of the time. */
const mostPaintedPixels = 2520 * 1080

/** The entry of a rendering thread: makes the files of one job. */
export default async function render({ folder, request, stop }: RenderTask): Promise<RenderResult> {
  const isStopped = () => Atomics.load(stop, 0) === 1
  const paths = outputNames(request).map((name) => join(folder, name))
  try {
    const sources = await openSources(request, (index) => join(folder, sourceName(index)))
    try {
      const isWhole =
        request.type === 'video'
          ? await renderFilm(request, sources, paths[0]!, isStopped)
          : await renderStills(request, sources, paths, isStopped)
      return { outcome: isWhole ? 'rendered' : 'stopped' }
    } finally {
      await closeSources(sources)
    }
  } catch (error) {
    return { outcome: 'failed', failure: failureOf(error) }
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof UnusableSource) {
    return { code: 'INPUT_MEDIA_INVALID', message: error.message }
  }
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { code: 'GENERATION_FAILED', message: 'The sandbox could not render this job.', cause }
}

async function renderStills(
  request: StillRequest,
  sources: Source[],
  paths: string[],
  isStopped: () => boolean,
): Promise<boolean> {
  for (const [index, path] of paths.entries()) {
    if (isStopped()) {
      return false
    }
    await writeFile(path, await drawStill(request, sources, index))
  }
  return true
}

/** Draws and encodes all frames into the file; false where it was stopped before the end. */
export async function renderFilm(
  request: FilmRequest,
  sources: Source[],
  path: string,
  isStopped: () => boolean,
): Promise<boolean> {
  const frames = request.shots.reduce((sum, shot) => sum + shot.frames, 0)
  const { width, height, framesPerSecond } = request
  const sound = request.hasSound ? makeSoundtrack(request, frames / framesPerSecond) : null
  const film = await openFilm({ path, width, height, framesPerSecond, frames, sound })
  try {
    const isWhole = await drawShots(request, sources, film, isStopped)
    await (isWhole ? film.finish() : film.abandon())
    return isWhole
  } catch (error) {
    // The first failure is the one to report; a second one while tidying up says nothing new.
    await film.abandon().catch(() => {})
    throw error
  }
}

async function drawShots(
  request: FilmRequest,
  sources: Source[],
  film: Film,
  isStopped: () => boolean,
): Promise<boolean> {
  const { width, height, shots } = request
  const painted = atMost(request, mostPaintedPixels)
  const canvas = createCanvas(painted.width, painted.height)
  const context = canvas.getContext('2d', { alpha: false })
  const isEnlarged = painted.width !== width
  const whole = isEnlarged ? createCanvas(width, height) : canvas
  const wholeContext = isEnlarged ? whole.getContext('2d', { alpha: false }) : context
  let passed = 0
  for (const [index, shot] of shots.entries()) {
    const painter = shotPainter(request, sources, index)
    const overlay = makeOverlay(width, height, sources.length === 0 ? shot.prompt : null)
    for (let frame = 0; frame < shot.frames; frame++) {
      if (isStopped()) {
        return false
      }
      const progress = frame / Math.max(1, shot.frames - 1)
      await painter.prepare?.(progress)
      painter.paint(context, progress, (passed + frame) / request.framesPerSecond)
      if (isEnlarged) {
        wholeContext.drawImage(canvas, 0, 0, width, height)
      }
      overlay.draw(wholeContext)
      await film.add(whole, { newShot: frame === 0 })
    }
    passed += shot.frames
  }
  return true
}

/** The painter of one shot; each has a seed of its own, so that two shots of one prompt still differ. */
function shotPainter(request: FilmRequest, sources: Source[], index: number): Painter {
  const { prompt, frames } = request.shots[index]!
  const { width, height } = atMost(request, mostPaintedPixels)
  const seed = variantSeed(request.seed, index)
  if (sources.length === 0) {
    return textToVideo(prompt, width, height, seed)
  }
  const passed = request.shots.slice(0, index).reduce((sum, shot) => sum + shot.frames, 0)
  const total = request.shots.reduce((sum, shot) => sum + shot.frames, 0)
  const [from, to] = [passed / total, (passed + frames) / total]
  return composeShot(sources, { width, height, prompt, seed, look: request.look, from, to })
}
