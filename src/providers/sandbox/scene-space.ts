import { type Canvas, createCanvas, type SKRSContext2D } from '@napi-rs/canvas'
import { makeNoise, smoothStep } from './noise.ts'
import { blend, css, glowSprite, prerender, type Rgb, settled } from './painter.ts'
import { between, pick, type Random } from './random.ts'
import { addGrain } from './sky.ts'
import { drawLayer, enterDepth, makeLayer, overhang, type Scene, type Stage, softened } from './stage.ts'
import { softDot } from './weather.ts'

const nebulae: readonly (readonly [Rgb, Rgb, Rgb])[] = [
  [
    [36, 20, 84],
    [196, 64, 140],
    [64, 150, 255],
  ],
  [
    [12, 36, 84],
    [40, 150, 190],
    [255, 150, 90],
  ],
  [
    [48, 14, 60],
    [230, 90, 70],
    [120, 90, 255],
  ],
]

const planetColors: readonly (readonly [Rgb, Rgb])[] = [
  [
    [214, 150, 98],
    [120, 66, 50],
  ],
  [
    [92, 150, 210],
    [30, 66, 130],
  ],
  [
    [190, 176, 150],
    [110, 90, 96],
  ],
  [
    [196, 92, 66],
    [96, 40, 44],
  ],
]

/** Deep space: nebula, stars in three depths, a planet with its night side, now and then a meteor. */
export function space(stage: Stage): Scene {
  const { width, height, random, unit, mood } = stage
  stage.horizon = height * 0.5
  const colors = mood.hasAurora
    ? ([
        [8, 30, 50],
        [40, 190, 140],
        [130, 80, 230],
      ] as const)
    : pick(random, nebulae)
  const nebula = nebulaLayer(stage, colors)
  const far = starLayer(stage, 0.3)
  // A second layer would cost 2 ms a frame for a few dozen dots; the few near stars are drawn one by one.
  const near = nearStars(stage)
  const twinkles = Array.from({ length: 26 }, () => ({
    x: random() * width,
    y: random() * height,
    size: between(random, 5, 13) * unit,
    phase: random() * 7,
  }))
  const sparkle = sparkleSprite()
  const radius = Math.min(width, height) * between(random, 0.2, 0.27)
  const planet = planetPicture(random, Math.ceil(radius * 2))
  const at = { x: width * between(random, 0.62, 0.74), y: height * between(random, 0.36, 0.5) }
  const ring = random() < 0.4 || mood.hasRing ? between(random, -0.45, -0.2) : null
  const glow = glowSprite(256, blend(colors[2], [255, 255, 255], 0.3), 0.3)
  return {
    paint(context, camera, seconds) {
      drawLayer(context, stage, nebula, camera)
      drawLayer(context, stage, far, camera, -seconds * 2 * unit)
      enterDepth(context, stage, 0.6, camera)
      near(context, seconds)
      context.restore()
      context.globalCompositeOperation = 'screen'
      for (const { x, y, size, phase } of twinkles) {
        context.globalAlpha = 0.35 + 0.6 * Math.sin(seconds * 1.4 + phase) ** 2
        context.drawImage(sparkle, x - size, y - size, size * 2, size * 2)
      }
      context.globalAlpha = 1
      context.globalCompositeOperation = 'source-over'
      enterDepth(context, stage, 1.1, camera)
      context.globalAlpha = 0.3
      context.drawImage(glow, at.x - radius * 1.7, at.y - radius * 1.7, radius * 3.4, radius * 3.4)
      context.globalAlpha = 1
      if (ring !== null) {
        drawRing(context, at.x, at.y, radius, ring, 'behind', unit)
      }
      context.drawImage(planet, at.x - radius, at.y - radius, radius * 2, radius * 2)
      if (ring !== null) {
        drawRing(context, at.x, at.y, radius, ring, 'front', unit)
      }
      context.restore()
      meteor(context, stage, seconds)
    },
  }
}

function nebulaLayer(stage: Stage, [deep, cloud, spark]: readonly [Rgb, Rgb, Rgb]) {
  const { height, random } = stage
  const noise = makeNoise(random)
  const beyond = overhang(stage)
  const layer = makeLayer(
    stage,
    { depth: 0.15, top: -beyond.y, bottom: height + beyond.y, resolution: 0.5 },
    () => {},
  )
  const { canvas } = layer
  const context = canvas.getContext('2d')
  const image = context.createImageData(canvas.width, canvas.height)
  const tilt = between(random, -0.6, 0.6)
  // Read once: on a canvas these are calls into the library, and here they would be made for every pixel.
  const { width: columns, height: rows } = canvas
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const u = column / rows
      const v = row / rows
      const bend = noise.layered(u * 1.6, v * 1.6, 4)
      const thick = noise.layered(u * 2.2 + bend * 1.5, v * 2.2 + 7 + bend * 1.5, 5)
      const band = Math.exp(-(((v - 0.5 - tilt * (u - 0.9) + (bend - 0.5) * 0.5) / 0.34) ** 2))
      const gas = smoothStep(0.34, 0.8, thick) * (0.25 + 0.9 * band)
      const hot = smoothStep(0.55, 0.85, noise.layered(u * 2.6 + 30, v * 2.6 + bend, 4)) * band
      const color = blend(blend([4, 5, 14], deep, 0.35 + 0.5 * band), blend(cloud, spark, hot), gas)
      const at = 4 * (row * columns + column)
      image.data[at] = color[0]
      image.data[at + 1] = color[1]
      image.data[at + 2] = color[2]
      image.data[at + 3] = 255
    }
  }
  context.putImageData(image, 0, 0)
  const wide = softened(layer)
  // After enlarging: finer, and at whole pixels it stays where it is, which the encoder likes.
  addGrain(wide.canvas, random, 1.5)
  return wide
}

function starLayer(stage: Stage, depth: number) {
  const { height, random, unit } = stage
  const beyond = overhang(stage)
  const dot = softDot(8, [235, 240, 255])
  return makeLayer(stage, { depth, top: -beyond.y, bottom: height + beyond.y }, (context, left, right) => {
    const reach = right - left
    // Drifts to the left as time passes, so it reaches further on the right.
    for (let index = 0; index < 1150; index++) {
      const bright = random() ** 5
      context.globalAlpha = 0.25 + 0.75 * bright
      const size = (1 + 3.4 * bright * (0.5 + depth)) * unit
      context.drawImage(
        dot,
        left + random() * reach,
        -beyond.y + random() * (height + 2 * beyond.y),
        size,
        size,
      )
    }
  })
}

function nearStars({ width, height, random, unit }: Stage) {
  const dot = softDot(8, [235, 240, 255])
  const stars = Array.from({ length: 70 }, () => ({
    x: random() * width * 1.1,
    y: random() * height,
    size: between(random, 1.6, 4.2) * unit,
    alpha: between(random, 0.4, 1),
  }))
  return (context: SKRSContext2D, seconds: number): void => {
    for (const { x, y, size, alpha } of stars) {
      context.globalAlpha = alpha
      context.drawImage(dot, x - seconds * 5 * unit, y, size, size)
    }
    context.globalAlpha = 1
  }
}

function sparkleSprite(): Canvas {
  return prerender(64, 64, (context) => {
    context.drawImage(glowSprite(32, [190, 210, 255]), 16, 16)
    context.globalCompositeOperation = 'lighter'
    for (const [w, h] of [
      [64, 1.6],
      [1.6, 64],
    ] as const) {
      const gradient = context.createRadialGradient(32, 32, 0, 32, 32, 32)
      gradient.addColorStop(0, 'rgba(230,240,255,0.9)')
      gradient.addColorStop(1, 'rgba(200,220,255,0)')
      context.fillStyle = gradient
      context.fillRect(32 - w / 2, 32 - h / 2, w, h)
    }
  })
}

/** A ball shaded pixel by pixel: bands of cloud, a night side, a rim of lit air. */
function planetPicture(random: Random, size: number): Canvas {
  const noise = makeNoise(random)
  const [light, dark] = pick(random, planetColors)
  const banded = random() < 0.6
  const canvas = createCanvas(size, size)
  const context = canvas.getContext('2d')
  const image = context.createImageData(size, size)
  const sun = [-0.62, -0.42, 0.66] as const
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const x = (2 * column) / size - 1
      const y = (2 * row) / size - 1
      const flat = x * x + y * y
      if (flat > 1) {
        continue
      }
      const z = Math.sqrt(1 - flat)
      const u = Math.atan2(x, z) * 1.4
      const v = y * 2.2 + x * 0.35
      const warp = noise.layered(u * 2 + 9, v * 2, 4) - 0.5
      const pattern = banded
        ? noise.layered(3 + warp * 0.7 + u * 0.2, v * 3.2 + warp, 4)
        : noise.layered(u * 2.2 + warp, v * 2.2 + 20, 6)
      const surface = blend(dark, light, smoothStep(0.3, 0.7, pattern))
      const lit = Math.max(0, x * sun[0] + y * sun[1] + z * sun[2])
      const rim = (1 - z) ** 3 * smoothStep(0.05, 0.5, lit + 0.12)
      const shade = 0.04 + 1.1 * lit ** 0.8
      const at = 4 * (row * size + column)
      image.data[at] = surface[0] * shade + 90 * rim
      image.data[at + 1] = surface[1] * shade + 130 * rim
      image.data[at + 2] = surface[2] * shade + 190 * rim
      image.data[at + 3] = 255 * Math.min(1, ((1 - Math.sqrt(flat)) * size) / 3)
    }
  }
  context.putImageData(image, 0, 0)
  return settled(canvas)
}

function drawRing(
  context: SKRSContext2D,
  x: number,
  y: number,
  radius: number,
  tilt: number,
  half: 'front' | 'behind',
  unit: number,
): void {
  context.save()
  context.translate(x, y)
  context.rotate(tilt)
  const [from, to] = half === 'front' ? [0, Math.PI] : [Math.PI, 2 * Math.PI]
  for (let band = 0; band < 9; band++) {
    const reach = radius * (1.42 + band * 0.075)
    context.strokeStyle = css([232, 214, 190], [0.5, 0.36, 0.55, 0.2, 0.48, 0.3, 0.42, 0.16, 0.1][band]!)
    context.lineWidth = radius * 0.06 + 0.2 * unit
    context.beginPath()
    context.ellipse(0, 0, reach, reach * 0.24, 0, from, to)
    context.stroke()
  }
  context.restore()
}

/** One meteor every few seconds. */
function meteor(context: SKRSContext2D, { width, height, unit }: Stage, seconds: number): void {
  const round = Math.floor((seconds + 1.6) / 3.4)
  const age = ((seconds + 1.6) % 3.4) / 0.9
  if (age > 1) {
    return
  }
  const startX = width * (0.08 + 0.37 * ((round * 0.618) % 1))
  const startY = height * (0.06 + 0.3 * ((round * 0.414) % 1))
  const x = startX + age * 330 * unit
  const y = startY + age * 130 * unit
  const trail = context.createLinearGradient(x - 170 * unit, y - 67 * unit, x, y)
  trail.addColorStop(0, 'rgba(255,255,255,0)')
  trail.addColorStop(1, `rgba(255,255,255,${0.9 * Math.sin(Math.PI * age)})`)
  context.strokeStyle = trail
  context.lineWidth = 2 * unit
  context.lineCap = 'round'
  context.beginPath()
  context.moveTo(x - 170 * unit, y - 67 * unit)
  context.lineTo(x, y)
  context.stroke()
}
