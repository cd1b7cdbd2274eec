import type { SKRSContext2D } from '@napi-rs/canvas'
import type { CameraState } from './camera.ts'
import { blend, css, prerender, verticalGradient } from './painter.ts'
import { between } from './random.ts'
import type { Layer, Stage } from './stage.ts'

export interface Water {
  paint(context: SKRSContext2D, camera: CameraState, seconds: number): void
}

/**
 * Water from the horizon to the bottom edge. What stands above is drawn upside down once; each frame cuts it
 * into lines and shifts them sideways, less far away and more near by, which is what ripples look like.
 */
export function makeWater(stage: Stage, light: { x: number; y: number } | null, reflected: Layer[]): Water {
  const { mood, width, height, horizon, unit, random } = stage
  const depth = height - horizon
  const margin = Math.ceil(40 * unit)
  const mirror = prerender(width + 2 * margin, depth, (context) => {
    context.save()
    context.translate(margin, 0)
    context.scale(1, -0.9)
    context.translate(0, -horizon)
    context.fillStyle = verticalGradient(
      context,
      0,
      horizon,
      mood.sky.map((color) => css(color)),
    )
    context.fillRect(-margin, -height, width + 2 * margin, horizon + height)
    for (const layer of reflected) {
      context.drawImage(layer.canvas, layer.x, layer.y, layer.width, layer.height)
    }
    context.restore()
    const tint = blend(mood.shade, mood.sky[0]!, 0.5)
    context.fillStyle = verticalGradient(context, 0, depth, [
      css(tint, 0.12),
      css(tint, 0.4),
      css(tint, 0.78),
    ])
    context.fillRect(0, 0, width + 2 * margin, depth)
  })
  const glints = light === null ? [] : glitter(stage, light)
  const spark = css(blend(mood.light, [255, 255, 255], 0.3))
  const phase = random() * 7
  return {
    paint(context, camera, seconds) {
      const zoomed = 1 + (camera.zoom - 1) * 0.4
      let y = 0
      while (y < depth) {
        const near = y / depth
        const line = Math.max(1, Math.round((1 + 5 * near) * unit))
        const swing =
          Math.sin(y / ((3 + 22 * near) * unit) + seconds * (2.4 - near) + phase) +
          0.5 * Math.sin(y / ((7 + 40 * near) * unit) - seconds * 1.3)
        const shift = swing * (1 + 9 * near) * unit - camera.x * 0.03 * width
        const source = Math.max(0, Math.min(depth - line, y + swing * 1.5 * unit))
        context.drawImage(
          mirror,
          margin - shift,
          source,
          width / zoomed,
          line,
          0,
          horizon + y,
          width,
          line + 1,
        )
        y += line
      }
      context.fillStyle = spark
      for (const glint of glints) {
        const shine = Math.sin(seconds * glint.speed + glint.phase)
        if (shine > 0.1) {
          context.globalAlpha = (shine - 0.1) * glint.alpha
          context.fillRect(
            glint.x - camera.x * 0.03 * width - (glint.width * shine) / 2,
            glint.y,
            glint.width * shine,
            glint.height,
          )
        }
      }
      context.globalAlpha = 1
    },
  }
}

/** Short bright lines below the light, more and narrower towards the horizon. */
function glitter({ width, height, horizon, random, unit, mood }: Stage, light: { x: number; y: number }) {
  const depth = height - horizon
  const count = mood.time === 'day' ? 220 : 420
  return Array.from({ length: count }, () => {
    const near = random() ** 1.7
    const spread = (0.02 + 0.11 * near) * width
    const sideways = (random() + random() + random() - 1.5) / 1.5
    return {
      x: light.x + sideways * spread,
      y: horizon + near * depth * 0.96,
      width: between(random, 8, 34) * unit * (0.35 + 1.5 * near),
      height: Math.max(1, (0.9 + 2.2 * near) * unit),
      phase: random() * 7,
      speed: between(random, 1.4, 4),
      alpha: between(random, 0.35, 0.95) * (1 - 0.35 * near),
    }
  })
}
