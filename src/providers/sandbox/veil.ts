import { createCanvas, type SKRSContext2D } from '@napi-rs/canvas'

/** Light or haze that changes with every frame, painted small and laid over the frame. */
export interface Veil {
  /** Clears the veil and paints it anew, in the coordinates of the area it covers; every second frame only. */
  paint(seconds: number, draw: (context: SKRSContext2D) => void): void
  /** Lays it over the target with the target's mixing. */
  lay(target: SKRSContext2D, x: number, y: number): void
}

/**
 * A veil of this size in the frame, painted at `scale` of it. It is enlarged in two steps: through the filter to
 * half the size, and from there by doubling pixels, which no eye finds in something so soft. In one step the
 * filter runs for every pixel of the frame, which costs half as much again or twice as much.
 */
export function makeVeil(width: number, height: number, scale: number): Veil {
  const small = createCanvas(Math.ceil(width * scale), Math.ceil(height * scale))
  const half = createCanvas(Math.ceil(width / 2), Math.ceil(height / 2))
  const painted = small.getContext('2d')
  const enlarged = half.getContext('2d')
  const { width: halfWidth, height: halfHeight } = half
  let paintedAt = -1
  return {
    paint(seconds, draw) {
      // Twelve times a second is often enough for soft light, and spares half of its painting.
      const now = Math.floor(seconds * 12 + 0.0005)
      if (now === paintedAt) {
        return
      }
      paintedAt = now
      painted.globalCompositeOperation = 'source-over'
      painted.globalAlpha = 1
      painted.clearRect(0, 0, small.width, small.height)
      painted.save()
      painted.scale(scale, scale)
      draw(painted)
      painted.restore()
      enlarged.clearRect(0, 0, halfWidth, halfHeight)
      enlarged.drawImage(small, 0, 0, halfWidth, halfHeight)
    },
    lay(target, x, y) {
      target.imageSmoothingEnabled = false
      target.drawImage(half, x, y, width, height)
      target.imageSmoothingEnabled = true
    },
  }
}
