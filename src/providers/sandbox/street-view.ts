import type { SKRSContext2D } from '@napi-rs/canvas'
import { blend, css, type Rgb } from './painter.ts'
import { between, pick, type Random } from './random.ts'
import type { Stage } from './stage.ts'

/** Looks down a street: metres in (right, up, away from the viewer), pixels out. */
export interface StreetView {
  focal: number
  eyeHeight: number
  halfWidth: number
  point(x: number, y: number, z: number): readonly [x: number, y: number]
}

/** A view; with `up` negative, the view of what the wet ground mirrors. */
export function streetView({ width, height, horizon }: Stage, up = 1): StreetView {
  const focal = 0.5 * width + 0.26 * height
  const eyeHeight = 1.7
  return {
    focal,
    eyeHeight,
    halfWidth: width >= height ? 4.6 : 3.1,
    point: (x, y, z) => [width / 2 + (x / z) * focal, horizon + ((eyeHeight - up * y) / z) * focal],
  }
}

export interface House {
  side: -1 | 1
  near: number
  far: number
  tall: number
  wall: Rgb
  glass: Rgb
  shop: Rgb
  fascia: Rgb
  lit: number
  seed: () => Random
}

const neonColors: readonly Rgb[] = [
  [255, 58, 140],
  [64, 220, 255],
  [255, 150, 50],
  [190, 90, 255],
  [90, 255, 180],
  [255, 70, 70],
  [90, 140, 255],
  [255, 220, 110],
]

export function neon(random: Random): Rgb {
  return pick(random, neonColors)
}

/** Rows of houses down both sides, far ones first as they are painted. */
export function makeHouses(random: Random, makeRandom: (salt: number) => Random): House[] {
  const houses: House[] = []
  for (const side of [-1, 1] as const) {
    let near = 2.2
    while (near < 70) {
      const far = near + between(random, 3.4, 7.5) * (1 + near / 40)
      const salt = houses.length
      houses.push({
        side,
        near,
        far,
        tall: between(random, 9, 24),
        wall: blend([22, 24, 44], [44, 34, 58], random()),
        glass: pick(random, [
          [255, 214, 150],
          [255, 190, 120],
          [170, 215, 255],
          [255, 235, 205],
        ] as const),
        shop: pick(random, [
          [255, 214, 160],
          [255, 186, 120],
          [190, 225, 255],
          [255, 150, 190],
        ] as const),
        fascia: neon(random),
        lit: between(random, 0.18, 0.5),
        seed: () => makeRandom(salt),
      })
      near = far
    }
  }
  return houses.sort((a, b) => b.near - a.near)
}

/** Paints the street side of a house: wall, lit windows, shop front, the sign board above it. */
export function drawHouse(context: SKRSContext2D, view: StreetView, house: House, haze: Rgb): void {
  const random = house.seed()
  const x = house.side * view.halfWidth
  const near = Math.max(house.near, 1.2)
  const { far, tall } = house
  const lost = (z: number): number => 1 - Math.exp(-z / 46)
  const dim = lost((near + far) / 2)
  const face = (low: number, high: number, from: number, to: number, color: string): void => {
    quad(context, view, x, low, high, from, to)
    context.fillStyle = color
    context.fill()
  }
  face(0, tall, near, far, css(blend(house.wall, haze, dim)))
  // Shop light climbs the wall a little, and dies away.
  for (const [low, high, alpha] of [
    [0, 6, 0.16],
    [0, 4.2, 0.2],
  ] as const) {
    face(low, high, near, far, css(blend(house.fascia, house.shop, 0.5), alpha * (1 - dim)))
  }
  for (let floor = 4.1; floor + 1.9 < tall; floor += 3) {
    for (let z = near + 0.5; z + 1.1 < far; z += 1.75) {
      const isLit = random() < house.lit
      const glass = isLit
        ? blend(house.glass, house.wall, random() * 0.45)
        : blend(house.wall, [70, 90, 130], 0.25)
      face(floor, floor + 1.7, z, z + 1.15, css(blend(glass, haze, dim * 0.8), isLit ? 0.85 : 0.7))
      if (isLit && random() < 0.5) {
        face(floor, floor + 0.85, z, z + 1.15, css(house.wall, 0.35))
      }
    }
  }
  drawShops(random, near, far, house, haze, dim, face)
  face(2.75, 3.55, near, far, css(blend(blend(house.fascia, [10, 8, 20], 0.25), haze, dim * 0.4)))
  for (let z = near + 0.5; z < far - 0.5; z += 0.55) {
    if (random() < 0.75) {
      const wide = between(random, 0.16, 0.4)
      face(2.93, 3.38, z, z + wide, css([255, 250, 240], 0.88))
      for (let cut = 0; cut < 3; cut++) {
        const low = between(random, 2.97, 3.3)
        const from = z + random() * wide * 0.6
        face(low, low + 0.06, from, from + wide * 0.5, css(house.fascia, 0.95))
      }
    }
  }
}

type Face = (low: number, high: number, from: number, to: number, color: string) => void

/** The ground floor: panes with goods and people behind them, doors, machines, cloth over the entrances. */
function drawShops(
  random: Random,
  near: number,
  far: number,
  house: House,
  haze: Rgb,
  dim: number,
  face: Face,
): void {
  face(0, 2.75, near, far, css(blend(blend(house.wall, [12, 10, 20], 0.5), haze, dim)))
  for (let z = near + 0.12; z + 0.7 < far; ) {
    const wide = between(random, 0.75, 1.7)
    const end = Math.min(z + wide, far - 0.1)
    const light = blend(blend(house.shop, house.fascia, random() * 0.3), haze, dim * 0.5)
    const kind = random()
    if (kind < 0.5) {
      pane(random, z, end, light, face)
    } else if (kind < 0.68) {
      face(0.1, 2, z, end, css(blend(light, [40, 46, 70], 0.25), 0.95))
      for (let row = 0; row < 4; row++) {
        face(0.35 + row * 0.42, 0.62 + row * 0.42, z + 0.1, end - 0.1, css(neon(random), 0.75))
      }
      face(2.05, 2.5, z, end, css([26, 20, 34]))
    } else if (kind < 0.85) {
      face(0, 2.3, z, end, css(blend(light, [30, 14, 20], 0.45)))
      for (let strip = 0; strip < 3; strip++) {
        const from = z + ((end - z) * strip) / 3
        face(1.55, 2.35, from, from + (end - z) / 3 - 0.04, css(blend(house.fascia, [40, 10, 30], 0.3), 0.95))
      }
    } else {
      face(0.5, 2.3, z, end, css(blend(neon(random), [20, 16, 36], 0.55)))
      face(1.1, 1.9, z + 0.15, end - 0.15, css([240, 236, 230], 0.3))
    }
    z = end + between(random, 0.08, 0.3)
  }
  // Light from under the board above falls on everything below it.
  face(2.3, 2.75, near, far, css(house.fascia, 0.25 * (1 - dim)))
}

/** A shop window: bright above, darker below, with shelves and perhaps somebody in it. */
function pane(random: Random, near: number, far: number, light: Rgb, face: Face): void {
  const bands = 7
  for (let band = 0; band < bands; band++) {
    const low = 0.25 + (2.2 * band) / bands
    const shade = 0.62 - 0.62 * (band / (bands - 1))
    face(low, low + 2.2 / bands + 0.02, near, far, css(blend(light, [38, 20, 30], shade)))
  }
  for (const shelf of [0.75, 1.25]) {
    face(shelf, shelf + 0.05, near, far, css([30, 18, 26], 0.7))
    for (let z = near + 0.06; z + 0.1 < far; z += between(random, 0.1, 0.24)) {
      const tall = between(random, 0.1, 0.34)
      face(shelf + 0.05, shelf + 0.05 + tall, z, z + 0.09, css(blend(neon(random), [60, 36, 40], 0.45), 0.8))
    }
  }
  if (random() < 0.4) {
    const at = between(random, near, far - 0.35)
    face(0.25, 1.5, at, at + 0.3, css([22, 14, 26], 0.85))
    face(1.5, 1.72, at + 0.06, at + 0.22, css([22, 14, 26], 0.85))
  }
}

/** A rectangle on the wall at `x`, from `low` to `high` and from `near` to `far`. */
function quad(
  context: SKRSContext2D,
  view: StreetView,
  x: number,
  low: number,
  high: number,
  near: number,
  far: number,
): void {
  context.beginPath()
  context.moveTo(...view.point(x, low, near))
  context.lineTo(...view.point(x, high, near))
  context.lineTo(...view.point(x, high, far))
  context.lineTo(...view.point(x, low, far))
  context.closePath()
}
