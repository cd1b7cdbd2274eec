import type { SKRSContext2D } from '@napi-rs/canvas'
import { makeNoise } from './noise.ts'
import { blend, css, type Rgb, verticalGradient } from './painter.ts'
import { between, type Random } from './random.ts'
import { makeSky } from './sky.ts'
import { drawLayer, enterDepth, type Layer, makeLayer, type Scene, type Stage } from './stage.ts'
import { makeWater } from './water.ts'

/** The open sea: sky and its mirror, swells rolling in, islands far off, perhaps a boat or birds. */
export function sea(stage: Stage): Scene {
  const { mood, width, height, random, unit } = stage
  stage.horizon = height * 0.54
  const sky = makeSky(stage)
  const island = islands(stage)
  const water = makeWater(stage, sky.light, [island])
  const swells = makeSwells(stage)
  const boat =
    mood.hasBoat || random() < 0.35
      ? { x: width * between(random, 0.25, 0.7), size: between(random, 0.8, 1.3) }
      : null
  const birds = makeBirds(stage, mood.hasBirds || mood.time !== 'night' ? 7 : 0)
  return {
    paint(context, camera, seconds) {
      sky.paint(context, camera, seconds)
      drawLayer(context, stage, island, camera)
      water.paint(context, camera, seconds)
      enterDepth(context, stage, 0.4, camera)
      if (boat !== null) {
        drawBoat(context, stage, boat.x + seconds * 5 * unit, boat.size, seconds)
      }
      birds(context, seconds)
      context.restore()
      swells(context, camera.x, seconds)
    },
  }
}

function islands(stage: Stage): Layer {
  const { mood, horizon, random, unit } = stage
  const ridge = makeNoise(random)
  const color = blend(mood.haze, mood.shade, 0.42)
  return makeLayer(
    stage,
    { depth: 0.2, top: horizon - 120 * unit, bottom: horizon },
    (context, left, right) => {
      const start = between(random, 0, 90)
      context.fillStyle = verticalGradient(context, horizon - 90 * unit, horizon, [
        css(color),
        css(blend(color, mood.haze, 0.5)),
      ])
      context.beginPath()
      context.moveTo(left, horizon)
      for (let x = left; x <= right; x += 3 * unit) {
        const land = Math.max(0, ridge.layered(x / (330 * unit) + start, 4, 5) - 0.52)
        context.lineTo(x, horizon - land * 420 * unit)
      }
      context.lineTo(right, horizon)
      context.fill()
    },
  )
}

/** Waves near the viewer: three bands, each with a light crest, rolling sideways and up and down. */
function makeSwells({ mood, width, height, horizon, random, unit }: Stage) {
  const deep: Rgb = blend(
    mood.shade,
    blend([12, 60, 92], mood.sky[0]!, mood.time === 'day' ? 0.3 : 0.6),
    0.75,
  )
  const bands = [0.5, 0.7, 0.92].map((share, index) => ({
    y: horizon + (height - horizon) * share,
    swing: (5 + 10 * share) * unit,
    length: (190 + 260 * share) * unit,
    pace: (0.7 - 0.14 * index) * (index % 2 === 0 ? 1 : -1),
    phase: random() * 7,
    color: blend(deep, mood.shade, 0.25 + 0.22 * index),
    alpha: 0.34 + 0.2 * index,
    crest: css(blend(mood.light, mood.sky.at(-1)!, 0.4), 0.5 - 0.1 * index),
  }))
  return (context: SKRSContext2D, sideways: number, seconds: number): void => {
    for (const { y, swing, length, pace, phase, color, alpha, crest } of bands) {
      const lift = Math.sin(seconds * 0.8 + phase) * swing * 0.5
      const at = (x: number): number => {
        const along = (x + sideways * 0.07 * width) / length
        const main = Math.sin(along * 6.28 + seconds * pace + phase)
        return (
          y +
          lift +
          swing * (main * Math.abs(main) * 0.6 + 0.35 * Math.sin(along * 17 - seconds * 1.3 + phase))
        )
      }
      context.beginPath()
      context.moveTo(0, height)
      for (let x = 0; x <= width + 10 * unit; x += 10 * unit) {
        context.lineTo(x, at(x))
      }
      context.lineTo(width, height)
      context.fillStyle = verticalGradient(context, y - swing, y + (height - horizon) * 0.3, [
        css(color, 0.1),
        css(color, alpha),
        css(color, alpha * 1.2),
      ])
      context.fill()
      context.beginPath()
      for (let x = 0; x <= width + 10 * unit; x += 10 * unit) {
        context.lineTo(x, at(x))
      }
      context.strokeStyle = crest
      context.lineWidth = 1.3 * unit
      context.stroke()
    }
  }
}

function drawBoat(context: SKRSContext2D, stage: Stage, x: number, size: number, seconds: number): void {
  const { mood, horizon, unit } = stage
  const hull = css(blend(mood.shade, mood.haze, 0.12))
  const sail = css(blend(mood.light, mood.haze, mood.time === 'night' ? 0.7 : 0.25))
  const base = horizon + 26 * unit
  for (const isMirror of [true, false]) {
    context.save()
    context.translate(x, base + Math.sin(seconds * 1.5) * 1.5 * unit)
    context.rotate(Math.sin(seconds * 1.1) * 0.02)
    context.scale(size * unit, size * unit * (isMirror ? -0.8 : 1))
    context.globalAlpha = isMirror ? 0.28 : 1
    context.fillStyle = hull
    context.beginPath()
    context.moveTo(-44, -10)
    context.quadraticCurveTo(-34, 6, -18, 7)
    context.lineTo(26, 7)
    context.quadraticCurveTo(42, 3, 50, -12)
    context.closePath()
    context.fill()
    context.fillRect(-1, -112, 2.5, 104)
    context.fillStyle = sail
    context.beginPath()
    context.moveTo(3, -108)
    context.quadraticCurveTo(48, -62, 42, -18)
    context.lineTo(3, -16)
    context.fill()
    context.globalAlpha *= 0.82
    context.beginPath()
    context.moveTo(-3, -98)
    context.quadraticCurveTo(-24, -52, -36, -18)
    context.lineTo(-3, -18)
    context.fill()
    context.restore()
  }
}

/** Birds far off, a flapping stroke each. */
export function makeBirds({ mood, width, horizon, random, unit }: Stage, count: number) {
  const birds = Array.from({ length: count }, () => birdAt(random, width, horizon))
  const color = css(blend(mood.shade, mood.haze, 0.2), 0.8)
  return (context: SKRSContext2D, seconds: number): void => {
    context.strokeStyle = color
    context.lineCap = 'round'
    for (const { x, y, size, phase, pace } of birds) {
      const flap = Math.sin(seconds * 5.5 * pace + phase) * 0.5 + 0.15
      const across = x + seconds * 20 * pace * unit
      const wing = size * unit
      context.lineWidth = Math.max(1, wing * 0.14)
      context.beginPath()
      context.moveTo(across - wing, y - flap * wing)
      context.quadraticCurveTo(across - wing * 0.4, y - flap * wing * 0.7 - wing * 0.12, across, y)
      context.quadraticCurveTo(
        across + wing * 0.4,
        y - flap * wing * 0.7 - wing * 0.12,
        across + wing,
        y - flap * wing,
      )
      context.stroke()
    }
  }
}

function birdAt(random: Random, width: number, horizon: number) {
  return {
    x: random() * width * 0.8,
    y: horizon * between(random, 0.3, 0.75),
    size: between(random, 6, 15),
    phase: random() * 7,
    pace: between(random, 0.8, 1.2),
  }
}
