import { rm } from 'node:fs/promises'
import { createCanvas, type Image } from '@napi-rs/canvas'
import { type Film, framesPerSecond, openFilm } from './film.ts'
import { type Failure, jobFolder, publish } from './folder.ts'
import { imageToVideo } from './image-to-video.ts'
import { makeOverlay } from './overlay.ts'
import type { Painter } from './painter.ts'
import { readPicture } from './picture.ts'
import type { RenderRequest, ShotRequest } from './request.ts'
import { makeSoundtrack } from './soundtrack.ts'
import { textToVideo } from './text-to-video.ts'

/** What a rendering thread is told of one job. */
export interface RenderTask {
  directory: string
  jobId: string
  /** Names the file that is being written, apart from those of other processes. */
  process: string
  request: RenderRequest
  /** Set to 1 to end the render at the next frame. */
  stop: Int32Array
}

export type RenderResult =
  | { outcome: 'rendered' }
  | { outcome: 'stopped' }
  | { outcome: 'failed'; failure: Failure }

/** The entry of a rendering thread: makes the film of one job and puts it in its place. */
export default async function render(task: RenderTask): Promise<RenderResult> {
  const folder = jobFolder(task.directory, task.jobId)
  const part = folder.unfinished(task.process)
  try {
    const reading = task.request.hasPicture ? await readPicture(folder.picture) : null
    if (reading !== null && 'problem' in reading) {
      return { outcome: 'failed', failure: { code: 'INPUT_MEDIA_INVALID', message: reading.problem } }
    }
    if (
      !(await renderFilm(
        task.request,
        reading?.picture ?? null,
        part,
        () => Atomics.load(task.stop, 0) === 1,
      ))
    ) {
      await rm(part, { force: true })
      return { outcome: 'stopped' }
    }
    await publish(part, folder.output, folder.path)
    return { outcome: 'rendered' }
  } catch (error) {
    await rm(part, { force: true })
    const message = 'The sandbox could not render this job.'
    const cause = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { outcome: 'failed', failure: { code: 'GENERATION_FAILED', message, cause } }
  }
}

/** Draws and encodes all frames into the file; false where it was stopped before the end. */
export async function renderFilm(
  request: RenderRequest,
  picture: Image | null,
  path: string,
  isStopped: () => boolean,
): Promise<boolean> {
  const frames = request.shots.reduce((sum, shot) => sum + shot.frames, 0)
  const { width, height } = request
  const sound = request.hasSound ? makeSoundtrack(request, frames / framesPerSecond) : null
  const film = await openFilm({ path, width, height, frames, sound })
  try {
    const isWhole = await drawShots(request, picture, film, isStopped)
    await (isWhole ? film.finish() : film.abandon())
    return isWhole
  } catch (error) {
    // The first failure is the one to report; a second one while tidying up says nothing new.
    await film.abandon().catch(() => {})
    throw error
  }
}

async function drawShots(
  request: RenderRequest,
  picture: Image | null,
  film: Film,
  isStopped: () => boolean,
): Promise<boolean> {
  const { width, height } = request
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d', { alpha: false })
  let passed = 0
  for (const [index, shot] of request.shots.entries()) {
    const painter = shotPainter(request, shot, index, picture)
    const overlay = makeOverlay(width, height, picture === null ? shot.prompt : null)
    for (let frame = 0; frame < shot.frames; frame++) {
      if (isStopped()) {
        return false
      }
      painter.paint(context, frame / Math.max(1, shot.frames - 1), (passed + frame) / framesPerSecond)
      overlay.draw(context)
      await film.add(canvas, { newShot: frame === 0 })
    }
    passed += shot.frames
  }
  return true
}

/** The painter of one shot; each has a seed of its own, so that two shots of one prompt still differ. */
export function shotPainter(
  request: RenderRequest,
  shot: ShotRequest,
  index: number,
  picture: Image | null,
): Painter {
  const seed = request.seed + index * 7919
  return picture === null
    ? textToVideo(shot.prompt, request.width, request.height, seed)
    : imageToVideo(picture, shot.prompt, request.width, request.height, seed)
}
