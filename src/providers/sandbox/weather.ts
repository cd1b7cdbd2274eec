import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { css, type Painter, prerender, type Rgb } from './painter.ts'
import { between, type Random } from './random.ts'

export type Weather = 'clear' | 'rain' | 'snow' | 'fog'

/** What the prompt says of the weather. A snowy mountain is not a snowfall: only falling snow is. */
export function readWeather(prompt: string): Weather {
  if (/\b(rain\w*|storm\w*|drizzl\w*|downpour|monsoon|thunder\w*)\b/i.test(prompt)) {
    return 'rain'
  }
  if (
    /\b(snowing|snowfall|snowstorm|blizzard|snowflakes?|falling snow|snow (is )?(falls?|falling)|winter)\b/i.test(
      prompt,
    )
  ) {
    return 'snow'
  }
  return /\b(fog\w*|mist\w*|haz[ey]\w*|smok\w+)\b/i.test(prompt) ? 'fog' : 'clear'
}

/** What falls or drifts in front of a scene; null where the air is clear. */
export function paintWeather(
  weather: Weather,
  width: number,
  height: number,
  random: Random,
  tint: Rgb | null,
): Painter | null {
  switch (weather) {
    case 'rain':
      return rain(width, height, random, tint ?? [205, 220, 240])
    case 'snow':
      return snow(width, height, random)
    case 'fog':
      return fog(width, height, random, tint ?? [214, 220, 226])
    default:
      return null
  }
}

/**
 * Three curtains of streaks, each a strip drawn once and moved down the frame: hundreds of drops for the price
 * of three copies.
 */
function rain(width: number, height: number, random: Random, tint: Rgb): Painter {
  const unit = Math.min(width, height) / 720
  const curtains = [
    { count: 170, length: 26, thick: 0.9, alpha: 0.24, speed: 1.35 },
    { count: 90, length: 52, thick: 1.3, alpha: 0.3, speed: 1.9 },
    { count: 26, length: 110, thick: 1.9, alpha: 0.3, speed: 2.6 },
  ].map(({ count, length, thick, alpha, speed }) => {
    const drops = Math.round((count * width * height) / (1280 * 720 * unit * unit))
    const streaks = Array.from({ length: drops }, () => ({
      x: random() * width * 1.1,
      y: random(),
      length: length * unit * between(random, 0.6, 1.3),
      alpha: Math.ceil(between(random, 0.4, 1) * 3) / 3,
    }))
    return { streaks, thick: thick * unit, alpha, speed }
  })
  return {
    paint(context, _progress, seconds) {
      context.lineCap = 'round'
      for (const { streaks, thick, alpha, speed } of curtains) {
        context.lineWidth = thick
        for (const level of [1, 2, 3]) {
          context.strokeStyle = css(tint, (alpha * level) / 3)
          context.beginPath()
          for (const streak of streaks) {
            if (Math.round(streak.alpha * 3) !== level) {
              continue
            }
            const reach = height + streak.length
            const y = ((streak.y + seconds * speed) % 1) * reach - streak.length
            const x = streak.x - (y / height) * 0.09 * height
            context.moveTo(x, y)
            context.lineTo(x - streak.length * 0.09, y + streak.length)
          }
          context.stroke()
        }
      }
    },
  }
}

function snow(width: number, height: number, random: Random): Painter {
  const unit = Math.min(width, height) / 720
  const flake = softDot(Math.ceil(16 * unit), [255, 255, 255])
  const flakes = Array.from(
    { length: Math.round((230 * width * height) / (1280 * 720 * unit * unit)) },
    () => {
      const near = random() ** 2.2
      return {
        x: random(),
        y: random(),
        size: (3 + near * 13) * unit,
        speed: 0.05 + near * 0.16,
        sway: between(random, 6, 22) * unit * (0.4 + near),
        phase: random() * 7,
        alpha: between(random, 0.45, 0.95) * (1 - near * 0.35),
      }
    },
  )
  return {
    paint(context, _progress, seconds) {
      for (const { x, y, size, speed, sway, phase, alpha } of flakes) {
        const down = ((y + seconds * speed) % 1.05) * height - size
        const across =
          ((x + seconds * speed * 0.22) % 1.05) * width + Math.sin(seconds * 1.3 + phase) * sway - size
        context.globalAlpha = alpha
        context.drawImage(flake, across, down, size, size)
      }
      context.globalAlpha = 1
    },
  }
}

/** How much of the frame's height one bank of fog covers. */
const fogShare = 0.5

function fog(width: number, height: number, random: Random, tint: Rgb): Painter {
  const banks = [0.46, 0.62, 0.8].map((y, index) => ({
    canvas: enlarged(fogBank(width * 1.6, height * fogShare, random, tint), width * 1.6, height * fogShare),
    y: (y - fogShare / 2) * height,
    speed: (index % 2 === 0 ? 1 : -1) * between(random, 0.012, 0.03),
  }))
  return {
    paint(context, _progress, seconds) {
      for (const { canvas, y, speed } of banks) {
        // At whole pixels, which costs a quarter; in fog nobody sees a step of one.
        const shift = Math.round(-0.3 * width + speed * seconds * width)
        context.drawImage(canvas, shift, Math.round(y))
      }
    },
  }
}

function enlarged(canvas: Canvas, width: number, height: number): Canvas {
  return prerender(width, height, (context) => {
    context.imageSmoothingQuality = 'high'
    context.drawImage(canvas, 0, 0, width, height)
  })
}

/** A long soft cloud, drawn small: nothing in it is sharp. */
function fogBank(width: number, height: number, random: Random, tint: Rgb): Canvas {
  const scale = 0.25
  return prerender(width * scale, height * scale, (context) => {
    const { width: w, height: h } = context.canvas
    for (let puff = 0; puff < 46; puff++) {
      const across = between(random, 0.05, 0.2) * w
      const down = across * between(random, 0.3, 0.55)
      puffAt(
        context,
        random() * w,
        h / 2 + between(random, -0.22, 0.22) * h,
        across,
        Math.min(down, h * 0.28),
        tint,
      )
    }
  })
}

function puffAt(context: SKRSContext2D, x: number, y: number, across: number, down: number, tint: Rgb): void {
  context.save()
  context.translate(x, y)
  context.scale(across, down)
  const gradient = context.createRadialGradient(0, 0, 0, 0, 0, 1)
  gradient.addColorStop(0, css(tint, 0.12))
  gradient.addColorStop(0.35, css(tint, 0.07))
  gradient.addColorStop(0.7, css(tint, 0.018))
  gradient.addColorStop(1, css(tint, 0))
  context.fillStyle = gradient
  context.fillRect(-1, -1, 2, 2)
  context.restore()
}

/** A soft white dot, for snow and dust. */
export function softDot(size: number, color: Rgb): Canvas {
  return prerender(size, size, (context) => {
    const half = size / 2
    const gradient = context.createRadialGradient(half, half, 0, half, half, half)
    gradient.addColorStop(0, css(color, 1))
    gradient.addColorStop(0.45, css(color, 0.75))
    gradient.addColorStop(1, css(color, 0))
    context.fillStyle = gradient
    context.fillRect(0, 0, size, size)
  })
}
