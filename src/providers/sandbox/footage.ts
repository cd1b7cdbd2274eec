import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { framesAt, openMedia, picturesAt } from '../../media/frames.ts'
import type { FrameSize } from './frame-size.ts'
import { blurred, leastKeptShare } from './image-to-video.ts'
import { type Painter, prerender } from './painter.ts'

/** A film of the customer's, played frame by frame. */
export interface Footage {
  /** Holds the current frame; `advance` draws the next one on it. */
  canvas: Canvas
  /** The first call leaves the first frame; after the last one, that stays. */
  advance(): Promise<void>
  close(): Promise<void>
}

/** Opens a film to be played at these times, in seconds from its start; null where no picture of it decodes. */
export async function openFootage(path: string, times: number[]): Promise<Footage | null> {
  const input = openMedia(path)
  const track = await input.getPrimaryVideoTrack()
  if (track === null) {
    input.dispose()
    return null
  }
  const start = await track.getFirstTimestamp()
  const end = await track.computeDuration()
  const shown = times.map((time) => start + time).filter((time) => time < end)
  const pictures = framesAt(track, shown)
  const close = async (): Promise<void> => {
    await pictures.return(undefined)
    input.dispose()
  }
  const first = await pictures.next()
  if (first.done === true) {
    await close()
    return null
  }
  let isFirst = true
  return {
    canvas: first.value,
    async advance() {
      if (!isFirst) {
        await pictures.next()
      }
      isFirst = false
    },
    close,
  }
}

/** The last frame of a film, or null where none decodes. */
export async function lastFrame(path: string): Promise<Canvas | null> {
  using input = openMedia(path)
  const track = await input.getPrimaryVideoTrack()
  if (track !== null) {
    for await (const picture of picturesAt(track, [await track.computeDuration()])) {
      return picture
    }
  }
  return null
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
