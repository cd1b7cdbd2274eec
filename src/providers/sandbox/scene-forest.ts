import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { stackLayers } from './layer-stack.ts'
import { makeNoise } from './noise.ts'
import { blend, css, glowSprite, prerender, type Rgb, verticalGradient } from './painter.ts'
import { between, type Random } from './random.ts'
import { addGrain } from './sky.ts'
import { drawLayer, type Layer, makeLayer, overhang, type Scene, type Stage } from './stage.ts'
import { makeVeil } from './veil.ts'
import { softDot } from './weather.ts'

/** A wood seen from inside: trunks from light haze to near dark, shafts of light, drifting specks. */
export function forest(stage: Stage): Scene {
  const { mood, width, height, random } = stage
  stage.horizon = height * 0.66
  const green: Rgb = mood.time === 'night' ? [30, 52, 74] : mood.hasSnow ? [196, 208, 220] : [122, 158, 112]
  const air = blend(green, mood.haze, mood.weather === 'fog' ? 0.75 : 0.5)
  const lightX = width * between(random, 0.3, 0.7)
  const back = prerender(width, height, (context) => {
    context.fillStyle = verticalGradient(context, 0, height, [
      css(blend(air, mood.light, 0.35)),
      css(blend(air, mood.light, 0.55)),
      css(blend(air, mood.shade, 0.3)),
    ])
    context.fillRect(0, 0, width, height)
    context.globalCompositeOperation = 'screen'
    const glow = glowSprite(512, mood.light, 0.05)
    const reach = height * 1.3
    context.globalAlpha = mood.time === 'night' ? 0.35 : 0.7
    context.drawImage(glow, lightX - reach / 2, height * 0.2 - reach / 2, reach, reach)
  })
  addGrain(back, random, 2.5)
  const rows = [0.1, 0.28, 0.5, 0.78].map((near) => treeRow(stage, near, air))
  // The two far rows are so pale and so close to each other that they move as one, with the light behind them.
  const far = merged(stage, back, rows.slice(0, 2))
  const near = stackLayers(stage, rows.slice(2))
  const front = undergrowth(stage)
  const shafts = mood.time === 'night' ? null : lightShafts(stage, lightX)
  const specks = makeSpecks(stage)
  return {
    paint(context, camera, seconds) {
      drawLayer(context, stage, far, camera)
      shafts?.(context, seconds)
      near(context, camera)
      drawLayer(context, stage, front, camera, Math.sin(seconds * 0.9) * 1.5 * stage.unit)
      specks(context, seconds)
    },
  }
}

/** Several layers painted into one over a backdrop that fills the frame. */
function merged(stage: Stage, back: Canvas, layers: Layer[]): Layer {
  const beyond = overhang(stage)
  const { depth } = layers.at(-1)!
  return makeLayer(
    stage,
    { depth, top: -beyond.y, bottom: stage.height + beyond.y },
    (context, left, right) => {
      context.drawImage(back, left, -beyond.y, right - left, stage.height + 2 * beyond.y)
      for (const layer of layers) {
        context.drawImage(layer.canvas, layer.x, layer.y, layer.width, layer.height)
      }
    },
  )
}

function treeRow(stage: Stage, near: number, air: Rgb): Layer {
  const { mood, width, height, horizon, random, unit } = stage
  const color = blend(air, mood.shade, 0.16 + 0.84 * near)
  const ground = horizon + (height - horizon) * (0.06 + 0.75 * near)
  const wave = makeNoise(random)
  const count = Math.round((width / unit / 1280) * (34 - 28 * near)) + 2
  return makeLayer(
    stage,
    { depth: 0.15 + 0.85 * near, top: -overhang(stage).y, bottom: height + overhang(stage).y },
    (context, left, right) => {
      const groundAt = (x: number): number =>
        ground + (wave.layered(x / (300 * unit), 3, 3) - 0.5) * 60 * unit
      context.fillStyle = verticalGradient(context, ground - 40 * unit, height, [
        css(blend(color, air, 0.25)),
        css(blend(color, mood.shade, 0.35)),
      ])
      context.beginPath()
      context.moveTo(left, height * 1.2)
      for (let x = left; x <= right; x += 8 * unit) {
        context.lineTo(x, groundAt(x))
      }
      context.lineTo(right, height * 1.2)
      context.fill()
      for (let index = 0; index < count; index++) {
        const x = left + ((index + between(random, 0.1, 0.9)) / count) * (right - left)
        trunk(
          context,
          random,
          x,
          groundAt(x) + 6 * unit,
          (5 + 52 * near ** 1.4) * unit * between(random, 0.6, 1.25),
          height,
          color,
          blend(color, mood.light, 0.3 * (1 - near * 0.6)),
          unit,
        )
      }
      canopy(context, random, left, right, near, color, stage)
    },
  )
}

function trunk(
  context: SKRSContext2D,
  random: Random,
  x: number,
  foot: number,
  thick: number,
  height: number,
  color: Rgb,
  edge: Rgb,
  unit: number,
): void {
  const lean = between(random, -0.04, 0.04) * height
  const bark = context.createLinearGradient(x - thick / 2, 0, x + thick / 2, 0)
  bark.addColorStop(0, css(edge))
  bark.addColorStop(0.28, css(color))
  bark.addColorStop(1, css(blend(color, [0, 0, 0], 0.25)))
  context.fillStyle = bark
  context.beginPath()
  context.moveTo(x - thick * 0.8, foot)
  context.quadraticCurveTo(x - thick * 0.5, foot - thick * 1.4, x - thick * 0.42 + lean * 0.4, foot * 0.5)
  context.lineTo(x - thick * 0.3 + lean, -height * 0.1)
  context.lineTo(x + thick * 0.3 + lean, -height * 0.1)
  context.lineTo(x + thick * 0.42 + lean * 0.4, foot * 0.5)
  context.quadraticCurveTo(x + thick * 0.5, foot - thick * 1.4, x + thick * 0.8, foot)
  context.fill()
  context.strokeStyle = css(color)
  context.lineCap = 'round'
  for (let branch = 0; branch < 4; branch++) {
    const y = foot * between(random, 0.06, 0.5)
    const side = random() < 0.5 ? -1 : 1
    const reach = thick * between(random, 1.6, 4)
    context.lineWidth = Math.max(1 * unit, thick * 0.13)
    context.beginPath()
    context.moveTo(x + lean * 0.6, y)
    context.quadraticCurveTo(
      x + side * reach * 0.5 + lean * 0.6,
      y - reach * 0.1,
      x + side * reach + lean * 0.6,
      y - reach * between(random, 0.1, 0.5),
    )
    context.stroke()
  }
}

/** Leaves above, as clumps of soft discs. */
function canopy(
  context: SKRSContext2D,
  random: Random,
  left: number,
  right: number,
  near: number,
  color: Rgb,
  stage: Stage,
): void {
  const { height, unit, mood } = stage
  const leaf = prerender(64, 64, (small) => {
    for (let index = 0; index < 26; index++) {
      small.fillStyle = css(blend(color, mood.light, random() * 0.16), 0.5)
      small.beginPath()
      small.ellipse(
        10 + random() * 44,
        10 + random() * 44,
        3 + random() * 6,
        2 + random() * 4,
        random() * 3,
        0,
        7,
      )
      small.fill()
    }
  })
  const clumps = Math.round(((right - left) / unit / 1280) * (90 - 40 * near))
  for (let index = 0; index < clumps; index++) {
    const size = between(random, 60, 150) * unit * (0.5 + near)
    const x = left + random() * (right - left)
    const y = random() ** 2 * height * (0.2 + 0.1 * near) - size * 0.6
    context.drawImage(leaf, x - size / 2, y, size, size * 0.8)
  }
}

function undergrowth(stage: Stage): Layer {
  const { mood, height, random, unit } = stage
  const clump = makeNoise(random)
  return makeLayer(
    stage,
    { depth: 1, top: height * 0.7, bottom: height + overhang(stage).y },
    (context, left, right) => {
      context.lineCap = 'round'
      for (let x = left; x < right; x += 1.7 * unit) {
        const size = between(random, 24, 130) * unit * clump.layered(x / (140 * unit), 5, 3) ** 1.6
        const lean = between(random, -0.5, 0.5) * size
        const base = height * between(random, 0.98, 1.05)
        context.strokeStyle = css(
          blend(mood.shade, mood.hasSnow ? [130, 146, 160] : [52, 84, 50], random() * 0.5),
        )
        context.lineWidth = between(random, 1, 3) * unit
        context.beginPath()
        context.moveTo(x, base)
        context.quadraticCurveTo(x + lean * 0.2, base - size * 0.6, x + lean, base - size)
        context.stroke()
      }
    },
  )
}

/** Slanting beams that brighten and fade; drawn at a quarter size, for nothing in them is sharp. */
function lightShafts({ mood, width, height, random }: Stage, lightX: number) {
  const beams = Array.from({ length: 6 }, () => ({
    at: between(random, -0.5, 0.6) * width,
    wide: between(random, 0.03, 0.1) * width,
    phase: random() * 7,
    pace: between(random, 0.3, 0.8),
  }))
  const beam: Canvas = prerender(64, 128, (context) => {
    const gradient = context.createLinearGradient(0, 0, 64, 0)
    gradient.addColorStop(0, css(mood.light, 0))
    gradient.addColorStop(0.5, css(mood.light, 0.5))
    gradient.addColorStop(1, css(mood.light, 0))
    context.fillStyle = gradient
    context.fillRect(0, 0, 64, 128)
    context.globalCompositeOperation = 'destination-in'
    const fall = context.createLinearGradient(0, 0, 0, 128)
    fall.addColorStop(0, 'rgba(0,0,0,1)')
    fall.addColorStop(1, 'rgba(0,0,0,0)')
    context.fillStyle = fall
    context.fillRect(0, 0, 64, 128)
  })
  const veil = makeVeil(width, height, 0.25)
  const paintBeams = (context: SKRSContext2D, seconds: number): void => {
    context.globalCompositeOperation = 'screen'
    for (const { at, wide, phase, pace } of beams) {
      context.save()
      context.translate(lightX, -height * 0.25)
      context.rotate((-at / width) * 0.9)
      context.globalAlpha = 0.3 + 0.25 * Math.sin(seconds * pace + phase)
      context.drawImage(beam, at * 0.4 - wide, 0, wide * 2.4, height * 1.35)
      context.restore()
    }
  }
  return (context: SKRSContext2D, seconds: number): void => {
    veil.paint(seconds, (small) => paintBeams(small, seconds))
    context.globalCompositeOperation = 'screen'
    veil.lay(context, 0, 0)
    context.globalCompositeOperation = 'source-over'
  }
}

/** Pollen by day, fireflies by night. */
function makeSpecks({ mood, width, height, random, unit }: Stage) {
  const isNight = mood.time === 'night'
  const dot = softDot(
    Math.ceil(12 * unit),
    isNight ? [214, 255, 140] : blend(mood.light, [255, 255, 255], 0.5),
  )
  const specks = Array.from({ length: isNight ? 40 : 55 }, () => ({
    x: random() * width,
    y: random() * height,
    size: between(random, 2.5, isNight ? 8 : 6) * unit,
    phase: random() * 7,
    pace: between(random, 0.3, 0.9),
  }))
  return (context: SKRSContext2D, seconds: number): void => {
    for (const { x, y, size, phase, pace } of specks) {
      context.globalAlpha = Math.max(0, 0.25 + 0.5 * Math.sin(seconds * pace * 2 + phase))
      context.drawImage(
        dot,
        x + Math.sin(seconds * pace + phase) * 24 * unit,
        y + Math.cos(seconds * pace * 0.8 + phase) * 16 * unit - seconds * 3 * unit,
        size,
        size,
      )
    }
    context.globalAlpha = 1
  }
}
