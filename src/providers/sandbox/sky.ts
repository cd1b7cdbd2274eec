import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import type { CameraState } from './camera.ts'
import { makeNoise, smoothStep } from './noise.ts'
import { blend, css, glowSprite, prerender, type Rgb, verticalGradient } from './painter.ts'
import { between, type Random } from './random.ts'
import { drawLayer, type Layer, makeLayer, overhang, type Stage, softened } from './stage.ts'
import { makeVeil } from './veil.ts'
import { softDot } from './weather.ts'

export interface Sky {
  /** Where the sun or moon stands; null where none is seen. */
  light: { x: number; y: number } | null
  paint(context: SKRSContext2D, camera: CameraState, seconds: number): void
}

/** Paints everything above the horizon: gradient, sun or moon, stars, clouds, northern lights. */
export function makeSky(stage: Stage): Sky {
  const { mood, random, width, horizon } = stage
  const isNight = mood.time === 'night'
  const hasSun = !isNight && mood.weather === 'clear'
  const low = mood.time === 'day' ? between(random, 0.2, 0.4) : between(random, 0.8, 0.93)
  const light =
    hasSun || (isNight && mood.hasMoon)
      ? { x: width * between(random, 0.24, 0.76), y: horizon * (isNight ? between(random, 0.2, 0.4) : low) }
      : null
  const back = backdrop(stage, light)
  const stars = isNight && mood.hasStars && mood.weather === 'clear' ? twinkles(stage) : []
  const star = softDot(Math.ceil(7 * stage.unit), [235, 240, 255])
  const aurora = mood.hasAurora ? auroraCurtains(stage) : null
  const clouds = cloudLayer(stage, light)
  return {
    light,
    paint(context, camera, seconds) {
      context.drawImage(back, 0, 0)
      for (const { x, y, size, phase, speed } of stars) {
        context.globalAlpha = 0.35 + 0.65 * (0.5 + 0.5 * Math.sin(seconds * speed + phase))
        context.drawImage(star, x, y, size, size)
      }
      context.globalAlpha = 1
      aurora?.(context, seconds)
      if (clouds !== null) {
        drawLayer(context, stage, clouds, camera, seconds * 0.006 * width)
      }
    },
  }
}

function backdrop(stage: Stage, light: { x: number; y: number } | null): Canvas {
  const { mood, width, height, horizon, random } = stage
  const canvas = prerender(width, height, (context) => {
    context.fillStyle = verticalGradient(
      context,
      0,
      horizon * 1.04,
      mood.sky.map((color) => css(color)),
    )
    context.fillRect(0, 0, width, height)
    if (mood.time === 'night' && mood.hasStars && mood.weather === 'clear') {
      faintStars(context, stage)
    }
    if (light !== null) {
      drawLight(context, stage, light)
    }
  })
  addGrain(canvas, random, mood.time === 'night' ? 3 : 2.2)
  return canvas
}

function drawLight(
  context: SKRSContext2D,
  { mood, height, unit }: Stage,
  light: { x: number; y: number },
): void {
  const isNight = mood.time === 'night'
  const reach = height * (isNight ? 0.55 : 1.15)
  context.globalCompositeOperation = 'screen'
  const halo = glowSprite(512, mood.light, 0.02)
  context.globalAlpha = isNight ? 0.5 : 0.8
  context.drawImage(halo, light.x - reach / 2, light.y - reach / 2, reach, reach)
  context.globalAlpha = 1
  context.globalCompositeOperation = 'source-over'
  const radius = (isNight ? 26 : 34) * unit
  if (!isNight) {
    context.fillStyle = css(blend(mood.light, [255, 255, 255], 0.6))
    disc(context, light.x, light.y, radius)
    return
  }
  const face = context.createRadialGradient(
    light.x - radius * 0.3,
    light.y - radius * 0.3,
    0,
    light.x,
    light.y,
    radius * 1.1,
  )
  face.addColorStop(0, '#fdfdfb')
  face.addColorStop(0.7, '#e6e9ee')
  face.addColorStop(1, '#bcc5d6')
  context.fillStyle = face
  disc(context, light.x, light.y, radius)
  context.filter = `blur(${2.4 * unit}px)`
  context.fillStyle = 'rgba(150,160,185,0.3)'
  for (const [x, y, size] of moonSpots) {
    disc(context, light.x + x * radius, light.y + y * radius, size * radius)
  }
  context.filter = 'none'
}

const moonSpots = [
  [-0.3, -0.15, 0.28],
  [-0.05, -0.35, 0.2],
  [0.2, 0.05, 0.22],
  [-0.15, 0.4, 0.16],
] as const

function disc(context: SKRSContext2D, x: number, y: number, radius: number): void {
  context.beginPath()
  context.arc(x, y, radius, 0, 2 * Math.PI)
  context.fill()
}

function faintStars(context: SKRSContext2D, { width, horizon, random, unit }: Stage): void {
  const count = Math.round((900 * width * horizon) / (1280 * 400 * unit * unit))
  for (let index = 0; index < count; index++) {
    const y = random() ** 1.3 * horizon
    const bright = random() ** 3
    context.fillStyle = css(
      blend([190, 205, 255], [255, 236, 214], random()),
      (0.14 + 0.7 * bright) * (1 - (0.7 * y) / horizon),
    )
    const size = (0.8 + 1.1 * bright) * unit
    context.fillRect(random() * width, y, size, size)
  }
}

function twinkles({ width, horizon, random, unit }: Stage) {
  return Array.from({ length: 34 }, () => ({
    x: random() * width,
    y: random() ** 1.4 * horizon * 0.8,
    size: between(random, 3, 7) * unit,
    phase: random() * 7,
    speed: between(random, 0.8, 2.6),
  }))
}

/** A grain of one or two steps, which keeps wide gradients from breaking into bands of equal colour. */
export function addGrain(canvas: Canvas, random: Random, strength: number): void {
  const context = canvas.getContext('2d')
  const image = context.getImageData(0, 0, canvas.width, canvas.height)
  const pixels = image.data
  for (let index = 0; index < pixels.length; index += 4) {
    const grain = (random() + random() - 1) * strength
    pixels[index] = pixels[index]! + grain
    pixels[index + 1] = pixels[index + 1]! + grain
    pixels[index + 2] = pixels[index + 2]! + grain
  }
  context.putImageData(image, 0, 0)
}

/** Clouds out of layered noise, lit from where the light stands and flattened towards the horizon. */
function cloudLayer(stage: Stage, light: { x: number; y: number } | null): Layer | null {
  const { mood, horizon, random, width } = stage
  const cover = { clear: between(random, 0.56, 0.6), rain: 0.34, snow: 0.38, fog: 0.5 }[mood.weather]
  if (mood.time === 'night' && mood.weather === 'clear') {
    return null
  }
  const noise = makeNoise(random)
  const beyond = overhang(stage)
  const bright = blend(mood.light, [255, 255, 255], mood.time === 'day' ? 0.8 : 0.15)
  const dark = blend(
    mood.haze,
    mood.sky[0]!,
    mood.time === 'night' ? 0.75 : mood.weather === 'clear' ? 0.4 : 0.55,
  )
  const resolution = 0.34
  const layer = makeLayer(stage, { depth: 0.12, top: -beyond.y, bottom: horizon, resolution }, () => {})
  const { canvas } = layer
  const context = canvas.getContext('2d')
  const image = context.createImageData(canvas.width, canvas.height)
  const sunSide = light === null ? 0 : light.x < width / 2 ? -1 : 1
  // Read once: on a canvas these are calls into the library, and here they would be made for every pixel.
  const { width: columns, height: rows } = canvas
  for (let row = 0; row < rows; row++) {
    const height = row / rows
    const flat = 1 / (1.12 - height)
    for (let column = 0; column < columns; column++) {
      const x = (column / rows - 1.6) * 1.5 * Math.min(3.2, flat ** 0.7) + 40
      const y = flat * 1.7
      const thick = noise.layered(x, y, 5)
      const cloud = smoothStep(cover, cover + 0.2, thick)
      const towards = noise.layered(x + 0.16 * sunSide, y - 0.14, 4)
      const lit = smoothStep(-0.1, 0.13, thick - towards)
      const color: Rgb = blend(dark, bright, 0.25 + 0.75 * lit)
      const at = 4 * (row * columns + column)
      image.data[at] = color[0]
      image.data[at + 1] = color[1]
      image.data[at + 2] = color[2]
      image.data[at + 3] = 255 * cloud * 0.92 * smoothStep(1, 0.82, height)
    }
  }
  context.putImageData(image, 0, 0)
  return softened(layer)
}

/**
 * Curtains of light: slim vertical rays whose foot follows a slowly winding line. Drawn small and stretched: a
 * sixteenth of the pixels, and the softness is what makes them glow.
 */
function auroraCurtains({ width, horizon, random }: Stage) {
  const scale = 0.25
  const small = { width: Math.round(width * scale), height: Math.round(horizon * scale) }
  const veil = makeVeil(width, horizon, scale)
  const ray = auroraRay()
  const curtains = [0.62, 0.44, 0.8].map((foot, index) => ({
    foot: foot * small.height,
    reach: between(random, 0.45, 0.62) * small.height,
    phase: random() * 7,
    alpha: [0.9, 0.5, 0.42][index]!,
  }))
  const step = 2
  return (target: SKRSContext2D, seconds: number): void => {
    veil.paint(seconds, (context) => paintRays(context, seconds))
    target.globalCompositeOperation = 'screen'
    veil.lay(target, 0, 0)
    target.globalCompositeOperation = 'source-over'
  }
  function paintRays(context: SKRSContext2D, seconds: number): void {
    context.scale(1 / scale, 1 / scale)
    context.globalCompositeOperation = 'lighter'
    for (const { foot, reach, phase, alpha } of curtains) {
      for (let x = -step; x < small.width + step; x += step) {
        const along = (x / small.width) * 6
        const wind =
          Math.sin(along + phase + seconds * 0.22) + 0.5 * Math.sin(along * 2.3 - seconds * 0.31 + phase * 2)
        const folds = Math.sin(along * 5 + seconds * 1.1 + phase) * Math.sin(along * 2.1 - seconds * 0.6)
        const fine = 0.85 + 0.15 * Math.sin(along * 31 + seconds * 2.1 + phase)
        const height = reach * (0.75 + 0.25 * Math.sin(along * 4.7 + seconds * 0.8))
        const edge = Math.sin(Math.PI * Math.min(1, Math.max(0, x / small.width)))
        context.globalAlpha = alpha * (0.5 + 0.5 * folds) * fine * (0.35 + 0.65 * edge) * 0.42
        context.drawImage(ray, x - step, foot + wind * 0.09 * small.height - height, step * 3, height)
      }
    }
  }
}

function auroraRay(): Canvas {
  return prerender(12, 256, (context) => {
    const gradient = context.createLinearGradient(0, 0, 0, 256)
    gradient.addColorStop(0, 'rgba(140,70,220,0)')
    gradient.addColorStop(0.3, 'rgba(140,80,230,0.25)')
    gradient.addColorStop(0.65, 'rgba(50,215,165,0.55)')
    gradient.addColorStop(0.9, 'rgba(120,255,190,0.9)')
    gradient.addColorStop(1, 'rgba(120,255,190,0)')
    context.fillStyle = gradient
    context.fillRect(0, 0, 12, 256)
    const feather = context.createLinearGradient(0, 0, 12, 0)
    feather.addColorStop(0, 'rgba(0,0,0,0)')
    feather.addColorStop(0.5, 'rgba(0,0,0,1)')
    feather.addColorStop(1, 'rgba(0,0,0,0)')
    context.globalCompositeOperation = 'destination-in'
    context.fillStyle = feather
    context.fillRect(0, 0, 12, 256)
  })
}
