import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import type { CameraState } from './camera.ts'
import { makeNoise, smoothStep } from './noise.ts'
import { prerender, type Rgb, verticalGradient } from './painter.ts'
import { between } from './random.ts'
import type { Stage } from './stage.ts'
import type { Sign } from './street-signs.ts'
import { drawHouse, type House, type StreetView, streetView } from './street-view.ts'

/** What lies below the horizon, wider than the frame by the margin on each side. */
export interface Ground {
  canvas: Canvas
  margin: number
}

/** The street's mirror image with the asphalt over it: clear in puddles, a shimmer elsewhere. */
export function groundLayer(stage: Stage, houses: House[], signs: Sign[], haze: Rgb, isWet: boolean): Ground {
  const { width, height, horizon } = stage
  const margin = Math.ceil(0.07 * width)
  const depth = Math.ceil(height * 1.05 - horizon)
  const below = streetView(stage, -1)
  // Rough wet ground draws the light of a high sign towards its foot; a true mirror would lose it below the frame.
  const squat = streetView(stage, -0.42)
  const sharp = prerender(width + 2 * margin, depth, (context) => {
    context.translate(margin, -horizon)
    context.fillStyle = verticalGradient(context, horizon, height, [
      'rgb(150,64,128)',
      'rgb(44,26,66)',
      'rgb(12,10,26)',
    ])
    context.fillRect(-margin, horizon, width + 2 * margin, depth)
    for (const house of houses) {
      drawHouse(context, below, house, haze)
    }
    for (const sign of signs) {
      reflectSign(context, squat, sign)
    }
  })
  const canvas = prerender(width + 2 * margin, depth, (context) => {
    // Wet ground smears light towards the viewer: copies below each other, ever fainter.
    for (let copy = 0; copy < 7; copy++) {
      context.globalAlpha = 1 / (copy + 1)
      context.drawImage(sharp, 0, (copy - 3) * depth * 0.012)
    }
    context.globalAlpha = 1
  })
  shadeAsphalt(canvas, stage, margin, isWet)
  return { canvas, margin }
}

function reflectSign(context: SKRSContext2D, below: StreetView, sign: Sign): void {
  const scale = below.focal / sign.z
  const [x, y] = below.point(sign.x, sign.y + sign.height / 2, sign.z)
  context.globalCompositeOperation = 'screen'
  context.globalAlpha = 0.9
  context.drawImage(
    sign.picture,
    x - (sign.width * scale) / 2,
    y - (sign.height * scale) / 2,
    sign.width * scale,
    sign.height * scale,
  )
  const spread = scale * 2.6
  context.globalAlpha = 0.85
  context.drawImage(sign.glow, x - spread / 2, y - spread * 1.4, spread, spread * 2.8)
  context.globalAlpha = 1
  context.globalCompositeOperation = 'source-over'
}

/** Darkens the mirror image to asphalt, grain and puddles included, in the street's own perspective. */
function shadeAsphalt(canvas: Canvas, stage: Stage, margin: number, isWet: boolean): void {
  const { width, random } = stage
  const view = streetView(stage)
  const noise = makeNoise(random)
  const context = canvas.getContext('2d')
  const image = context.getImageData(0, 0, canvas.width, canvas.height)
  const pixels = image.data
  // Read once: on a canvas these are calls into the library, and here they would be made for every pixel.
  const { width: columns, height: rows } = canvas
  for (let row = 0; row < rows; row++) {
    const z = (view.eyeHeight * view.focal) / Math.max(0.5, row)
    const sheen = isWet ? 1 : 0.35
    const far = smoothStep(9, 40, z)
    let keep = 0
    for (let column = 0; column < columns; column++) {
      const x = ((column - margin - width / 2) * z) / view.focal
      // Every third column is enough: asphalt has no finer grain than that.
      if (column % 3 === 0) {
        const puddle = smoothStep(0.5, 0.6, noise.layered(x * 0.42 + 60, z * 0.3, 3))
        const grit = noise.at(x * 9 + 40, z * 9) * 0.37
        keep = sheen * (0.6 + 0.34 * puddle + 0.22 * far - grit * (1 - puddle))
      }
      const at = 4 * (row * columns + column)
      const stripe = crossing(x, z) * 18
      pixels[at] = pixels[at]! * keep + 7 + stripe
      pixels[at + 1] = pixels[at + 1]! * keep + 8 + stripe
      pixels[at + 2] = pixels[at + 2]! * keep + 15 + stripe
      pixels[at + 3] = 255
    }
  }
  context.putImageData(image, 0, 0)
}

/** The white bars of a crossing, between six and nine metres away. */
function crossing(x: number, z: number): number {
  if (z < 5.6 || z > 8.6 || Math.abs(x) > 3.4) {
    return 0
  }
  const share = (((x + 50) % 0.9) + 0.9) % 0.9
  return share < 0.45 ? 1 : 0
}

/** Draws the ground line by line, each shifted as ripples would, more so near the viewer. */
export function drawGround(
  context: SKRSContext2D,
  stage: Stage,
  { canvas, margin }: Ground,
  camera: CameraState,
  seconds: number,
  sideways: number,
  isWet: boolean,
): void {
  const { width, horizon, unit } = stage
  const zoom = 1 + (camera.zoom - 1) * 0.8
  const visible = width / zoom
  const left = margin + (width - visible) / 2
  const ripple = isWet ? 1 : 0
  for (let y = 0; y < canvas.height - 1; ) {
    const near = y / canvas.height
    // Fewer and higher lines would be cheaper, but make the ripples coarse.
    const line = Math.max(2, Math.round((2.5 + 4.5 * near) * unit))
    const swing =
      Math.sin(y / (4 * unit + 14 * near * unit) + seconds * 4.1) +
      0.6 * Math.sin(y / ((9 + 30 * near) * unit) - seconds * 2.3)
    const shift = ripple * swing * (0.5 + 2.6 * near) * unit - (sideways * (0.4 + 0.6 * near)) / zoom
    context.drawImage(
      canvas,
      left + shift,
      y,
      visible,
      Math.min(line + 1, canvas.height - y),
      0,
      horizon + y * zoom,
      width,
      (line + 1) * zoom,
    )
    y += line
  }
}

/** Rings where drops hit the ground: one picture at many sizes, which costs a quarter of drawing each. */
export function makeSplashes({ width, height, horizon, random, unit }: Stage) {
  const ring = prerender(48, 18, (context) => {
    context.strokeStyle = 'rgb(215,220,255)'
    context.lineWidth = 2
    context.beginPath()
    context.ellipse(24, 9, 22, 7.5, 0, 0, 2 * Math.PI)
    context.stroke()
  })
  const drops = Array.from({ length: 64 }, () => ({
    x: random() * width,
    near: random() ** 0.8,
    phase: random(),
    pace: between(random, 1.4, 2.4),
  }))
  return (context: SKRSContext2D, seconds: number): void => {
    for (const { x, near, phase, pace } of drops) {
      const beat = seconds * pace + phase
      const age = beat % 1
      // The last of a ring is too faint to see, and each costs a call.
      if (age > 0.85) {
        continue
      }
      const size = age * (4 + 22 * near) * unit
      // Each new drop falls elsewhere.
      const across = (x + phase * 400 * Math.floor(beat)) % width
      context.globalAlpha = 0.34 * (1 - age)
      context.drawImage(ring, across, horizon + (0.1 + 0.9 * near) * (height - horizon), size, size * 0.37)
    }
    context.globalAlpha = 1
  }
}
