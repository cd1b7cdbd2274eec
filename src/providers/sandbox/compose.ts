import { type Canvas, createCanvas } from '@napi-rs/canvas'
import { makeCards } from './cards.ts'
import { type Footage, footageToVideo, lastFrame, openFootage } from './footage.ts'
import type { FrameSize } from './frame-size.ts'
import { imageToVideo } from './image-to-video.ts'
import { readLook } from './look.ts'
import { type Painter, settled } from './painter.ts'
import { readPicture } from './picture.ts'
import { seededRandom } from './random.ts'
import type { RenderRequest } from './request.ts'
import type { SourceRequest } from './sources.ts'

/** A file of the customer's, open for drawing. */
export interface Source {
  use: SourceRequest['use']
  /** The picture, or the current frame of the film. */
  canvas: Canvas
  footage: Footage | null
}

/** How much of a scene's turn goes into the one after it. */
const meltShare = 0.36

/** Opens the customer's files; throws UnusableSource for the first that can't be used. */
export async function openSources(
  request: RenderRequest,
  pathOf: (index: number) => string,
): Promise<Source[]> {
  const times = frameTimes(request)
  const sources: Source[] = []
  try {
    for (const [index, source] of request.sources.entries()) {
      sources.push(await openSource(source, pathOf(index), times))
    }
    return sources
  } catch (error) {
    await closeSources(sources)
    throw error
  }
}

export async function closeSources(sources: Source[]): Promise<void> {
  for (const { footage } of sources) {
    await footage?.close()
  }
}

/** When each frame of the result is shown, in seconds. */
function frameTimes(request: RenderRequest): number[] {
  if (request.type === 'image') {
    return [0]
  }
  const frames = request.shots.reduce((sum, shot) => sum + shot.frames, 0)
  return Array.from({ length: frames }, (_, index) => index / request.framesPerSecond)
}

async function openSource({ kind, use }: SourceRequest, path: string, times: number[]): Promise<Source> {
  if (kind === 'image') {
    return { use, canvas: await readPicture(path), footage: null }
  }
  if (use === 'ending') {
    return { use, canvas: await lastFrame(path), footage: null }
  }
  const footage = await openFootage(path, times)
  return { use, canvas: footage.canvas, footage }
}

export interface ShotPlan extends FrameSize {
  prompt: string
  seed: number
  look: string | null
  /** Which part of the film the shot is, from 0 to 1: the scenes share the film, not each shot. */
  from: number
  to: number
}

/** Paints a shot out of the customer's pictures and films. */
export function composeShot(sources: Source[], plan: ShotPlan): Painter {
  const scenes = sources.filter(({ use }) => use !== 'card').map((source) => scenePainter(source, plan))
  const scene = scenes.length === 1 ? scenes[0]! : inTurn(scenes, plan)
  const look = plan.look === null ? null : readLook(plan.look, seededRandom(plan.seed, 'look'))
  const cards = sources.filter(({ use }) => use === 'card')
  const drawCards =
    cards.length === 0
      ? null
      : makeCards(
          cards.map(({ canvas }) => canvas),
          plan,
        )
  return {
    async prepare(progress) {
      await scene.prepare?.(progress)
      for (const { footage } of cards) {
        await footage?.advance()
      }
    },
    paint(context, progress, seconds) {
      scene.paint(context, progress, seconds)
      look?.(context, plan.width, plan.height)
      drawCards?.(context)
    },
  }
}

function scenePainter({ canvas, footage }: Source, plan: ShotPlan): Painter {
  return footage === null
    ? imageToVideo(canvas, plan.prompt, plan.width, plan.height, plan.seed)
    : footageToVideo(footage, plan)
}

/** One scene after the other, each melting into the next; the first and the last frame belong to one alone. */
function inTurn(scenes: Painter[], { width, height, from, to }: ShotPlan): Painter {
  const above = createCanvas(width, height)
  const aboveContext = above.getContext('2d', { alpha: false })
  /** The scene in view, and where it is melting into the next one, that one and how far. */
  function inView(progress: number): { scene: Painter; next: Painter | null; share: number } {
    const turn = (from + (to - from) * progress) * scenes.length
    const boundary = Math.min(scenes.length - 1, Math.max(1, Math.round(turn)))
    const share = melt(turn - boundary)
    const [before, after] = [scenes[boundary - 1]!, scenes[boundary]!]
    if (share === 0 || share === 1) {
      return { scene: share === 0 ? before : after, next: null, share: 0 }
    }
    return { scene: before, next: after, share }
  }
  return {
    async prepare(progress) {
      const { scene, next } = inView(progress)
      await scene.prepare?.(progress)
      await next?.prepare?.(progress)
    },
    paint(context, progress, seconds) {
      const { scene, next, share } = inView(progress)
      scene.paint(context, progress, seconds)
      if (next !== null) {
        next.paint(aboveContext, progress, seconds)
        context.globalAlpha = share
        context.drawImage(settled(above), 0, 0)
        context.globalAlpha = 1
      }
    },
  }
}

/** How far one scene has melted into the next; `turns` count from the middle between them. */
function melt(turns: number): number {
  const share = Math.min(1, Math.max(0, turns / meltShare + 0.5))
  return share * share * (3 - 2 * share)
}
