import { Path2D, type SKRSContext2D } from '@napi-rs/canvas'
import { blend, fringe, furOver, lightOver, outline, type Random } from './brush.ts'
import { fur, hairs, whiteHairs } from './coat.ts'

/** The face, about the middle between its eyes. */
export function drawHead(context: SKRSContext2D, random: Random): void {
  for (const side of [-1, 1]) drawEar(context, random, side)
  const { shape: head, edge } = outline(0, -112, [
    [82, -116, 132, -66, 136, -4],
    [140, 22, 146, 34, 150, 46],
    [136, 62, 122, 76, 100, 88],
    [60, 112, -60, 112, -100, 88],
    [-122, 76, -136, 62, -150, 46],
    [-146, 34, -140, 22, -136, -4],
    [-132, -66, -82, -116, 0, -112],
  ])
  context.save()
  context.shadowColor = 'rgba(70,20,10,0.45)'
  context.shadowBlur = 26
  context.shadowOffsetY = 12
  context.fillStyle = blend(context, [-150, -80, 150, 80], fur.light, '#eb9c55', fur.dark)
  context.fill(head)
  context.restore()
  fringe(context, edge, { random, middle: -20, length: 8 })
  fringe(
    context,
    edge.filter(({ x, y }) => y > 24 && Math.abs(x) > 100),
    { random, middle: 0, length: 20 },
  )
  drawMarkings(context, head)
  furOver(context, head, [-160, -115, 320, 225], {
    random,
    count: 4200,
    colours: hairs,
    lean: (x, y) => Math.atan2(y - 10, x) + (y < 0 ? 0 : 0.2 * Math.sign(x)),
    length: 13,
  })
  drawMuzzle(context, random)
  lightOver(context, head, -150, 165)
  for (const side of [-1, 1]) drawEye(context, side)
  drawNoseAndWhiskers(context, random)
}

function drawEar(context: SKRSContext2D, random: Random, side: number): void {
  const ear = (inset: number) =>
    outline(side * (24 + inset), -92 + inset * 0.6, [
      [
        side * (48 + inset * 0.6),
        -132 + inset,
        side * (80 + inset * 0.1),
        -176 + inset * 2,
        side * (106 - inset * 0.2),
        -186 + inset * 2,
      ],
      [side * (124 - inset), -150 + inset, side * (132 - inset), -92, side * (124 - inset), -30],
      [side * 90, -40, side * 60, -70, side * (24 + inset), -92 + inset * 0.6],
    ]).shape
  context.fillStyle = blend(context, [side * 40, -200, side * 130, -40], fur.light, fur.middle, fur.dark)
  context.fill(ear(0))
  context.fillStyle = blend(context, [0, -190, 0, -60], '#f9b9a2', '#e88f7d', '#b4604c')
  context.fill(ear(17))
  furOver(context, ear(6), [side > 0 ? 30 : -100, -120, 70, 80], {
    random,
    count: 90,
    colours: ['rgba(255,244,228,0.8)', 'rgba(255,225,195,0.6)'],
    lean: () => -Math.PI / 2 + side * 0.55,
    length: 38,
  })
}

/** The tabby's M on the forehead and the lines of its cheeks. */
function drawMarkings(context: SKRSContext2D, head: Path2D): void {
  context.save()
  context.clip(head)
  context.filter = 'blur(2.2px)'
  context.strokeStyle = 'rgba(130,56,24,0.68)'
  context.lineCap = 'round'
  const line = (width: number, ...points: [number, number, number, number, number, number]) => {
    context.lineWidth = width
    context.beginPath()
    context.moveTo(points[0], points[1])
    context.quadraticCurveTo(points[2], points[3], points[4], points[5])
    context.stroke()
  }
  line(11, 0, -116, 0, -90, 0, -62)
  for (const side of [-1, 1]) {
    line(11, side * 30, -118, side * 26, -84, side * 20, -56)
    line(10, side * 62, -112, side * 52, -82, side * 56, -58)
    line(9, side * 86, 4, side * 120, -2, side * 150, -20)
    line(9, side * 92, 26, side * 122, 26, side * 152, 18)
    line(8, side * 96, 48, side * 120, 54, side * 140, 52)
  }
  context.restore()
}

function drawMuzzle(context: SKRSContext2D, random: Random): void {
  const muzzle = new Path2D()
  muzzle.ellipse(-33, 52, 50, 39, 0.12, 0, 7)
  muzzle.ellipse(33, 52, 50, 39, -0.12, 0, 7)
  muzzle.ellipse(0, 82, 40, 26, 0, 0, 7)
  const bridge = new Path2D()
  bridge.moveTo(-9, -40)
  bridge.quadraticCurveTo(0, -52, 9, -40)
  bridge.lineTo(28, 40)
  bridge.lineTo(-28, 40)
  context.save()
  context.filter = 'blur(5px)'
  context.fillStyle = '#fff1de'
  context.fill(bridge)
  context.fillStyle = blend(context, [-80, 0, 90, 0], '#fffaf2', '#fff1e0', '#ecccb6')
  context.fill(muzzle)
  context.restore()
  furOver(context, muzzle, [-84, 10, 168, 100], {
    random,
    count: 700,
    colours: whiteHairs,
    lean: (x, y) => Math.atan2(y - 20, x),
    length: 10,
  })
}

function drawEye(context: SKRSContext2D, side: number): void {
  const [x, y] = [side * 57, -8]
  const almond = (grow: number) => {
    const path = new Path2D()
    path.moveTo(x - side * (34 + grow), y + 13 + grow * 0.4)
    path.bezierCurveTo(
      x - side * 22,
      y - 28 - grow,
      x + side * 22,
      y - 34 - grow,
      x + side * (36 + grow),
      y - 9,
    )
    path.bezierCurveTo(
      x + side * 28,
      y + 26 + grow,
      x - side * 14,
      y + 30 + grow,
      x - side * (34 + grow),
      y + 13 + grow * 0.4,
    )
    return path
  }
  context.save()
  context.filter = 'blur(3px)'
  context.fillStyle = 'rgba(255,240,215,0.9)'
  context.fill(almond(10))
  context.restore()
  context.fillStyle = '#3a1a12'
  context.fill(almond(4))
  context.save()
  context.clip(almond(0))
  const iris = context.createRadialGradient(x, y + 6, 4, x, y, 38)
  for (const [stop, colour] of [
    [0, '#f4e58a'],
    [0.45, '#b9c95a'],
    [0.8, '#6f9a4c'],
    [1, '#35562f'],
  ] as const) {
    iris.addColorStop(stop, colour)
  }
  context.fillStyle = iris
  context.fillRect(x - 50, y - 50, 100, 100)
  context.fillStyle = '#140b0c'
  context.beginPath()
  context.ellipse(x, y, 13, 25, 0, 0, 7)
  context.fill()
  context.fillStyle = blend(context, [0, y - 34, 0, y], 'rgba(30,10,10,0.7)', 'rgba(30,10,10,0)')
  context.fillRect(x - 50, y - 40, 100, 40)
  context.restore()
  context.fillStyle = 'rgba(255,255,255,0.96)'
  context.beginPath()
  context.ellipse(x - 10, y - 11, 8, 9.5, 0.3, 0, 7)
  context.fill()
  context.fillStyle = 'rgba(255,255,255,0.6)'
  context.beginPath()
  context.arc(x + 11, y + 11, 4, 0, 7)
  context.fill()
}

function drawNoseAndWhiskers(context: SKRSContext2D, random: Random): void {
  context.fillStyle = blend(context, [0, 22, 0, 48], '#f2a08f', '#c9685f')
  context.beginPath()
  context.moveTo(-20, 27)
  context.quadraticCurveTo(0, 18, 20, 27)
  context.quadraticCurveTo(16, 42, 0, 47)
  context.quadraticCurveTo(-16, 42, -20, 27)
  context.fill()
  context.strokeStyle = 'rgba(110,50,42,0.85)'
  context.lineWidth = 3
  context.lineCap = 'round'
  context.beginPath()
  context.moveTo(0, 47)
  context.lineTo(0, 60)
  for (const side of [-1, 1]) {
    context.moveTo(0, 60)
    context.bezierCurveTo(side * 8, 76, side * 28, 76, side * 37, 64)
  }
  context.stroke()
  for (const side of [-1, 1]) {
    for (let whisker = 0; whisker < 6; whisker += 1) {
      const [x, y] = [side * (34 + (whisker % 3) * 13), 44 + Math.floor(whisker / 3) * 13 + (whisker % 3) * 2]
      context.fillStyle = 'rgba(120,70,55,0.55)'
      context.beginPath()
      context.arc(x, y, 2, 0, 7)
      context.fill()
      context.strokeStyle = 'rgba(255,252,244,0.9)'
      context.lineWidth = 1.8
      context.beginPath()
      context.moveTo(x, y)
      const rise = -40 + whisker * 17 + random() * 8
      context.quadraticCurveTo(x + side * 75, y + rise * 0.4 - 8, x + side * (150 + random() * 26), y + rise)
      context.stroke()
    }
  }
}
