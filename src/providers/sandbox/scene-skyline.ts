import { stackLayers } from './layer-stack.ts'
import { addBloom, blend, css, type Rgb, verticalGradient } from './painter.ts'
import { between, type Random } from './random.ts'
import { makeBirds } from './scene-sea.ts'
import { makeSky } from './sky.ts'
import { enterDepth, type Layer, makeLayer, type Scene, type Stage } from './stage.ts'
import { makeWater } from './water.ts'

/** A city from afar: rows of towers against the sky, their lights coming on, a river in front. */
export function skyline(stage: Stage): Scene {
  const { mood, height } = stage
  stage.horizon = height * 0.68
  const sky = makeSky(stage)
  const rows = [0.15, 0.45, 0.85].map((near) => towerRow(stage, near))
  const towers = stackLayers(stage, rows, stage.horizon)
  const water = makeWater(stage, sky.light, rows)
  const birds = makeBirds(stage, mood.time === 'night' ? 0 : 5)
  const windows = makeBlinking(stage)
  return {
    paint(context, camera, seconds) {
      sky.paint(context, camera, seconds)
      birds(context, seconds)
      towers(context, camera)
      enterDepth(context, stage, 0.45, camera)
      windows(context, seconds)
      context.restore()
      water.paint(context, camera, seconds)
    },
  }
}

function towerRow(stage: Stage, near: number): Layer {
  const { mood, height, horizon, random, unit } = stage
  const isDark = mood.time === 'night' || mood.time === 'dusk'
  const wall = blend(blend(mood.shade, [92, 104, 124], isDark ? 0.12 : 0.6), mood.haze, (1 - near) * 0.7)
  const lit = isDark ? 0.42 : 0.08
  const layer = makeLayer(
    stage,
    { depth: 0.15 + 0.35 * near, top: 0, bottom: horizon + 2 * unit },
    (context, left, right) => {
      for (let x = left - 40 * unit; x < right; ) {
        const wide = between(random, 34, 92) * unit * (0.7 + 0.5 * near)
        const middle = 1 - Math.abs((2 * (x + wide / 2 - left)) / (right - left) - 1)
        const tall =
          horizon * (0.14 + 0.3 * (1 - near) + random() ** 2.2 * 0.42 * (0.35 + middle)) * (1 - 0.3 * near)
        tower(context, random, {
          x,
          wide,
          tall: Math.min(tall, height * 0.62),
          foot: horizon,
          wall,
          light: mood.light,
          lit,
          near,
          unit,
        })
        x += wide + between(random, -6, 16) * unit
      }
      context.globalCompositeOperation = 'source-atop'
      context.fillStyle = verticalGradient(context, horizon * 0.45, horizon, [
        css(mood.haze, 0),
        css(mood.haze, 0.5 * (1 - near * 0.6)),
      ])
      context.fillRect(left, 0, right - left, horizon + 2 * unit)
      context.globalCompositeOperation = 'source-over'
    },
  )
  if (isDark) {
    addBloom(layer.canvas, 0.35)
  }
  return layer
}

interface Tower {
  x: number
  wide: number
  tall: number
  foot: number
  wall: Rgb
  light: Rgb
  lit: number
  near: number
  unit: number
}

function tower(context: Parameters<Parameters<typeof makeLayer>[2]>[0], random: Random, shape: Tower): void {
  const { x, wide, tall, foot, wall, light, lit, near, unit } = shape
  const body = context.createLinearGradient(x, 0, x + wide, 0)
  const tone = blend(wall, [0, 0, 0], random() * 0.15)
  body.addColorStop(0, css(blend(tone, light, 0.16)))
  body.addColorStop(0.6, css(tone))
  body.addColorStop(1, css(blend(tone, [0, 0, 0], 0.22)))
  context.fillStyle = body
  const top = foot - tall
  const style = random()
  if (style < 0.25) {
    context.fillRect(x + wide * 0.18, top - wide * 0.3, wide * 0.64, wide * 0.35)
    context.fillRect(x + wide * 0.48, top - wide, wide * 0.04, wide * 0.75)
  } else if (style < 0.45) {
    context.beginPath()
    context.moveTo(x, top + 1)
    context.lineTo(x + wide / 2, top - wide * 0.5)
    context.lineTo(x + wide, top + 1)
    context.fill()
  }
  context.fillRect(x, top, wide, tall + 2)
  const pitch = (5 + 5 * near) * unit
  for (let y = top + pitch; y < foot - pitch; y += pitch * 1.25) {
    for (let across = pitch * 0.7; across < wide - pitch; across += pitch) {
      const isLit = random() < lit
      context.fillStyle = isLit
        ? css(blend([255, 206, 130], [190, 220, 255], random() ** 3), between(random, 0.45, 0.95))
        : css(blend(tone, light, 0.14), 0.5)
      context.fillRect(x + across, y, pitch * 0.5, pitch * 0.62)
    }
  }
}

/** Single windows that go on and off, and red lights on the roofs. */
function makeBlinking({ mood, width, horizon, random, unit }: Stage) {
  const lights = Array.from({ length: mood.time === 'day' ? 4 : 16 }, (_, index) => ({
    x: random() * width,
    y: horizon * between(random, 0.55, 0.95),
    phase: random() * 7,
    color: index % 4 === 0 ? 'rgb(255,70,60)' : 'rgb(255,214,150)',
  }))
  return (context: Parameters<Scene['paint']>[0], seconds: number): void => {
    for (const { x, y, phase, color } of lights) {
      context.globalAlpha = Math.sin(seconds * 1.6 + phase) > 0.2 ? 0.85 : 0
      context.fillStyle = color
      context.fillRect(x, y, 3 * unit, 3 * unit)
    }
    context.globalAlpha = 1
  }
}
