import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { makeNoise } from './noise.ts'
import { blend, css, glowSprite, prerender, type Rgb, verticalGradient } from './painter.ts'
import { between, pick, type Random } from './random.ts'
import { makeSky } from './sky.ts'
import { drawLayer, enterDepth, makeLayer, overhang, type Scene, type Stage } from './stage.ts'
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
  const furniture = furnished(stage, wall, isDark)
  const cat = { x: pane.x + pane.width * between(random, 0.3, 0.66), y: pane.y + pane.height, size: 1.15 }
  const lamp = { x: pane.x > width * 0.3 ? width * 0.13 : width * 0.87, y: height * 0.42 }
  const lampGlow = glowSprite(512, [255, 190, 110], 0.04)
  const beam = isDark ? null : sunBeam(stage, pane)
  const dust = makeDust(stage)
  return {
    paint(context, camera, seconds) {
      enterDepth(context, stage, 0.3, camera)
      context.beginPath()
      context.rect(beyondPane.x, beyondPane.y, beyondPane.width, beyondPane.height)
      context.clip()
      view(context, seconds)
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
      drawLayer(context, stage, furniture, camera)
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

interface Pane {
  x: number
  y: number
  width: number
  height: number
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

function curtain(
  context: SKRSContext2D,
  random: Random,
  x: number,
  pane: Pane,
  unit: number,
  isDark: boolean,
  wall: Rgb,
): void {
  const wide = 120 * unit
  const cloth = blend(wall, isDark ? [70, 36, 48] : [255, 250, 244], 0.7)
  for (let fold = 0; fold < 9; fold++) {
    const left = x + (wide * fold) / 9
    const shade = context.createLinearGradient(left, 0, left + wide / 9, 0)
    shade.addColorStop(0, css(blend(cloth, [20, 12, 20], 0.35), 0.94))
    shade.addColorStop(0.5, css(cloth, 0.94))
    shade.addColorStop(1, css(blend(cloth, [20, 12, 20], 0.25), 0.94))
    context.fillStyle = shade
    const sway = between(random, -3, 3) * unit
    context.beginPath()
    context.moveTo(left, pane.y - 40 * unit)
    context.lineTo(left + wide / 9 + 1, pane.y - 40 * unit)
    context.lineTo(left + wide / 9 + 1 + sway, pane.y + pane.height + 120 * unit)
    context.lineTo(left + sway, pane.y + pane.height + 120 * unit)
    context.fill()
  }
}

/** Sofa and plant: dark shapes in front that give the room its depth. */
function furnished(stage: Stage, wall: Rgb, isDark: boolean) {
  const { mood, width, height, random, unit } = stage
  const cloth = blend(
    pick(random, [
      [92, 110, 120],
      [150, 96, 72],
      [84, 100, 80],
    ] as const),
    isDark ? [18, 12, 24] : wall,
    isDark ? 0.5 : 0.12,
  )
  return makeLayer(
    stage,
    { depth: 1, top: height * 0.3, bottom: height + overhang(stage).y },
    (context, left, right) => {
      const from = width > height ? width * 0.22 : left
      const to = width > height ? width * 0.86 : right
      context.shadowColor = 'rgba(0,0,0,0.4)'
      context.shadowBlur = 30 * unit
      context.fillStyle = verticalGradient(context, height * 0.76, height, [
        css(blend(cloth, mood.light, 0.22)),
        css(cloth),
        css(blend(cloth, mood.shade, 0.5)),
      ])
      context.beginPath()
      context.roundRect(from, height * 0.77, to - from, height * 0.4, 46 * unit)
      context.fill()
      context.shadowColor = 'transparent'
      for (const [index, share] of [0.12, 0.42, 0.72].entries()) {
        const color = blend(
          [cloth, [200, 150, 90] as Rgb, [190, 180, 170] as Rgb][index]!,
          isDark ? mood.shade : mood.light,
          isDark ? 0.4 : 0.1,
        )
        const x = from + (to - from) * share
        context.save()
        context.translate(x + 60 * unit, height * 0.85)
        context.rotate(between(random, -0.14, 0.14))
        context.fillStyle = verticalGradient(context, -64 * unit, 64 * unit, [
          css(blend(color, mood.light, 0.2)),
          css(blend(color, mood.shade, 0.35)),
        ])
        context.beginPath()
        context.roundRect(-72 * unit, -62 * unit, 144 * unit, 124 * unit, 26 * unit)
        context.fill()
        context.restore()
      }
      plant(
        context,
        random,
        width > height ? width * 0.93 : width * 0.9,
        height * 0.96,
        250 * unit,
        blend([52, 92, 62], mood.shade, isDark ? 0.65 : 0.2),
        mood.light,
      )
    },
  )
}

function plant(
  context: SKRSContext2D,
  random: Random,
  x: number,
  foot: number,
  tall: number,
  color: Rgb,
  light: Rgb,
): void {
  for (let leaf = 0; leaf < 17; leaf++) {
    const angle = -Math.PI / 2 + between(random, -1.15, 1.15)
    const reach = tall * between(random, 0.5, 1)
    const tipX = x + Math.cos(angle) * reach
    const tipY = foot - tall * 0.3 + Math.sin(angle) * reach
    const bend = between(random, 0.06, 0.16) * tall
    context.fillStyle = css(blend(color, light, random() * 0.25))
    context.beginPath()
    context.moveTo(x, foot - tall * 0.2)
    context.quadraticCurveTo((x + tipX) / 2 - bend, (foot + tipY) / 2 - bend * 2.2, tipX, tipY)
    context.quadraticCurveTo((x + tipX) / 2 + bend, (foot + tipY) / 2 - bend, x, foot - tall * 0.2)
    context.fill()
  }
  context.fillStyle = css(blend([186, 120, 90], color, 0.3))
  context.beginPath()
  context.moveTo(x - tall * 0.17, foot - tall * 0.26)
  context.lineTo(x + tall * 0.17, foot - tall * 0.26)
  context.lineTo(x + tall * 0.12, foot + tall * 0.1)
  context.lineTo(x - tall * 0.12, foot + tall * 0.1)
  context.fill()
}

function drawLamp(
  context: SKRSContext2D,
  { height, unit }: Stage,
  at: { x: number; y: number },
  isDark: boolean,
): void {
  context.fillStyle = 'rgba(30,22,26,0.95)'
  context.fillRect(at.x - 3 * unit, at.y, 6 * unit, height - at.y)
  context.fillStyle = isDark ? '#ffdca0' : '#efe2cf'
  context.beginPath()
  context.moveTo(at.x - 44 * unit, at.y - 62 * unit)
  context.lineTo(at.x + 44 * unit, at.y - 62 * unit)
  context.lineTo(at.x + 72 * unit, at.y + 32 * unit)
  context.lineTo(at.x - 72 * unit, at.y + 32 * unit)
  context.fill()
}

/** A cat that sits and looks out: the tail swings, an ear twitches, it breathes. */
function drawCat(
  context: SKRSContext2D,
  x: number,
  y: number,
  size: number,
  seconds: number,
  color: Rgb,
  light: Rgb,
): void {
  const breath = 1 + 0.012 * Math.sin(seconds * 2.4)
  const turn = Math.sin(seconds * 0.7) * 5
  const twitch = Math.max(0, Math.sin(seconds * 1.9) - 0.93) * 60
  const swing = Math.sin(seconds * 1.5) * 26 + Math.sin(seconds * 2.7) * 8
  context.save()
  context.translate(x, y)
  context.scale(size, size * breath)
  context.strokeStyle = css(color)
  context.lineCap = 'round'
  context.lineWidth = 15
  context.beginPath()
  context.moveTo(38, -12)
  context.bezierCurveTo(92, -8, 96 + swing * 0.3, 30, 74 + swing, 66)
  context.stroke()
  context.fillStyle = css(color)
  context.beginPath()
  context.moveTo(-48, 0)
  context.bezierCurveTo(-62, -52, -40, -104, -20, -122)
  context.lineTo(22, -122)
  context.bezierCurveTo(46, -100, 66, -48, 52, 0)
  context.closePath()
  context.fill()
  context.translate(turn, 0)
  context.beginPath()
  context.ellipse(0, -142, 37, 32, 0, 0, 2 * Math.PI)
  context.fill()
  for (const side of [-1, 1]) {
    context.beginPath()
    context.moveTo(side * 34, -148)
    context.lineTo(side * (32 + (side > 0 ? twitch * 0.4 : 0)), -190 + (side > 0 ? twitch : 0))
    context.lineTo(side * 6, -168)
    context.fill()
  }
  context.strokeStyle = css(light, 0.5)
  context.lineWidth = 2.4
  context.beginPath()
  context.ellipse(0, -142, 36, 31, 0, Math.PI * 1.05, Math.PI * 1.4)
  context.stroke()
  context.beginPath()
  context.moveTo(-46, -8)
  context.bezierCurveTo(-59, -54, -38, -102, -26, -116)
  context.stroke()
  context.restore()
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
