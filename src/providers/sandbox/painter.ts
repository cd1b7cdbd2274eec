import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { createCanvas } from '@napi-rs/canvas'

/** Draws one shot. Whatever does not move is drawn once beforehand; `paint` is called for every frame. */
export interface Painter {
  /** Awaited before each frame where the picture moves by itself. */
  prepare?(progress: number): Promise<void>
  /** `progress` runs from 0 at the shot's first frame to 1 at its last; `seconds` count from the film's start. */
  paint(context: SKRSContext2D, progress: number, seconds: number): void
}

export type Rgb = readonly [red: number, green: number, blue: number]

/** A CSS colour. */
export function css([red, green, blue]: Rgb, alpha = 1): string {
  return `rgba(${Math.round(red)},${Math.round(green)},${Math.round(blue)},${Math.round(alpha * 1000) / 1000})`
}

/** The colour as one opaque pixel of an image's memory. */
export function opaque([red, green, blue]: Rgb): number {
  return ((255 << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0
}

/** The colour `share` of the way from one to the other. */
export function blend(from: Rgb, to: Rgb, share: number): Rgb {
  return [
    from[0] + (to[0] - from[0]) * share,
    from[1] + (to[1] - from[1]) * share,
    from[2] + (to[2] - from[2]) * share,
  ]
}

/** `#rrggbb` as numbers. */
export function rgb(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

/** A canvas of its own for what stays the same, drawn at once. */
export function prerender(width: number, height: number, draw: (context: SKRSContext2D) => void): Canvas {
  const canvas = createCanvas(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)))
  draw(canvas.getContext('2d'))
  return settled(canvas)
}

/**
 * The same canvas with its drawing done: the library records calls and replays them at every use, which made
 * each frame pay for the whole scene again (measured: 40 ms a frame instead of 3).
 */
export function settled(canvas: Canvas): Canvas {
  canvas.getContext('2d').getImageData(0, 0, 1, 1)
  return canvas
}

/** A round glow that fades to nothing, for lamps, sparks and the sun. */
export function glowSprite(size: number, color: Rgb, core = 0.08): Canvas {
  return prerender(size, size, (context) => {
    const half = size / 2
    const gradient = context.createRadialGradient(half, half, 0, half, half, half)
    gradient.addColorStop(0, css(blend(color, [255, 255, 255], 0.6)))
    gradient.addColorStop(core, css(color, 0.75))
    gradient.addColorStop(core + (1 - core) * 0.3, css(color, 0.22))
    gradient.addColorStop(core + (1 - core) * 0.6, css(color, 0.06))
    gradient.addColorStop(1, css(color, 0))
    context.fillStyle = gradient
    context.fillRect(0, 0, size, size)
  })
}

/** A colour gradient from top to bottom. */
export function verticalGradient(
  context: SKRSContext2D,
  top: number,
  bottom: number,
  colors: readonly string[],
): ReturnType<SKRSContext2D['createLinearGradient']> {
  const gradient = context.createLinearGradient(0, top, 0, bottom)
  for (const [index, color] of colors.entries()) {
    gradient.addColorStop(colors.length === 1 ? 0 : index / (colors.length - 1), color)
  }
  return gradient
}

/** Lets what is bright spill over its edges, as a lens does. Blurred small: at full size it took half a second. */
export function addBloom(canvas: Canvas, strength: number): void {
  const shrink = 8
  const bright = prerender(canvas.width / shrink, canvas.height / shrink, (context) => {
    const { width, height } = context.canvas
    context.imageSmoothingQuality = 'high'
    context.drawImage(canvas, 0, 0, width, height)
    context.globalCompositeOperation = 'multiply'
    context.drawImage(canvas, 0, 0, width, height)
  })
  const context = canvas.getContext('2d')
  context.save()
  context.resetTransform()
  context.globalCompositeOperation = 'screen'
  for (const [blur, share] of [
    [2, 0.6],
    [7, 0.8],
  ] as const) {
    const spread = prerender(bright.width, bright.height, (soft) => {
      soft.filter = `blur(${blur}px)`
      soft.drawImage(bright, 0, 0)
    })
    context.globalAlpha = strength * share
    context.drawImage(spread, 0, 0, canvas.width, canvas.height)
  }
  context.restore()
  settled(canvas)
}
