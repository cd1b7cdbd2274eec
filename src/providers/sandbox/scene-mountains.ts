import type { SKRSContext2D } from '@napi-rs/canvas'
import { stackLayers } from './layer-stack.ts'
import { makeNoise, type Noise, smoothStep } from './noise.ts'
import { blend, css, opaque, type Rgb, verticalGradient } from './painter.ts'
import { between } from './random.ts'
import { makeSky } from './sky.ts'
import { type Layer, makeLayer, overhang, type Scene, type Stage } from './stage.ts'
import { makeWater } from './water.ts'

/** Ranges one behind the other, each a step nearer and darker, with pines or a lake in front. */
export function mountains(stage: Stage): Scene {
  const { mood, height } = stage
  stage.horizon = height * (mood.hasWater ? 0.62 : 0.7)
  const sky = makeSky(stage)
  const lightSide = sky.light !== null && sky.light.x > stage.width / 2 ? 1 : -1
  const ranges = [
    { depth: 0.2, peak: 0.56, rough: 1, near: 0.12 },
    { depth: 0.34, peak: 0.36, rough: 0.8, near: 0.36 },
    { depth: 0.5, peak: 0.2, rough: 0.6, near: 0.62 },
  ].map((range) => rangeLayer(stage, range, lightSide))
  const water = mood.hasWater ? makeWater(stage, sky.light, ranges) : null
  const front = mood.hasWater ? shoreLayer(stage) : pineLayer(stage, 0.86, 0.95)
  const middle = mood.hasWater ? [] : [pineLayer(stage, 0.74, 0.7)]
  // The lake covers everything from the horizon down; without one the woods hide the feet of the ranges.
  const far = water === null ? stackLayers(stage, [...ranges, ...middle, front]) : null
  const aboveLake = stackLayers(stage, ranges, stage.horizon)
  const shore = stackLayers(stage, [front])
  return {
    paint(context, camera, seconds) {
      sky.paint(context, camera, seconds)
      if (far !== null) {
        far(context, camera)
        return
      }
      aboveLake(context, camera)
      water?.paint(context, camera, seconds)
      shore(context, camera)
    },
  }
}

interface Range {
  depth: number
  /** Height of the highest peaks as a share of the sky. */
  peak: number
  rough: number
  /** 0 is lost in the haze, 1 is in front of it. */
  near: number
}

/** One range. Each column is shaded by the slope of the ridge above it, which reads as lit and shaded rock. */
function rangeLayer(stage: Stage, range: Range, lightSide: number): Layer {
  const { mood, horizon, height, random, unit } = stage
  const ridge = makeNoise(random)
  const rock = makeNoise(random)
  const start = between(random, 0, 200)
  const base = horizon + 2 * unit
  const ridgeAt = (x: number): number => {
    const along = x / (560 * unit * (0.6 + range.peak)) + start
    const sharp = 1 - Math.abs(2 * ridge.layered(along, 3.7, 6) - 1)
    return base - range.peak * horizon * (0.16 + 1.05 * sharp ** 1.7)
  }
  const ground = blend(mood.shade, mood.haze, 1 - range.near)
  const lit = blend(blend(ground, mood.light, 0.5), mood.haze, (1 - range.near) * 0.3)
  const dark = blend(ground, mood.shade, 0.35 * range.near)
  const snow = mood.hasSnow || range.peak > 0.45
  const bottom = mood.hasWater ? base : height + overhang(stage).y
  return makeLayer(stage, { depth: range.depth, top: 0, bottom }, (context, left, right) => {
    // Pixel by pixel into memory: a million little rectangles took half a second.
    const image = context.createImageData(context.canvas.width, context.canvas.height)
    // Read once: on an image these are calls into the library, and here they would be made for every pixel.
    const { width: columns, height: rows } = image
    const raster = { pixels: new Uint32Array(image.data.buffer), columns, rows }
    const column = Math.max(1, Math.round(unit))
    for (let x = 0; x < columns; x += column) {
      const top = ridgeAt(left + x)
      shadeColumn(
        raster,
        { x, across: left + x, top, base, width: column, lit, dark, snow, lightSide, range, stage },
        rock,
        start,
      )
    }
    context.putImageData(image, 0, 0)
    // The foot of a range stands in mist.
    const mist = verticalGradient(context, base - range.peak * horizon * 0.75, base, [
      css(mood.haze, 0),
      css(mood.haze, mood.time === 'night' ? 0.35 : 0.72),
    ])
    context.globalCompositeOperation = 'source-atop'
    context.fillStyle = mist
    context.fillRect(left, 0, right - left, bottom)
    context.globalCompositeOperation = 'source-over'
  })
}

interface Column {
  /** The layer's pixel, and where it is in the frame. */
  x: number
  across: number
  top: number
  base: number
  width: number
  lit: Rgb
  dark: Rgb
  snow: boolean
  lightSide: number
  range: Range
  stage: Stage
}

function shadeColumn(
  { pixels, columns, rows }: { pixels: Uint32Array; columns: number; rows: number },
  column: Column,
  rock: Noise,
  start: number,
): void {
  const { x, across, top, base, width, lit, dark, snow, lightSide, range, stage } = column
  const { mood, unit, horizon } = stage
  const step = 3 * unit
  const white = blend(blend([236, 242, 250], mood.light, 0.3), mood.haze, 1 - range.near - 0.3)
  const shadeWhite = blend(white, blend(mood.sky[0]!, [120, 140, 190], 0.5), 0.55)
  const colorAt = (y: number): Rgb => {
    if (y >= base) {
      return blend(dark, lit, 0.4)
    }
    const below = (y - top) / (range.peak * horizon)
    // Folds that run down the slope and lean away from the ridge.
    const u = across / (90 * unit) + start
    const v = below * 2.2
    const fold =
      rock.layered(u + v * 0.7 * lightSide, v * 0.8, 4) -
      rock.layered(u + 0.22 * lightSide + v * 0.7 * lightSide, v * 0.8, 4)
    const light = smoothStep(-0.12, 0.12, fold)
    const color = blend(dark, lit, light)
    if (!snow) {
      return color
    }
    const line = 0.34 + 0.3 * rock.layered(u * 2.3, 9, 3)
    const cover =
      smoothStep(line + 0.12, line - 0.1, below) *
      smoothStep(0.2, 0.42, rock.layered(u * 3, v * 3 + 5, 3) + (mood.hasSnow ? 0.12 : 0))
    return blend(color, blend(shadeWhite, white, light), cover)
  }
  const first = Math.max(0, Math.floor(top))
  let color = 0
  let next = top
  for (let row = first; row < rows; row++) {
    if (row + 0.5 >= next || row === first) {
      color = opaque(colorAt(next))
      next = next >= base ? rows : Math.min(base, next + step)
    }
    // The ridge itself is feathered by what its first pixel holds of it.
    const pixel = row === first ? ((color & 0xffffff) | (edgeAlpha(top) << 24)) >>> 0 : color
    for (let wide = 0; wide < width && x + wide < columns; wide++) {
      pixels[row * columns + x + wide] = pixel
    }
  }
}

function edgeAlpha(top: number): number {
  return Math.round(255 * (1 - (top - Math.floor(top))))
}

/** A wood of pines along a wavy edge, drawn as a silhouette with a little light from behind. */
function pineLayer(stage: Stage, line: number, near: number): Layer {
  const { mood, height, random, unit } = stage
  const wave = makeNoise(random)
  const color = blend(mood.haze, mood.shade, near)
  const cap = mood.hasSnow
    ? blend([225, 233, 244], color, mood.time === 'night' ? 0.55 : 0.2)
    : blend(color, mood.light, 0.12)
  const depth = near
  const lineAt = (x: number): number =>
    height * line + (wave.layered(x / (420 * unit), 2, 3) - 0.5) * height * 0.16
  return makeLayer(
    stage,
    { depth, top: height * (line - 0.3), bottom: height + overhang(stage).y },
    (context, left, right) => {
      context.fillStyle = verticalGradient(context, height * line, height, [
        css(color),
        css(blend(color, mood.shade, 0.6)),
      ])
      context.beginPath()
      context.moveTo(left, height * 2)
      for (let x = left; x <= right; x += 8 * unit) {
        context.lineTo(x, lineAt(x))
      }
      context.lineTo(right, height * 2)
      context.fill()
      const count = Math.round(((right - left) / unit / 1280) * (near > 0.8 ? 46 : 90))
      const trees = Array.from({ length: count }, () => ({
        x: left + random() * (right - left),
        rise: random(),
      }))
      for (const tree of trees.sort((a, b) => a.rise - b.rise)) {
        const foot = lineAt(tree.x) + (4 + tree.rise * 40 * near) * unit
        const tall = between(random, 50, 105) * unit * near ** 2 * (near > 0.8 ? 1.5 : 1)
        pine(context, tree.x, foot, tall, css(blend(color, mood.shade, random() * 0.35)), css(cap, 0.8))
      }
    },
  )
}

function pine(
  context: SKRSContext2D,
  x: number,
  foot: number,
  tall: number,
  color: string,
  cap: string,
): void {
  const tiers = 6
  for (let tier = tiers - 1; tier >= 0; tier--) {
    const top = foot - tall + (tall * 0.8 * tier) / tiers
    const bottom = top + tall * 0.34
    const half = tall * (0.06 + 0.035 * (tier + 1))
    context.fillStyle = color
    context.beginPath()
    context.moveTo(x, top)
    context.quadraticCurveTo(x + half * 0.4, bottom - tall * 0.12, x + half, bottom)
    context.quadraticCurveTo(x, bottom - tall * 0.06, x - half, bottom)
    context.quadraticCurveTo(x - half * 0.4, bottom - tall * 0.12, x, top)
    context.fill()
    context.fillStyle = cap
    context.beginPath()
    context.moveTo(x, top)
    context.quadraticCurveTo(x - half * 0.35, bottom - tall * 0.14, x - half * 0.8, bottom - tall * 0.02)
    context.quadraticCurveTo(x - half * 0.2, bottom - tall * 0.12, x, top)
    context.fill()
  }
}

/** A dark near bank with grass, for a lake. */
function shoreLayer(stage: Stage): Layer {
  const { mood, height, random, unit } = stage
  const wave = makeNoise(random)
  const color = blend(mood.shade, mood.haze, 0.06)
  return makeLayer(
    stage,
    { depth: 1, top: height * 0.8, bottom: height + overhang(stage).y },
    (context, left, right) => {
      const edge = (x: number): number =>
        height * (0.93 + 0.07 * (wave.layered(x / (380 * unit), 1, 3) - 0.4))
      context.fillStyle = css(color)
      context.beginPath()
      context.moveTo(left, height * 1.2)
      for (let x = left; x <= right; x += 6 * unit) {
        context.lineTo(x, edge(x))
      }
      context.lineTo(right, height * 1.2)
      context.fill()
      context.strokeStyle = css(color)
      context.lineCap = 'round'
      for (let x = left; x < right; x += 3.2 * unit) {
        const tall = between(random, 6, 34) * unit * wave.layered(x / (90 * unit), 7, 2)
        context.lineWidth = between(random, 0.8, 1.8) * unit
        context.beginPath()
        context.moveTo(x, edge(x) + 3 * unit)
        context.quadraticCurveTo(x, edge(x) - tall / 2, x + between(random, -0.4, 0.4) * tall, edge(x) - tall)
        context.stroke()
      }
    },
  )
}
