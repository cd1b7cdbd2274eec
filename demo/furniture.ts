import type { SKRSContext2D } from '@napi-rs/canvas'
import { blend, glow, type Random } from './brush.ts'

/** Two prints of a sunset, side by side. */
export function drawPictures(context: SKRSContext2D): void {
  const frames = [
    [1240, 96, 160, 214, '#f7e3c8', '#d9764a'],
    [1436, 140, 184, 138, '#e9ead2', '#6d8f72'],
  ] as const
  for (const [x, y, width, height, paper, ink] of frames) {
    context.save()
    context.shadowColor = 'rgba(70,25,25,0.5)'
    context.shadowBlur = 18
    context.shadowOffsetX = 9
    context.shadowOffsetY = 9
    context.fillStyle = '#6b4030'
    context.fillRect(x - 10, y - 10, width + 20, height + 20)
    context.restore()
    context.fillStyle = paper
    context.fillRect(x, y, width, height)
    context.save()
    context.beginPath()
    context.rect(x + 18, y + 18, width - 36, height - 36)
    context.clip()
    context.fillStyle = blend(context, [0, y, 0, y + height], '#fbd9a5', '#f3b687')
    context.fillRect(x, y, width, height)
    context.fillStyle = '#fff2cf'
    context.beginPath()
    context.arc(x + width * 0.62, y + height * 0.42, 26, 0, 7)
    context.fill()
    context.fillStyle = ink
    context.beginPath()
    context.ellipse(x + width * 0.3, y + height, width * 0.6, height * 0.4, 0, 0, 7)
    context.fill()
    context.fillStyle = 'rgba(60,50,60,0.45)'
    context.beginPath()
    context.ellipse(x + width * 0.85, y + height * 1.05, width * 0.6, height * 0.36, 0, 0, 7)
    context.fill()
    context.restore()
  }
}

/** Low, of walnut, with books and a lamp. */
export function drawSideboard(context: SKRSContext2D, random: Random): void {
  const [x, y, width] = [1330, 520, 520]
  context.save()
  context.shadowColor = 'rgba(50,15,15,0.5)'
  context.shadowBlur = 34
  context.shadowOffsetX = 14
  context.fillStyle = blend(context, [x, 0, x + width, 0], '#94583a', '#7a4530', '#5b3226')
  context.beginPath()
  context.roundRect(x, y, width, 218, 8)
  context.fill()
  context.restore()
  context.fillStyle = '#4a281e'
  for (const leg of [x + 24, x + width - 44]) context.fillRect(leg, y + 216, 20, 40)
  for (const door of [0, 1]) {
    context.strokeStyle = 'rgba(40,16,10,0.5)'
    context.lineWidth = 3
    context.strokeRect(x + 16 + door * 246, y + 22, 240, 178)
    context.fillStyle = '#e9c07d'
    context.beginPath()
    context.arc(x + 232 + door * 52, y + 110, 8, 0, 7)
    context.fill()
  }
  context.fillStyle = 'rgba(255,220,170,0.35)'
  context.fillRect(x, y, width, 6)
  const covers = ['#c8553d', '#e8b04a', '#3f6b6b', '#f0dfc4', '#7c4b6b', '#52796f', '#d98a5b']
  let left = x + 40
  for (const cover of covers) {
    const [thick, tall] = [20 + random() * 16, 84 + random() * 46]
    context.fillStyle = cover
    context.fillRect(left, y - tall, thick, tall)
    context.fillStyle = blend(
      context,
      [left, 0, left + thick, 0],
      'rgba(255,240,210,0.35)',
      'rgba(40,10,20,0.3)',
    )
    context.fillRect(left, y - tall, thick, tall)
    context.fillStyle = 'rgba(255,240,205,0.6)'
    context.fillRect(left + 4, y - tall + 14, thick - 8, 5)
    left += thick + 1
  }
  drawLamp(context, x + 400, y)
}

function drawLamp(context: SKRSContext2D, x: number, y: number): void {
  glow(context, x, y - 170, 330, 'rgba(255,214,140,0.55)')
  context.fillStyle = blend(context, [x - 40, 0, x + 40, 0], '#f0ddc4', '#c99f7e')
  context.beginPath()
  context.ellipse(x, y - 46, 38, 46, 0, 0, 7)
  context.fill()
  context.fillStyle = '#8a5a3c'
  context.fillRect(x - 5, y - 124, 10, 40)
  context.beginPath()
  context.moveTo(x - 54, y - 250)
  context.lineTo(x + 54, y - 250)
  context.lineTo(x + 92, y - 118)
  context.quadraticCurveTo(x, y - 104, x - 92, y - 118)
  context.closePath()
  context.fillStyle = blend(context, [0, y - 250, 0, y - 110], '#ffe2a8', '#fff3cf', '#ffcf86')
  context.fill()
}

/** A round rug, braided in rings, with a fringe. */
export function drawRug(context: SKRSContext2D, random: Random): void {
  const [x, y] = [1010, 925]
  context.strokeStyle = 'rgba(245,226,196,0.9)'
  context.lineWidth = 3
  for (let thread = 0; thread < 260; thread += 1) {
    const angle = (thread / 260) * Math.PI * 2
    context.beginPath()
    context.moveTo(x + 600 * Math.cos(angle), y + 136 * Math.sin(angle))
    context.lineTo(x + (616 + 8 * random()) * Math.cos(angle), y + (144 + 6 * random()) * Math.sin(angle) + 3)
    context.stroke()
  }
  const rings = [
    '#7d2f36',
    '#e9c99a',
    '#a8453f',
    '#2f5d62',
    '#e9c99a',
    '#b9523f',
    '#c96a4a',
    '#e9c99a',
    '#a8453f',
  ]
  for (const [index, colour] of rings.entries()) {
    const share = 1 - index * 0.105
    context.fillStyle = colour
    context.beginPath()
    context.ellipse(x, y, 602 * share, 138 * share, 0, 0, 7)
    context.fill()
  }
  for (const [ring, count, colour] of [
    [0.84, 44, '#f3ddb6'],
    [0.64, 36, '#f0b867'],
    [0.42, 24, '#f6e4c3'],
  ] as const) {
    context.fillStyle = colour
    for (let mark = 0; mark < count; mark += 1) {
      const angle = (mark / count) * Math.PI * 2
      context.beginPath()
      context.ellipse(x + 602 * ring * Math.cos(angle), y + 138 * ring * Math.sin(angle), 13, 4.5, 0, 0, 7)
      context.fill()
    }
  }
  for (let tuft = 0; tuft < 9000; tuft += 1) {
    const [angle, reach] = [random() * Math.PI * 2, Math.sqrt(random())]
    const [left, top] = [x + 600 * reach * Math.cos(angle), y + 136 * reach * Math.sin(angle)]
    context.fillStyle = random() > 0.5 ? 'rgba(255,235,205,0.13)' : 'rgba(50,10,15,0.13)'
    context.fillRect(left, top, 2, 5)
  }
}

/** A fern-like plant in a pot of clay. */
export function drawPlant(context: SKRSContext2D, random: Random): void {
  const [x, y] = [1715, 930]
  context.fillStyle = 'rgba(40,12,10,0.4)'
  context.filter = 'blur(14px)'
  context.beginPath()
  context.ellipse(x + 30, y + 4, 130, 26, 0, 0, 7)
  context.fill()
  context.filter = 'none'
  const leaves = Array.from({ length: 19 }, (_, index) => ({
    lean: -1.25 + (index / 18) * 2.5 + (random() - 0.5) * 0.2,
    reach: 250 + random() * 230,
    light: 26 + random() * 18,
  }))
  for (const { lean, reach, light } of leaves.sort((a, b) => a.light - b.light)) {
    const tip = { x: x + Math.sin(lean) * reach * 0.85, y: y - 170 - Math.cos(lean) * reach }
    const bend = { x: x + Math.sin(lean) * reach * 0.25, y: y - 170 - Math.cos(lean) * reach * 0.75 }
    const across = { x: Math.cos(lean) * 40, y: Math.sin(lean) * 40 }
    context.beginPath()
    context.moveTo(x, y - 150)
    context.quadraticCurveTo(bend.x - across.x, bend.y - across.y, tip.x, tip.y)
    context.quadraticCurveTo(bend.x + across.x * 1.3, bend.y + across.y * 1.3, x, y - 150)
    const colours = [`hsl(150,38%,${light * 0.6}%)`, `hsl(120,34%,${light}%)`, `hsl(82,48%,${light + 18}%)`]
    context.fillStyle = blend(context, [x, y - 150, tip.x - 60, tip.y], ...colours)
    context.fill()
    context.strokeStyle = 'rgba(225,240,170,0.35)'
    context.lineWidth = 2
    context.beginPath()
    context.moveTo(x, y - 150)
    context.quadraticCurveTo(bend.x, bend.y, tip.x, tip.y)
    context.stroke()
  }
  context.beginPath()
  context.moveTo(x - 98, y - 190)
  context.lineTo(x + 98, y - 190)
  context.lineTo(x + 70, y)
  context.quadraticCurveTo(x, y + 16, x - 70, y)
  context.closePath()
  context.fillStyle = blend(context, [x - 98, 0, x + 98, 0], '#e89a6c', '#cf7148', '#8d4230')
  context.fill()
  context.fillStyle = blend(context, [x - 106, 0, x + 106, 0], '#f3ad80', '#d87f54', '#9a4c37')
  context.beginPath()
  context.roundRect(x - 108, y - 206, 216, 40, 8)
  context.fill()
}
