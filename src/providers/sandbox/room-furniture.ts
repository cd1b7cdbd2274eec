import type { SKRSContext2D } from '@napi-rs/canvas'
import { blend, css, type Rgb, verticalGradient } from './painter.ts'
import { between, pick, type Random } from './random.ts'
import { makeLayer, overhang, type Stage } from './stage.ts'

/** Where the window is. */
export interface Pane {
  x: number
  y: number
  width: number
  height: number
}

/** A curtain in folds, at one side of the window. */
export function curtain(
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
export function furnished(stage: Stage, wall: Rgb, isDark: boolean) {
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

/** A standing lamp; its glow is the room's business. */
export function drawLamp(
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
