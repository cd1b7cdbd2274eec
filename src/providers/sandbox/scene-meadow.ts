import type { SKRSContext2D } from '@napi-rs/canvas'
import { stackLayers } from './layer-stack.ts'
import { makeNoise } from './noise.ts'
import { blend, css, prerender, type Rgb, verticalGradient } from './painter.ts'
import { between, pick, type Random } from './random.ts'
import { makeBirds } from './scene-sea.ts'
import { makeSky } from './sky.ts'
import { enterDepth, type Layer, makeLayer, overhang, type Scene, type Stage } from './stage.ts'

const petals: readonly Rgb[] = [
  [236, 92, 84],
  [250, 204, 80],
  [246, 240, 246],
  [180, 120, 220],
  [244, 140, 170],
]

/** Rolling hills with trees, and in front tall grass and flowers that sway in the wind. */
export function meadow(stage: Stage): Scene {
  const { mood, height } = stage
  stage.horizon = height * 0.55
  const sky = makeSky(stage)
  const hills = [0.12, 0.34, 0.62].map((near, index) => hill(stage, near, index))
  const land = stackLayers(stage, hills)
  const grass = makeGrass(stage)
  const birds = makeBirds(stage, mood.hasBirds || mood.time === 'day' ? 6 : 0)
  return {
    paint(context, camera, seconds) {
      sky.paint(context, camera, seconds)
      birds(context, seconds)
      land(context, camera)
      enterDepth(context, stage, 1, camera)
      grass(context, seconds)
      context.restore()
    },
  }
}

function green({ mood }: Stage, near: number): Rgb {
  const grass: Rgb = mood.hasSnow ? [222, 230, 240] : [104, 158, 58]
  const lit = blend(grass, mood.light, mood.time === 'night' ? 0 : 0.12)
  const dark = mood.time === 'night' ? 0.78 : mood.time === 'day' ? 0.08 : 0.42
  return blend(blend(lit, mood.shade, dark), mood.haze, (1 - near) * (mood.weather === 'clear' ? 0.36 : 0.6))
}

function hill(stage: Stage, near: number, index: number): Layer {
  const { mood, height, horizon, random, unit } = stage
  const wave = makeNoise(random)
  const start = between(random, 0, 60)
  const top = horizon + (height - horizon) * [0.02, 0.16, 0.4][index]!
  const swing = (70 + 50 * near) * unit
  const edge = (x: number): number =>
    top + (wave.layered(x / ((360 + 300 * near) * unit) + start, 3, 2) - 0.6) * swing
  const color = green(stage, near)
  return makeLayer(
    stage,
    { depth: 0.12 + 0.75 * near, top: horizon - 190 * unit, bottom: height + overhang(stage).y },
    (context, left, right) => {
      const trees = Math.round((right - left) / unit / (150 + 300 * near))
      for (let tree = 0; tree < trees; tree++) {
        const x = left + random() * (right - left)
        roundTree(
          context,
          random,
          x,
          edge(x) + 4 * unit,
          (26 + 86 * near) * unit * between(random, 0.7, 1.3),
          blend(color, mood.shade, 0.45),
          mood.light,
        )
      }
      context.fillStyle = verticalGradient(context, top - swing * 0.4, top + (height - horizon) * 0.6, [
        css(blend(color, mood.light, 0.2)),
        css(color),
        css(blend(color, mood.shade, 0.42)),
      ])
      context.beginPath()
      context.moveTo(left, height * 1.3)
      for (let x = left; x <= right; x += 6 * unit) {
        context.lineTo(x, edge(x))
      }
      context.lineTo(right, height * 1.3)
      context.fill()
      tufts(stage, context, random, edge, left, right, near, color)
    },
  )
}

/** Short strokes of lighter and darker green: what makes a slope look grown over. */
function tufts(
  { mood, height, unit }: Stage,
  context: SKRSContext2D,
  random: Random,
  edge: (x: number) => number,
  left: number,
  right: number,
  near: number,
  color: Rgb,
): void {
  context.lineCap = 'round'
  for (let index = 0; index < 2600; index++) {
    const x = left + random() * (right - left)
    const down = random() ** 1.3
    const y = edge(x) + down * height * 0.4
    const size = (2 + 9 * near + 7 * down) * unit
    const isFlower = near > 0.3 && !mood.hasSnow && random() < 0.07
    if (isFlower) {
      context.fillStyle = css(blend(pick(random, petals), color, 0.3))
      context.fillRect(x, y - size * 0.3, size * 0.26, size * 0.26)
      continue
    }
    context.strokeStyle = css(
      blend(color, random() < 0.5 ? mood.light : mood.shade, between(random, 0.08, 0.3)),
      0.6,
    )
    context.lineWidth = Math.max(0.8, size * 0.1)
    context.beginPath()
    context.moveTo(x, y)
    context.lineTo(x + between(random, -0.3, 0.3) * size, y - size)
    context.stroke()
  }
}

function roundTree(
  context: SKRSContext2D,
  random: Random,
  x: number,
  foot: number,
  tall: number,
  color: Rgb,
  light: Rgb,
): void {
  context.fillStyle = css(blend(color, [40, 26, 20], 0.6))
  context.fillRect(x - tall * 0.04, foot - tall * 0.5, tall * 0.08, tall * 0.5)
  for (let clump = 0; clump < 26; clump++) {
    const share = clump / 26
    const angle = random() * 2 * Math.PI
    const reach = tall * 0.3 * Math.sqrt(random())
    context.fillStyle = css(blend(color, light, 0.3 * share * random()), 0.9)
    context.beginPath()
    const size = tall * between(random, 0.07, 0.15)
    context.arc(
      x + Math.cos(angle) * reach * 1.1 - share * tall * 0.05,
      foot - tall * 0.66 + Math.sin(angle) * reach - share * tall * 0.06,
      size,
      0,
      7,
    )
    context.fill()
  }
}

interface Blade {
  x: number
  y: number
  tall: number
  lean: number
  phase: number
  shade: number
  flower: Rgb | null
}

/** Blades are drawn anew for every frame, each as a path of its own: two hundred in one path took twice as long. */
function makeGrass(stage: Stage) {
  const { mood, width, height, random, unit } = stage
  const clump = makeNoise(random)
  const color = green(stage, 1)
  const shades = [0.62, 0.42, 0.22, 0].map((dark, index) =>
    blend(blend(color, mood.shade, dark), mood.light, index * 0.06),
  )
  const beyond = overhang(stage).x
  const blades: Blade[] = Array.from({ length: Math.round((780 * width) / (1280 * unit)) }, () => {
    const x = -beyond + random() * (width + 2 * beyond)
    const row = random()
    const tall = between(random, 70, 210) * unit * (0.45 + 0.8 * clump.layered(x / (150 * unit), 3, 2))
    const flower =
      !mood.hasSnow && random() < 0.09
        ? blend(pick(random, petals), mood.shade, mood.time === 'night' ? 0.6 : mood.time === 'day' ? 0 : 0.2)
        : null
    return {
      x,
      y: height * (1.05 - 0.05 * row),
      tall: flower === null ? tall : tall * 1.15,
      lean: between(random, -0.3, 0.3),
      phase: random() * 1.5,
      shade: Math.floor(random() * shades.length),
      flower,
    }
  })
  const tip = (blade: Blade, seconds: number): number => {
    const gust =
      Math.sin(seconds * 1.6 - blade.x / (210 * unit) + blade.phase) +
      0.4 * Math.sin(seconds * 3.3 + blade.phase * 4)
    return blade.x + (blade.lean + 0.15 + 0.14 * gust) * blade.tall
  }
  const tones = shades.map((tone) => css(tone))
  const sorted = blades.toSorted((a, b) => a.shade - b.shade)
  const flowers = blades.flatMap((blade) =>
    blade.flower === null ? [] : [flowerAt(blade, blade.flower, unit)],
  )
  return (context: SKRSContext2D, seconds: number): void => {
    let shade = -1
    for (const blade of sorted) {
      if (blade.shade !== shade) {
        shade = blade.shade
        context.fillStyle = tones[shade]!
      }
      const end = tip(blade, seconds)
      const half = 2.1 * unit
      context.beginPath()
      context.moveTo(blade.x - half, blade.y)
      context.quadraticCurveTo(blade.x - half * 0.5, blade.y - blade.tall * 0.6, end, blade.y - blade.tall)
      context.quadraticCurveTo(blade.x + half * 0.9, blade.y - blade.tall * 0.5, blade.x + half, blade.y)
      context.fill()
    }
    for (const { blade, picture, reach } of flowers) {
      context.drawImage(
        picture,
        tip(blade, seconds) - reach,
        blade.y - blade.tall - reach,
        2 * reach,
        2 * reach,
      )
    }
  }
}

/** A flower's head, painted once at more than its size on screen. */
function flowerAt(blade: Blade, color: Rgb, unit: number) {
  const size = (6 + 4 * blade.phase) * unit
  const reach = size * 1.25
  const picture = prerender(reach * 2.6, reach * 2.6, (context) => {
    context.scale(1.3, 1.3)
    drawFlower(context, reach, reach, size, color)
  })
  return { blade, picture, reach }
}

function drawFlower(context: SKRSContext2D, x: number, y: number, size: number, color: Rgb): void {
  context.fillStyle = css(color)
  context.beginPath()
  for (let petal = 0; petal < 5; petal++) {
    const angle = (petal * 2 * Math.PI) / 5 - 0.4
    const px = x + Math.cos(angle) * size * 0.62
    const py = y + Math.sin(angle) * size * 0.5
    context.moveTo(px + size * 0.5, py)
    context.ellipse(px, py, size * 0.5, size * 0.42, 0, 0, 2 * Math.PI)
  }
  context.fill()
  context.fillStyle = css(blend(color, [120, 80, 10], 0.6))
  context.beginPath()
  context.arc(x, y, size * 0.3, 0, 7)
  context.fill()
}
