import { Path2D, type SKRSContext2D } from '@napi-rs/canvas'

/** Numbers from 0 to 1 that are the same in every run. */
export type Random = () => number

/** Draws from the seed on; the sequence is mulberry32's. */
export function randomFrom(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A vertical or horizontal gradient through the colours, evenly spaced. */
export function blend(context: SKRSContext2D, line: [number, number, number, number], ...colours: string[]) {
  const gradient = context.createLinearGradient(...line)
  for (const [index, colour] of colours.entries()) gradient.addColorStop(index / (colours.length - 1), colour)
  return gradient
}

/** A round glow that fades to nothing. */
export function glow(context: SKRSContext2D, x: number, y: number, radius: number, colour: string): void {
  const gradient = context.createRadialGradient(x, y, 0, x, y, radius)
  gradient.addColorStop(0, colour)
  gradient.addColorStop(1, colour.replace(/[\d.]+\)$/, '0)'))
  context.fillStyle = gradient
  context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius)
}

type Curve = [number, number, number, number, number, number]

/** A point of the cubic curve from (x, y), at a share of its way. */
export function pointOn(x: number, y: number, curve: Curve, share: number): { x: number; y: number } {
  const rest = 1 - share
  const mix = (a: number, b: number, c: number, d: number) =>
    rest ** 3 * a + 3 * rest * rest * share * b + 3 * rest * share * share * c + share ** 3 * d
  return { x: mix(x, curve[0], curve[2], curve[4]), y: mix(y, curve[1], curve[3], curve[5]) }
}

/** The closed shape that starts at (x, y), and points along its edge. */
export function outline(x: number, y: number, curves: Curve[]) {
  const shape = new Path2D()
  shape.moveTo(x, y)
  const edge: { x: number; y: number }[] = []
  let [fromX, fromY] = [x, y]
  for (const curve of curves) {
    shape.bezierCurveTo(...curve)
    for (let share = 0; share < 1; share += 0.02) edge.push(pointOn(fromX, fromY, curve, share))
    fromX = curve[4]
    fromY = curve[5]
  }
  shape.closePath()
  return { shape, edge }
}

/** Hairs that stand out over an edge, away from the middle and down, so that no shape ends in a clean line. */
export function fringe(
  context: SKRSContext2D,
  edge: { x: number; y: number }[],
  options: { random: Random; middle: number; length: number },
): void {
  const { random, middle, length } = options
  context.lineWidth = 1.6
  for (const { x, y } of edge) {
    for (let hair = 0; hair < 5; hair += 1) {
      const angle = Math.atan2(y - middle, x) + (random() - 0.5) * 0.7
      const reach = length * (0.3 + random())
      const [startX, startY] = [
        x - Math.cos(angle) * 8 + random() * 5,
        y - Math.sin(angle) * 8 + random() * 5,
      ]
      const warmth = x < 0 ? 'rgba(250,196,132,0.75)' : 'rgba(196,112,58,0.75)'
      context.strokeStyle = random() > 0.3 ? warmth : 'rgba(255,228,186,0.6)'
      context.beginPath()
      context.moveTo(startX, startY)
      context.lineTo(startX + Math.cos(angle) * (reach + 8), startY + Math.sin(angle) * (reach + 8) + 3)
      context.stroke()
    }
  }
}

/** Short hairs all over a shape, along the direction that `lean` gives for each place. */
export function furOver(
  context: SKRSContext2D,
  shape: Path2D,
  box: [number, number, number, number],
  options: {
    random: Random
    count: number
    colours: string[]
    lean: (x: number, y: number) => number
    length?: number
  },
): void {
  const { random, count, colours, lean, length = 16 } = options
  context.save()
  context.clip(shape)
  context.lineWidth = 1.3
  for (let hair = 0; hair < count; hair += 1) {
    const x = box[0] + random() * box[2]
    const y = box[1] + random() * box[3]
    const angle = lean(x, y) + (random() - 0.5) * 0.5
    const reach = length * (0.6 + random() * 0.8)
    context.strokeStyle = colours[Math.floor(random() * colours.length)]!
    context.beginPath()
    context.moveTo(x, y)
    context.lineTo(x + Math.cos(angle) * reach, y + Math.sin(angle) * reach)
    context.stroke()
  }
  context.restore()
}

/** Sun from the left, shade on the right, inside a shape. */
export function lightOver(context: SKRSContext2D, shape: Path2D, left: number, right: number): void {
  context.save()
  context.clip(shape)
  context.globalCompositeOperation = 'soft-light'
  context.fillStyle = blend(
    context,
    [left, 0, right, 0],
    'rgba(255,246,205,0.95)',
    'rgba(255,230,180,0.1)',
    'rgba(70,20,50,0.75)',
  )
  context.fillRect(left - 200, -600, right - left + 400, 800)
  context.restore()
}
