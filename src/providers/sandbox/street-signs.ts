import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { blend, css, glowSprite, prerender, type Rgb } from './painter.ts'
import { between, pick, type Random } from './random.ts'
import { neon, type StreetView } from './street-view.ts'

/** A sign or lantern that faces the viewer, so that a picture of it can be set anywhere in the street. */
export interface Sign {
  x: number
  y: number
  z: number
  width: number
  height: number
  color: Rgb
  picture: Canvas
  glow: Canvas
  /** How it flickers: 0 never, 1 like a broken tube. */
  flicker: number
  phase: number
}

/** Upright boards along both walls, most of them where the eye goes: between 6 and 30 metres away. */
export function makeSigns(random: Random, view: StreetView, count: number, pixelsPerMetre: number): Sign[] {
  return Array.from({ length: count }, (_, index) => {
    const z = 5.4 + 26 * (index / count) ** 1.5 + between(random, -0.4, 0.4)
    const side = index % 2 === 0 ? -1 : 1
    const isTall = random() < 0.72
    const width = isTall ? between(random, 0.6, 1) : between(random, 1.2, 1.9)
    const height = isTall ? between(random, 2.2, 4.6) : between(random, 0.8, 1.3)
    const color = neon(random)
    return {
      x: side * (view.halfWidth - width / 2 - between(random, 0, 0.5)),
      y: between(random, 3.4, isTall ? 5.4 : 7.5),
      z,
      width,
      height,
      color,
      picture: signPicture(random, width, height, color, Math.min(150, (pixelsPerMetre / z) * 1.4)),
      glow: glowSprite(128, color, 0.1),
      flicker: random() < 0.22 ? 1 : 0,
      phase: random() * 20,
    }
  }).sort((a, b) => b.z - a.z)
}

/** Red paper lanterns on a rope across the street. */
export function makeLanterns(random: Random, view: StreetView, pixelsPerMetre: number): Sign[] {
  const ropes = [
    { z: 8.5, y: 5.6 },
    { z: 14, y: 5.4 },
    { z: 21, y: 5.5 },
  ]
  return ropes.flatMap(({ z, y }) => {
    const color: Rgb = pick(random, [
      [255, 92, 52],
      [255, 150, 64],
      [255, 70, 70],
    ] as const)
    const picture = lanternPicture(color, Math.min(160, (pixelsPerMetre / z) * 1.4))
    const glow = glowSprite(96, color, 0.1)
    const count = 7
    return Array.from({ length: count }, (_, index) => {
      const across = (index + 0.5) / count
      const sag = 1.1 * (1 - (2 * across - 1) ** 2)
      const x = (2 * across - 1) * view.halfWidth * 0.96
      return { x, y: y - sag, z, width: 0.46, height: 0.6, color, picture, glow, flicker: 0, phase: index }
    })
  })
}

/** Draws a sign as the viewer sees it from `moved` metres further down the street. */
export function drawSign(context: SKRSContext2D, view: StreetView, sign: Sign, moved: number): void {
  const z = sign.z - moved
  if (z < nearestMetres) {
    return
  }
  const scale = view.focal / z
  const [x, y] = view.point(sign.x, sign.y + sign.height / 2, z)
  const width = sign.width * scale
  const height = sign.height * scale
  context.globalAlpha = Math.exp(-z / 60)
  context.drawImage(sign.picture, x - width / 2, y - height / 2, width, height)
  context.globalAlpha = 1
}

/** Draws the light a sign sheds around it, flickering where its tube is broken. */
export function drawGlow(
  context: SKRSContext2D,
  view: StreetView,
  sign: Sign,
  moved: number,
  seconds: number,
): void {
  const z = sign.z - moved
  if (z < nearestMetres) {
    return
  }
  const scale = view.focal / z
  const [x, y] = view.point(sign.x, sign.y + sign.height / 2, z)
  const alive = sign.flicker === 0 ? 1 : flickerAt(seconds + sign.phase)
  const spread = Math.min(scale * 3.4, Math.max(sign.width, sign.height) * scale * 1.9 + 30)
  context.globalAlpha = alive * 0.62 * Math.exp(-z / 60)
  context.drawImage(sign.glow, x - spread / 2, y - spread * 0.62, spread, spread * 1.24)
}

/** Signs nearer than this are behind the viewer's shoulder. */
const nearestMetres = 1.5

/** Mostly on, with short stutters now and then. */
function flickerAt(seconds: number): number {
  const mood = Math.sin(seconds * 1.7) + Math.sin(seconds * 2.9)
  return mood > 1.2 ? 0.25 + 0.75 * (Math.sin(seconds * 61) > 0 ? 1 : 0) : 0.9 + 0.1 * Math.sin(seconds * 9)
}

function signPicture(random: Random, width: number, height: number, color: Rgb, resolution: number): Canvas {
  const w = width * resolution
  const h = height * resolution
  const isLit = random() < 0.45
  return prerender(w, h, (context) => {
    const body = context.createLinearGradient(0, 0, w, h)
    body.addColorStop(0, css(isLit ? blend(color, [255, 255, 255], 0.15) : blend(color, [8, 8, 20], 0.84)))
    body.addColorStop(1, css(isLit ? blend(color, [40, 10, 60], 0.25) : blend(color, [4, 4, 12], 0.93)))
    context.fillStyle = body
    context.beginPath()
    context.roundRect(0, 0, w, h, Math.min(w, h) * 0.08)
    context.fill()
    const ink = isLit
      ? css(random() < 0.5 ? [255, 255, 250] : blend(color, [10, 4, 20], 0.9))
      : css(blend(color, [255, 255, 255], 0.45))
    const edge = Math.min(w, h) * 0.06
    context.strokeStyle = isLit ? css([255, 255, 255], 0.7) : css(blend(color, [255, 255, 255], 0.25))
    context.lineWidth = edge * 0.6
    context.beginPath()
    context.roundRect(edge, edge, w - 2 * edge, h - 2 * edge, edge)
    context.stroke()
    context.strokeStyle = ink
    context.shadowColor = isLit ? 'transparent' : css(color)
    context.shadowBlur = isLit ? 0 : Math.min(w, h) * 0.22
    const isUpright = h > w
    const cell = Math.min(w, h) - 3.4 * edge
    const count = Math.max(1, Math.floor((Math.max(w, h) - 3 * edge) / (cell * 1.12)))
    const pitch = (Math.max(w, h) - 3 * edge) / count
    for (let index = 0; index < count; index++) {
      const along = 1.5 * edge + pitch * (index + 0.5)
      const [x, y] = isUpright ? [w / 2, along] : [along, h / 2]
      glyph(context, random, x - cell / 2, y - cell / 2, cell)
    }
  })
}

/** A few strokes on a grid: reads as writing, says nothing. */
function glyph(context: SKRSContext2D, random: Random, x: number, y: number, size: number): void {
  const at = (share: number): number => size * (0.14 + 0.72 * share)
  const stops = [0, 0.33, 0.66, 1] as const
  context.lineWidth = size * 0.085
  context.lineCap = 'round'
  context.beginPath()
  const bars = 1 + Math.floor(random() * 3)
  for (let bar = 0; bar < bars; bar++) {
    const height = pick(random, stops)
    context.moveTo(x + at(random() * 0.2), y + at(height))
    context.lineTo(x + at(0.8 + random() * 0.2), y + at(height))
  }
  const posts = 1 + Math.floor(random() * 2)
  for (let post = 0; post < posts; post++) {
    const across = pick(random, [0.18, 0.5, 0.82] as const)
    context.moveTo(x + at(across), y + at(random() * 0.25))
    context.lineTo(x + at(across), y + at(0.7 + random() * 0.3))
  }
  if (random() < 0.6) {
    const side = random() < 0.5 ? 0 : 1
    context.moveTo(x + at(0.5), y + at(0.45))
    context.quadraticCurveTo(x + at(0.45), y + at(0.8), x + at(side), y + at(1))
  }
  if (random() < 0.3) {
    context.rect(x + at(0.2), y + at(0.35), at(0.66) - at(0.1), at(0.4) - at(0.05))
  }
  context.stroke()
}

function lanternPicture(color: Rgb, resolution: number): Canvas {
  const w = 0.46 * resolution
  const h = 0.6 * resolution
  return prerender(w, h, (context) => {
    const glow = context.createRadialGradient(w / 2, h * 0.55, 0, w / 2, h * 0.5, h * 0.55)
    glow.addColorStop(0, css(blend(color, [255, 240, 190], 0.85)))
    glow.addColorStop(0.6, css(color))
    glow.addColorStop(1, css(blend(color, [60, 0, 10], 0.5)))
    context.fillStyle = glow
    context.beginPath()
    context.ellipse(w / 2, h / 2, w * 0.48, h * 0.4, 0, 0, 2 * Math.PI)
    context.fill()
    context.fillStyle = 'rgba(30,8,12,0.9)'
    context.fillRect(w * 0.32, h * 0.06, w * 0.36, h * 0.08)
    context.fillRect(w * 0.32, h * 0.86, w * 0.36, h * 0.08)
  })
}
