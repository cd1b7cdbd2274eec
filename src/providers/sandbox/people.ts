import type { SKRSContext2D } from '@napi-rs/canvas'
import { blend, css, type Rgb } from './painter.ts'
import { between, type Random } from './random.ts'
import { neon, type StreetView } from './street-view.ts'

export interface Walker {
  x: number
  z: number
  /** Metres per second towards the viewer; negative walks away. */
  speed: number
  tall: number
  phase: number
  umbrella: Rgb | null
  coat: Rgb
  rim: Rgb
}

/** People in the street, farthest first. In rain most carry umbrellas. */
export function makeWalkers(random: Random, view: StreetView, count: number, isRaining: boolean): Walker[] {
  return Array.from({ length: count }, (_, index) => {
    const side = index % 2 === 0 ? -1 : 1
    return {
      x: side * between(random, 0.9, view.halfWidth - 1),
      z: 7.5 + 15 * (index / count) + between(random, -0.6, 0.6),
      speed: between(random, 0.25, 0.6) * (random() < 0.55 ? -1 : 1),
      tall: between(random, 1.55, 1.85),
      phase: random() * 7,
      umbrella:
        isRaining && random() < 0.85 ? blend(neon(random), [24, 16, 40], between(random, 0.5, 0.82)) : null,
      coat: blend([10, 10, 20], [40, 32, 52], random()),
      rim: neon(random),
    }
  }).sort((a, b) => b.z - a.z)
}

/** Draws a walker and, upside down in the wet ground, their reflection. */
export function drawWalker(
  context: SKRSContext2D,
  view: StreetView,
  walker: Walker,
  moved: number,
  seconds: number,
): void {
  const z = walker.z - moved - walker.speed * seconds
  if (z < 3) {
    return
  }
  const scale = view.focal / z
  const [x, y] = view.point(walker.x, 0, z)
  const fade = Math.min(1, (z - 3) / 1.5)
  for (const isReflection of [true, false]) {
    context.save()
    context.translate(x, y)
    context.scale(scale, isReflection ? -scale * 0.92 : scale)
    context.globalAlpha = fade * (isReflection ? 0.34 : 1)
    figure(context, walker, seconds, z, isReflection)
    context.restore()
  }
}

/** One person in metres, feet at the origin, y up being negative. */
function figure(
  context: SKRSContext2D,
  walker: Walker,
  seconds: number,
  z: number,
  isReflection: boolean,
): void {
  const { tall, phase, coat, rim, umbrella } = walker
  const step = Math.sin(seconds * 5.2 + phase)
  const bob = Math.abs(step) * 0.02
  const color = css(blend(coat, [52, 40, 80], Math.min(0.6, z / 50)))
  context.strokeStyle = color
  context.lineCap = 'round'
  context.lineWidth = 0.13
  for (const side of [-1, 1]) {
    context.beginPath()
    context.moveTo(side * 0.06, -0.85)
    context.quadraticCurveTo(
      side * 0.09 + step * side * 0.05,
      -0.42,
      side * 0.08 + step * side * 0.1,
      -0.03 - Math.max(0, step * side) * 0.06,
    )
    context.stroke()
  }
  context.fillStyle = color
  context.beginPath()
  context.moveTo(-0.2, -0.62 - bob)
  context.bezierCurveTo(-0.27, -1.05, -0.26, -tall + 0.38, -0.13, -tall + 0.3 - bob)
  context.lineTo(0.13, -tall + 0.3 - bob)
  context.bezierCurveTo(0.26, -tall + 0.38, 0.27, -1.05, 0.2, -0.62 - bob)
  context.closePath()
  context.fill()
  // Light from the signs catches one edge of the coat. Thin lines are lost in the ripples of the ground.
  if (!isReflection) {
    context.strokeStyle = css(rim, 0.55)
    context.lineWidth = 0.022
    context.beginPath()
    context.moveTo(-0.2, -0.66 - bob)
    context.bezierCurveTo(-0.27, -1.05, -0.26, -tall + 0.38, -0.13, -tall + 0.31 - bob)
    context.stroke()
  }
  context.fillStyle = color
  context.beginPath()
  context.ellipse(0, -tall + 0.16 - bob, 0.1, 0.125, 0, 0, 2 * Math.PI)
  context.fill()
  if (umbrella !== null) {
    drawUmbrella(context, umbrella, isReflection ? null : rim, -tall - 0.32 - bob)
  }
}

function drawUmbrella(context: SKRSContext2D, color: Rgb, rim: Rgb | null, top: number): void {
  context.strokeStyle = 'rgba(10,10,18,0.9)'
  context.lineWidth = 0.025
  context.beginPath()
  context.moveTo(0.1, top + 0.05)
  context.lineTo(0.12, top + 1)
  context.stroke()
  context.fillStyle = css(color)
  context.beginPath()
  context.moveTo(-0.55, top + 0.4)
  context.bezierCurveTo(-0.46, top - 0.1, 0.6, top - 0.14, 0.72, top + 0.4)
  for (let rib = 0; rib < 4; rib++) {
    const right = 0.72 - (rib * 1.27) / 4
    context.quadraticCurveTo(right - 0.16, top + 0.3, right - 1.27 / 4, top + 0.4)
  }
  context.fill()
  if (rim === null) {
    return
  }
  context.strokeStyle = css(blend(rim, [255, 255, 255], 0.3), 0.8)
  context.lineWidth = 0.02
  context.beginPath()
  context.moveTo(-0.5, top + 0.26)
  context.bezierCurveTo(-0.36, top - 0.08, 0.5, top - 0.12, 0.66, top + 0.24)
  context.stroke()
}
