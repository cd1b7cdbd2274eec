import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import type { Input } from 'mediabunny'
import { startOf } from '../../media/films/play.ts'
import { framesAt, openMedia } from '../../media/frames.ts'
import type { FrameSize } from './frame-size.ts'
import { blurred, leastKeptShare } from './image-to-video.ts'
import { type Painter, prerender } from './painter.ts'
import { UnusableSource } from './picture.ts'

/** A film of the customer's, played frame by frame. */
export interface Footage {
  /** Holds the current frame; `advance` draws the next one on it. */
  canvas: Canvas
  /** The first call leaves the first frame; after the last one, that stays. */
  advance(): Promise<void>
  close(): Promise<void>
}

/** Opens a film to be played at these times, in seconds from its start. It throws UnusableSource, also later. */
export async function openFootage(path: string, times: number[]): Promise<Footage> {
  const input = openMedia(path)
  const pictures = playAt(input, times)
  const close = async (): Promise<void> => {
    await pictures.return(undefined)
    input.dispose()
  }
  try {
    const canvas = await nextOf(pictures)
    if (canvas === null) throw unusable()
    let isFirst = true
    return {
      canvas,
      async advance() {
        if (!isFirst) await nextOf(pictures)
        isFirst = false
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The last frame of a film. */
export async function lastFrame(path: string): Promise<Canvas> {
  using input = openMedia(path)
  const pictures = playAt(input, [Number.POSITIVE_INFINITY])
  const picture = await nextOf(pictures)
  await pictures.return(undefined)
  if (picture === null) throw unusable()
  return picture
}

/** The frames at these times; those beyond the end are left out, but infinity is the end. */
async function* playAt(input: Input, times: number[]): AsyncGenerator<Canvas> {
  const track = await input.getPrimaryVideoTrack()
  if (track === null) return
  const start = await startOf(track)
  const end = await track.computeDuration()
  const shown = times.map((time) => (time === Number.POSITIVE_INFINITY ? end : start + time))
  yield* framesAt(
    track,
    shown.filter((time) => time <= end),
  )
}

/** What comes next, or null at the end. That a customer's file does not decode is no fault of ours. */
async function nextOf(pictures: AsyncGenerator<Canvas>): Promise<Canvas | null> {
  const next = await pictures.next().catch((cause) => {
    throw unusable(cause)
  })
  return next.done === true ? null : next.value
}

function unusable(cause?: unknown): UnusableSource {
  const remedy = 'send an MP4 or WebM file that plays in a browser to its end.'
  return new UnusableSource(`The video cannot be decoded; ${remedy}`, { cause })
}

/** Shows a film of the customer's as it is; one of another shape stands before itself, out of focus. */
export function footageToVideo({ canvas, advance }: Footage, frame: FrameSize): Painter {
  const across = frame.width / canvas.width
  const down = frame.height / canvas.height
  const isCut = Math.min(across, down) / Math.max(across, down) >= leastKeptShare
  const scale = isCut ? Math.max(across, down) : Math.min(across, down)
  const [width, height] = [canvas.width * scale, canvas.height * scale]
  const back = isCut ? null : backdrop(canvas, frame)
  return {
    prepare: advance,
    paint(context: SKRSContext2D) {
      if (back !== null) {
        context.drawImage(back, 0, 0)
      }
      context.imageSmoothingQuality = 'low'
      context.drawImage(canvas, (frame.width - width) / 2, (frame.height - height) / 2, width, height)
    },
  }
}

function backdrop(canvas: Canvas, { width, height }: FrameSize): Canvas {
  const soft = blurred(canvas, width, height)
  return prerender(width, height, (context) => {
    context.imageSmoothingQuality = 'high'
    context.drawImage(soft, 0, 0, width, height)
  })
}
