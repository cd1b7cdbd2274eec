import { writeFileSync } from 'node:fs'
import { type Canvas, createCanvas, Path2D, type SKRSContext2D } from '@napi-rs/canvas'
import {
  blend,
  fringe,
  furOver,
  glow,
  lightOver,
  outline,
  pointOn,
  type Random,
  randomFrom,
} from './brush.ts'
import { drawHead } from './cat-head.ts'
import { fur, hairs, whiteHairs } from './coat.ts'
import { drawRoom } from './room.ts'

/** "A cat in a room": the picture that the demo animates in place of a customer's photograph. JPEG, 1920 × 1080. */
export function drawCat(): Buffer {
  return paint().toBuffer('image/jpeg', 90)
}

function paint(): Canvas {
  const canvas = createCanvas(1920, 1080)
  const context = canvas.getContext('2d')
  const random = randomFrom(7)
  drawRoom(context, random)
  context.save()
  context.translate(1010, 958)
  context.scale(1.2, 1.2)
  drawShadow(context)
  drawTail(context, random)
  drawBody(context, random)
  context.translate(0, -392)
  context.rotate(-0.05)
  drawHead(context, random)
  context.restore()
  drawAir(context, random)
  return canvas
}

function drawShadow(context: SKRSContext2D): void {
  context.save()
  context.filter = 'blur(18px)'
  context.fillStyle = 'rgba(45,10,18,0.55)'
  context.beginPath()
  context.ellipse(70, 2, 260, 36, 0.04, 0, 7)
  context.fill()
  context.restore()
}

function drawTail(context: SKRSContext2D, random: Random): void {
  for (let step = 0; step <= 220; step += 1) {
    const share = step / 220
    const { x, y } = pointOn(110, -60, [300, 10, 330, -170, 214, -236], share)
    const radius = 30 - 7 * share
    const isStripe = share > 0.2 && Math.sin(share * 44) > 0.45
    context.fillStyle = share > 0.93 ? fur.white : isStripe ? fur.stripe : fur.middle
    context.globalAlpha = isStripe ? 0.5 : 1
    context.beginPath()
    context.arc(x, y, radius, 0, 7)
    context.fill()
    context.globalAlpha = 1
    for (let hair = 0; hair < 12; hair += 1) {
      const angle = random() * Math.PI * 2
      const [dx, dy] = [Math.cos(angle), Math.sin(angle)]
      context.strokeStyle = dx < -0.2 ? 'rgba(255,225,175,0.5)' : hairs[Math.floor(random() * 4)]!
      context.lineWidth = 1.3
      context.beginPath()
      context.moveTo(x + dx * radius * 0.6, y + dy * radius * 0.6)
      context.lineTo(x + dx * (radius + 7), y + dy * (radius + 7) - 4)
      context.stroke()
    }
  }
}

function drawBody(context: SKRSContext2D, random: Random): void {
  const { shape: body, edge } = outline(-74, -350, [
    [-140, -270, -124, -220, -150, -150],
    [-200, -96, -194, -8, -120, 0],
    [-60, 4, 60, 4, 120, 0],
    [194, -8, 200, -96, 150, -150],
    [124, -220, 140, -270, 74, -350],
  ])
  fringe(
    context,
    edge.filter(({ y }) => y < -24),
    { random, middle: -200, length: 7 },
  )
  context.fillStyle = blend(context, [-180, -300, 180, 0], fur.light, fur.middle, fur.dark)
  context.fill(body)
  drawStripes(context, body)
  const down = (x: number) => Math.PI / 2 + x / 420
  furOver(context, body, [-190, -350, 380, 350], { random, count: 5200, colours: hairs, lean: down })
  context.save()
  context.filter = 'blur(9px)'
  context.strokeStyle = 'rgba(90,35,15,0.55)'
  context.lineWidth = 9
  for (const side of [-1, 1]) {
    context.beginPath()
    context.moveTo(side * 150, -136)
    context.bezierCurveTo(side * 70, -150, side * 62, -60, side * 96, -14)
    context.stroke()
  }
  context.restore()
  drawChest(context, random)
  for (const side of [-1, 1]) drawHindPaw(context, side)
  for (const side of [-1, 1]) drawForeleg(context, random, side)
  lightOver(context, body, -170, 180)
}

function drawStripes(context: SKRSContext2D, body: Path2D): void {
  context.save()
  context.clip(body)
  context.filter = 'blur(3px)'
  context.strokeStyle = 'rgba(138,63,31,0.55)'
  context.lineCap = 'round'
  for (const side of [-1, 1]) {
    for (let stripe = 0; stripe < 6; stripe += 1) {
      const y = -285 + stripe * 44
      context.lineWidth = 13 - stripe * 0.6
      context.beginPath()
      context.moveTo(side * 190, y - 18)
      context.quadraticCurveTo(side * 120, y - 4, side * (86 + stripe * 5), y + 26)
      context.stroke()
    }
  }
  context.restore()
}

function drawChest(context: SKRSContext2D, random: Random): void {
  const chest = new Path2D()
  chest.moveTo(-66, -350)
  chest.bezierCurveTo(-104, -260, -66, -190, -34, -128)
  chest.lineTo(0, -96)
  chest.lineTo(34, -128)
  chest.bezierCurveTo(66, -190, 104, -260, 66, -350)
  chest.closePath()
  context.save()
  context.filter = 'blur(4px)'
  context.fillStyle = blend(context, [-80, 0, 90, 0], '#fffaf0', '#fdeedd', '#e0bfae')
  context.fill(chest)
  context.restore()
  const around = new Path2D()
  around.ellipse(0, -230, 110, 140, 0, 0, 7)
  furOver(context, around, [-78, -345, 156, 240], {
    random,
    count: 900,
    colours: whiteHairs,
    lean: (x) => Math.PI / 2 - x / 130,
    length: 24,
  })
}

function drawHindPaw(context: SKRSContext2D, side: number): void {
  context.fillStyle = blend(context, [0, -40, 0, 6], '#fff4e4', '#e3bf9f')
  context.beginPath()
  context.ellipse(side * 120, -10, 50, 21, 0, 0, 7)
  context.fill()
  drawToes(context, side * 122 + side * 14, -8)
}

function drawForeleg(context: SKRSContext2D, random: Random, side: number): void {
  const leg = new Path2D()
  leg.moveTo(side * 66, -200)
  leg.bezierCurveTo(side * 74, -120, side * 66, -60, side * 72, -22)
  leg.bezierCurveTo(side * 82, 8, side * 4, 10, side * 10, -22)
  leg.bezierCurveTo(side * 16, -70, side * 8, -120, side * 12, -190)
  leg.closePath()
  context.save()
  context.shadowColor = 'rgba(80,25,10,0.55)'
  context.shadowBlur = 16
  context.fillStyle = blend(
    context,
    [0, -206, 0, 6],
    'rgba(238,165,98,0)',
    '#eea562',
    fur.light,
    '#fbdcb8',
    '#fff6ea',
  )
  context.fill(leg)
  context.restore()
  context.save()
  context.clip(leg)
  context.filter = 'blur(2px)'
  context.strokeStyle = 'rgba(138,63,31,0.5)'
  for (const y of [-160, -128, -98]) {
    context.lineWidth = 8
    context.beginPath()
    context.moveTo(side * 80, y - 8)
    context.quadraticCurveTo(side * 40, y + 6, side * 22, y - 4)
    context.stroke()
  }
  context.restore()
  furOver(context, leg, [side > 0 ? 0 : -80, -200, 80, 205], {
    random,
    count: 700,
    colours: hairs,
    lean: () => Math.PI / 2,
    length: 12,
  })
  drawToes(context, side * 41, -10)
}

function drawToes(context: SKRSContext2D, x: number, y: number): void {
  context.strokeStyle = 'rgba(140,80,60,0.6)'
  context.lineWidth = 2.5
  context.lineCap = 'round'
  for (const toe of [-11, 9]) {
    context.beginPath()
    context.moveTo(x + toe, y - 8)
    context.quadraticCurveTo(x + toe + 2, y + 2, x + toe, y + 8)
    context.stroke()
  }
}

/** What lies between the eye and the room: dust in the sun, warmth, dark corners, grain. */
function drawAir(context: SKRSContext2D, random: Random): void {
  context.save()
  context.globalCompositeOperation = 'screen'
  for (let mote = 0; mote < 90; mote += 1) {
    const depth = random()
    const x = 300 + random() * 420 + depth * 480
    glow(
      context,
      x,
      180 + depth * 720 + random() * 60,
      3 + random() * 7,
      `rgba(255,236,190,${0.25 + random() * 0.5})`,
    )
  }
  glow(context, 430, 300, 700, 'rgba(255,205,130,0.22)')
  context.restore()
  const corners = context.createRadialGradient(960, 520, 560, 960, 540, 1250)
  corners.addColorStop(0, 'rgba(40,10,25,0)')
  corners.addColorStop(1, 'rgba(40,10,25,0.62)')
  context.fillStyle = corners
  context.fillRect(0, 0, 1920, 1080)
}

if (process.argv[1] === import.meta.filename) {
  const file = process.argv[2] ?? 'cat.jpg'
  writeFileSync(file, file.endsWith('.png') ? paint().toBuffer('image/png') : drawCat())
}
