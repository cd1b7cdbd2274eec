import type { SKRSContext2D } from '@napi-rs/canvas'
import { css, type Rgb } from './painter.ts'

/** A cat that sits and looks out: the tail swings, an ear twitches, it breathes. */
export function drawCat(
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
