import { stackLayers } from './layer-stack.ts'
import { makeNoise, smoothStep } from './noise.ts'
import { blend, css, opaque, type Rgb } from './painter.ts'
import { between } from './random.ts'
import { makeBirds } from './scene-sea.ts'
import { makeSky } from './sky.ts'
import { type Layer, makeLayer, overhang, type Scene, type Stage } from './stage.ts'
import { softDot } from './weather.ts'

/** Dunes one behind the other, each with a lit face and a shaded one that meet in a sharp crest. */
export function desert(stage: Stage): Scene {
  const { mood, height } = stage
  stage.horizon = height * 0.52
  const sky = makeSky(stage)
  const side = sky.light !== null && sky.light.x > stage.width / 2 ? 1 : -1
  const dunes = [0.12, 0.3, 0.55, 0.95].map((near, index) => dune(stage, near, index, side))
  const birds = makeBirds(stage, mood.hasBirds ? 6 : 0)
  const land = stackLayers(stage, dunes)
  const sand = blowingSand(stage)
  return {
    paint(context, camera, seconds) {
      sky.paint(context, camera, seconds)
      birds(context, seconds)
      land(context, camera)
      sand(context, seconds)
    },
  }
}

function dune(stage: Stage, near: number, index: number, side: number): Layer {
  const { mood, height, horizon, random, unit } = stage
  const noise = makeNoise(random)
  const start = between(random, 0, 100)
  const sand: Rgb = mood.time === 'night' ? [74, 84, 120] : [222, 168, 108]
  const lit = blend(blend(sand, mood.light, 0.38), mood.haze, (1 - near) * 0.55)
  const dark = blend(blend(sand, mood.shade, 0.62), mood.haze, (1 - near) * 0.6)
  const top = horizon + (height - horizon) * [-0.05, 0.1, 0.32, 0.62][index]!
  const length = (260 + 620 * near) * unit
  const tall = (26 + 130 * near) * unit
  const crest = (x: number): number => {
    const along = x / length + start
    const hill = noise.layered(along, 2, 2)
    return top - tall * (1 - Math.abs(2 * hill - 1) ** 0.9) + tall * 0.25
  }
  return makeLayer(
    stage,
    { depth: 0.15 + 0.85 * near, top: horizon - 150 * unit, bottom: height + overhang(stage).y },
    (context, left, right) => {
      const slopeAt = (x: number, reach: number): number =>
        ((crest(x + reach) - crest(x - reach)) / (2 * reach)) * -side
      const colorAt = (x: number, down: number): Rgb => {
        // The edge between light and shade runs down the dune at a slant and softens, as sand slides.
        const from =
          x + side * down * 1.25 + (noise.layered(x / (150 * unit), down / (110 * unit), 2) - 0.5) * 46 * unit
        const face = smoothStep(-0.2, 0.24, slopeAt(from, 8 * unit + down * 0.4))
        const here = blend(dark, lit, face)
        const glow = Math.max(0, 1 - down / (26 * unit)) * 0.25 * face
        return blend(blend(here, mood.light, glow), mood.shade, Math.min(0.3, (down / height) * 0.5 * near))
      }
      // Pixel by pixel into memory: as little rectangles the four dunes took a second.
      const image = context.createImageData(context.canvas.width, context.canvas.height)
      const pixels = new Uint32Array(image.data.buffer)
      // Read once: on an image these are calls into the library, and here they would be made for every pixel.
      const { width: columns, height: rows } = image
      const column = Math.max(1, Math.round(1.5 * unit))
      const step = (2 + near) * unit
      const frameTop = horizon - 150 * unit
      for (let pixel = 0; pixel < columns; pixel += column) {
        const x = left + pixel
        const y = crest(x) - frameTop
        const first = Math.max(0, Math.floor(y))
        let color = 0
        let down = 0
        for (let row = first; row < rows; row++) {
          if (row === first || row + 0.5 >= y + down) {
            color = opaque(colorAt(x, down))
            down += step
          }
          // The crest itself is feathered by what its first pixel holds of it.
          const alpha = row === first ? Math.round(255 * (1 - (y - Math.floor(y)))) : 255
          for (let wide = pixel; wide < pixel + column && wide < columns; wide++) {
            pixels[row * columns + wide] = ((color & 0xffffff) | (alpha << 24)) >>> 0
          }
        }
      }
      context.putImageData(image, 0, 0)
      if (near > 0.4) {
        ripples(stage, context, crest, left, right, noise, near, css(blend(dark, mood.shade, 0.3), 0.2))
      }
    },
  )
}

/** The small waves that wind draws into sand. */
function ripples(
  { height, unit }: Stage,
  context: Parameters<Parameters<typeof makeLayer>[2]>[0],
  crest: (x: number) => number,
  left: number,
  right: number,
  noise: ReturnType<typeof makeNoise>,
  near: number,
  color: string,
): void {
  context.strokeStyle = color
  context.lineWidth = 1.2 * unit
  for (let row = 1; row < 34; row++) {
    context.beginPath()
    let isDown = false
    for (let x = left; x < right; x += 6 * unit) {
      const y =
        crest(x) +
        row * (7 + 10 * near + row * 0.5) * unit +
        (noise.layered(x / (70 * unit), row * 0.35, 2) - 0.5) * 34 * unit
      const isSeen =
        y < height * 1.05 && y > crest(x) + 6 * unit && noise.at(x / (120 * unit) + 30, row * 0.4) > 0.4
      if (isSeen && isDown) {
        context.lineTo(x, y)
      } else if (isSeen) {
        context.moveTo(x, y)
      }
      isDown = isSeen
    }
    context.stroke()
  }
}

function blowingSand({ mood, width, height, horizon, random, unit }: Stage) {
  const dot = softDot(Math.ceil(6 * unit), blend([255, 224, 176], mood.haze, 0.3))
  const grains = Array.from({ length: 120 }, () => ({
    x: random(),
    y: horizon + random() ** 0.7 * (height - horizon),
    size: between(random, 1.2, 4) * unit,
    speed: between(random, 0.1, 0.28),
    phase: random() * 7,
  }))
  return (context: Parameters<Scene['paint']>[0], seconds: number): void => {
    for (const { x, y, size, speed, phase } of grains) {
      const across = ((x + seconds * speed) % 1.04) * width
      context.globalAlpha = 0.22 + 0.2 * Math.sin(seconds * 2 + phase)
      context.drawImage(dot, across, y + Math.sin(seconds * 1.8 + phase) * 7 * unit, size * 2.6, size)
    }
    context.globalAlpha = 1
  }
}
