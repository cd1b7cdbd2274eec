import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { drawCat } from './cat.ts'
import { stackLayers } from './layer-stack.ts'
import { makeNoise } from './noise.ts'
import { blend, css, glowSprite, prerender, type Rgb, verticalGradient } from './painter.ts'
import { between, pick } from './random.ts'
import { curtain, drawLamp, furnished, type Pane } from './room-furniture.ts'
import { makeSky } from './sky.ts'
import { drawLayer, enterDepth, makeLayer, overhang, placeOf, type Scene, type Stage } from './stage.ts'
import { paintWeather, softDot } from './weather.ts'

const walls: readonly Rgb[] = [
  [196, 160, 132],
  [150, 164, 150],
  [176, 150, 160],
  [150, 160, 180],
]

/** A room with a large window: weather and light outside, a lamp, plants, perhaps a cat on the sill. */
export function room(stage: Stage): Scene {
  const { mood, width, height, random, unit } = stage
  stage.horizon = height * 0.5
  const isDark = mood.time === 'night' || mood.time === 'dusk'
  const wall = blend(pick(random, walls), isDark ? [46, 30, 40] : [240, 226, 206], isDark ? 0.62 : 0.25)
  const pane = windowFrame(stage)
  // Seen at another depth than the wall, so it reaches beyond the frame on every side.
  const reach = 60 * unit
  const beyondPane = {
    x: pane.x - reach,
    y: pane.y - reach,
    width: pane.width + 2 * reach,
    height: pane.height + 2 * reach,
  }
  const view = outside(stage, beyondPane)
  const inside = walled(stage, wall, pane, isDark)
  const furniture = stackLayers(stage, [furnished(stage, wall, isDark)])
  const cat = { x: pane.x + pane.width * between(random, 0.3, 0.66), y: pane.y + pane.height, size: 1.15 }
  const lamp = { x: pane.x > width * 0.3 ? width * 0.13 : width * 0.87, y: height * 0.42 }
  const lampGlow = glowSprite(512, [255, 190, 110], 0.04)
  const beam = isDark ? null : sunBeam(stage, pane)
  const dust = makeDust(stage)
  return {
    paint(context, camera, seconds) {
      // The wall hides all but what its window leaves open, and moves more than the view.
      context.save()
      const wallAt = placeOf(stage, camera, 0.5)
      context.beginPath()
      context.rect(
        Math.floor(wallAt.x + pane.x * wallAt.zoom) - 1,
        Math.floor(wallAt.y + pane.y * wallAt.zoom) - 1,
        Math.ceil(pane.width * wallAt.zoom) + 3,
        Math.ceil(pane.height * wallAt.zoom) + 3,
      )
      context.clip()
      enterDepth(context, stage, 0.3, camera)
      view(context, seconds)
      context.restore()
      context.restore()
      drawLayer(context, stage, inside, camera)
      enterDepth(context, stage, 0.5, camera)
      if (mood.hasCat) {
        drawCat(
          context,
          cat.x,
          cat.y + 2 * unit,
          cat.size * unit,
          seconds,
          isDark ? [22, 16, 26] : [52, 40, 42],
          mood.light,
        )
      }
      context.restore()
      if (beam !== null) {
        context.globalCompositeOperation = 'screen'
        context.globalAlpha = 0.55 + 0.12 * Math.sin(seconds * 0.9)
        context.drawImage(beam, 0, 0, width, height)
        context.globalAlpha = 1
        context.globalCompositeOperation = 'source-over'
      }
      furniture(context, camera)
      enterDepth(context, stage, 1, camera)
      drawLamp(context, stage, lamp, isDark)
      if (isDark) {
        context.globalCompositeOperation = 'screen'
        context.globalAlpha = 0.8 + 0.03 * Math.sin(seconds * 7) + 0.03 * Math.sin(seconds * 11.3)
        const shine = height * 1.25
        context.drawImage(lampGlow, lamp.x - shine / 2, lamp.y - shine / 2, shine, shine)
        context.globalAlpha = 1
        context.globalCompositeOperation = 'source-over'
      }
      context.restore()
      dust(context, seconds)
    },
  }
}

function windowFrame({ width, height, random, unit }: Stage): Pane {
  const across = Math.min(width * 0.56, 620 * unit)
  const isLeft = width > height && random() < 0.5
  const x = width > height ? (isLeft ? width * 0.36 : width * 0.08) : (width - across) / 2
  return { x, y: height * 0.12, width: across, height: height * 0.5 }
}

/** What is seen through the glass: a sky, far roofs or hills, and the weather. */
function outside(stage: Stage, pane: Pane) {
  const { mood, random, unit } = stage
  const inner: Stage = { ...stage, width: pane.width, height: pane.height, horizon: pane.height * 0.8 }
  const sky = makeSky(inner)
  const hills = makeNoise(random)
  const land: Canvas = prerender(pane.width, pane.height, (context) => {
    for (const near of [0.2, 0.5, 0.85]) {
      context.fillStyle = css(blend(mood.haze, mood.shade, 0.25 + near * 0.55))
      context.beginPath()
      context.moveTo(0, pane.height)
      for (let x = 0; x <= pane.width; x += 4 * unit) {
        const rise = hills.layered(x / (170 * unit) + near * 30, near * 9, 4)
        context.lineTo(x, pane.height * (0.7 + 0.16 * near) - (rise - 0.4) * 120 * unit * (1.1 - near))
      }
      context.lineTo(pane.width, pane.height)
      context.fill()
    }
  })
  const weather = paintWeather(mood.weather, pane.width, pane.height, random, null)
  const still = { zoom: 1, x: 0, y: 0, roll: 0 }
  return (context: SKRSContext2D, seconds: number): void => {
    context.save()
    context.translate(pane.x, pane.y)
    sky.paint(context, still, seconds)
    context.drawImage(land, 0, 0)
    weather?.paint(context, 0, seconds)
    context.restore()
  }
}

function walled(stage: Stage, wall: Rgb, pane: Pane, isDark: boolean) {
  const { mood, height, random, unit } = stage
  const beyond = overhang(stage)
  return makeLayer(
    stage,
    { depth: 0.5, top: -beyond.y, bottom: height + beyond.y },
    (context, left, right) => {
      const across = right - left
      context.fillStyle = verticalGradient(context, 0, height * 0.8, [
        css(blend(wall, mood.shade, 0.3)),
        css(wall),
        css(blend(wall, mood.shade, 0.12)),
      ])
      context.fillRect(left, -beyond.y, across, height + 2 * beyond.y)
      const glow = context.createRadialGradient(
        pane.x + pane.width / 2,
        pane.y + pane.height / 2,
        pane.width * 0.2,
        pane.x + pane.width / 2,
        pane.y + pane.height / 2,
        pane.width,
      )
      glow.addColorStop(0, css(blend(mood.light, mood.sky[2]!, 0.3), isDark ? 0.16 : 0.5))
      glow.addColorStop(1, css(mood.light, 0))
      context.fillStyle = glow
      context.fillRect(left, -beyond.y, across, height + 2 * beyond.y)
      const floor: Rgb = blend([126, 82, 54], isDark ? [26, 16, 24] : [236, 200, 160], isDark ? 0.55 : 0.15)
      context.fillStyle = verticalGradient(context, height * 0.8, height, [
        css(blend(floor, mood.light, 0.12)),
        css(blend(floor, mood.shade, 0.5)),
      ])
      context.fillRect(left, height * 0.8, across, height * 0.3)
      context.fillStyle = css(blend(wall, [255, 255, 255], isDark ? 0.06 : 0.4))
      context.fillRect(left, height * 0.775, across, height * 0.027)
      frame(context, stage, pane, isDark)
      context.clearRect(pane.x, pane.y, pane.width, pane.height)
      bars(context, pane, unit, css(blend([244, 236, 226], mood.shade, isDark ? 0.65 : 0.12)))
      curtain(context, random, pane.x - 70 * unit, pane, unit, isDark, wall)
      curtain(context, random, pane.x + pane.width - 50 * unit, pane, unit, isDark, wall)
    },
  )
}

function frame(context: SKRSContext2D, { mood, unit }: Stage, pane: Pane, isDark: boolean): void {
  const wood = blend([244, 236, 226], mood.shade, isDark ? 0.65 : 0.12)
  const thick = 16 * unit
  context.shadowColor = 'rgba(0,0,0,0.35)'
  context.shadowBlur = 22 * unit
  context.fillStyle = css(wood)
  context.fillRect(pane.x - thick, pane.y - thick, pane.width + 2 * thick, pane.height + 2 * thick)
  context.fillRect(pane.x - 2.4 * thick, pane.y + pane.height, pane.width + 4.8 * thick, thick * 1.5)
  context.shadowColor = 'transparent'
}

function bars(context: SKRSContext2D, pane: Pane, unit: number, color: string): void {
  context.fillStyle = color
  context.fillRect(pane.x + pane.width / 2 - 4 * unit, pane.y, 8 * unit, pane.height)
  context.fillRect(pane.x, pane.y + pane.height * 0.36, pane.width, 7 * unit)
}

/** Sunlight that falls through the window and across the room. */
function sunBeam({ mood, width, height }: Stage, pane: Pane): Canvas {
  const scale = 0.25
  return prerender(width * scale, height * scale, (context) => {
    context.scale(scale, scale)
    context.filter = 'blur(6px)'
    const fall = context.createLinearGradient(0, pane.y, 0, height)
    fall.addColorStop(0, css(mood.light, 0.5))
    fall.addColorStop(1, css(mood.light, 0.05))
    context.fillStyle = fall
    for (const [from, to] of [
      [0, 0.47],
      [0.53, 1],
    ] as const) {
      const lean = height * 0.34
      context.beginPath()
      context.moveTo(pane.x + pane.width * from, pane.y)
      context.lineTo(pane.x + pane.width * to, pane.y)
      context.lineTo(pane.x + pane.width * to + lean, height)
      context.lineTo(pane.x + pane.width * from + lean * 0.9, height)
      context.fill()
    }
  })
}

function makeDust({ mood, width, height, random, unit }: Stage) {
  const dot = softDot(Math.ceil(8 * unit), blend(mood.light, [255, 255, 255], 0.4))
  const specks = Array.from({ length: 46 }, () => ({
    x: random() * width,
    y: random() * height,
    size: between(random, 2, 5) * unit,
    phase: random() * 7,
    pace: between(random, 0.2, 0.6),
  }))
  return (context: SKRSContext2D, seconds: number): void => {
    for (const { x, y, size, phase, pace } of specks) {
      context.globalAlpha = Math.max(0, 0.16 + 0.3 * Math.sin(seconds * pace * 2 + phase))
      context.drawImage(
        dot,
        x + Math.sin(seconds * pace + phase) * 22 * unit,
        y + Math.cos(seconds * pace + phase) * 14 * unit,
        size,
        size,
      )
    }
    context.globalAlpha = 1
  }
}
