import { Path2D, type SKRSContext2D } from '@napi-rs/canvas'
import { blend, glow, type Random } from './brush.ts'
import { drawPictures, drawPlant, drawRug, drawSideboard } from './furniture.ts'

const floorTop = 730

/** The room without its cat, on 1920 × 1080: late sun through a window on the left. */
export function drawRoom(context: SKRSContext2D, random: Random): void {
  drawWall(context)
  drawFloor(context, random)
  drawWindow(context, random)
  drawPictures(context)
  drawSideboard(context, random)
  drawRug(context, random)
  drawPlant(context, random)
  drawSunlight(context)
}

function drawWall(context: SKRSContext2D): void {
  context.fillStyle = blend(context, [0, 0, 1920, 300], '#f3c9a0', '#e8ab83', '#c98569', '#a9685a')
  context.fillRect(0, 0, 1920, floorTop)
  context.fillStyle = blend(
    context,
    [0, 0, 0, floorTop],
    'rgba(90,40,60,0.28)',
    'rgba(90,40,60,0)',
    'rgba(90,40,60,0.12)',
  )
  context.fillRect(0, 0, 1920, floorTop)
  context.fillStyle = blend(context, [0, floorTop - 46, 0, floorTop], '#fbe9d3', '#e4c3a4', '#c79a7c')
  context.fillRect(0, floorTop - 44, 1920, 44)
  context.fillStyle = 'rgba(110,60,45,0.35)'
  context.fillRect(0, floorTop - 46, 1920, 3)
}

/** Boards that run towards a vanishing point above the picture's middle. */
function drawFloor(context: SKRSContext2D, random: Random): void {
  context.fillStyle = blend(context, [0, floorTop, 0, 1080], '#9c5f3c', '#b9774a', '#8a5033')
  context.fillRect(0, floorTop, 1920, 1080 - floorTop)
  for (let board = -22; board <= 22; board += 1) {
    const [top, bottom] = [960 + board * 72, 960 + board * 150]
    context.beginPath()
    context.moveTo(top, floorTop)
    context.lineTo(bottom, 1080)
    context.lineTo(bottom + 150, 1080)
    context.lineTo(top + 72, floorTop)
    context.fillStyle =
      random() > 0.5 ? `rgba(255,205,150,${random() * 0.16})` : `rgba(70,28,12,${random() * 0.2})`
    context.fill()
    context.strokeStyle = 'rgba(60,25,12,0.4)'
    context.lineWidth = 2.5
    context.stroke()
    const joint = floorTop + 350 * random() ** 1.5
    const share = (joint - floorTop) / 350
    const left = top + (bottom - top) * share
    context.beginPath()
    context.moveTo(left, joint)
    context.lineTo(left + 72 + 78 * share, joint)
    context.stroke()
  }
  context.fillStyle = blend(
    context,
    [0, floorTop, 0, floorTop + 60],
    'rgba(60,20,15,0.45)',
    'rgba(60,20,15,0)',
  )
  context.fillRect(0, floorTop, 1920, 60)
}

function drawWindow(context: SKRSContext2D, random: Random): void {
  const [x, y, width, height] = [190, 90, 470, 500]
  context.save()
  context.shadowColor = 'rgba(80,30,20,0.4)'
  context.shadowBlur = 30
  context.shadowOffsetY = 10
  context.fillStyle = '#fbf0e0'
  context.fillRect(x - 26, y - 26, width + 52, height + 52)
  context.restore()
  context.save()
  context.beginPath()
  context.rect(x, y, width, height)
  context.clip()
  context.fillStyle = blend(context, [0, y, 0, y + height], '#8fc4e8', '#cfe3e4', '#ffe7b8', '#ffd08a')
  context.fillRect(x, y, width, height)
  glow(context, x + 330, y + 210, 260, 'rgba(255,250,220,0.95)')
  context.filter = 'blur(5px)'
  for (const [base, colour] of [
    [360, '#a9bf8e'],
    [405, '#7fa268'],
    [455, '#557d4b'],
  ] as const) {
    context.fillStyle = colour
    context.beginPath()
    context.moveTo(x - 20, y + height + 20)
    for (let step = 0; step <= 12; step += 1) {
      context.lineTo(x - 20 + step * 45, y + base + 26 * Math.sin(step * 0.8 + base))
    }
    context.lineTo(x + width + 20, y + height + 20)
    context.fill()
  }
  for (let leaf = 0; leaf < 130; leaf += 1) {
    const angle = random() * Math.PI * 2
    const reach = Math.sqrt(random())
    context.fillStyle = `hsla(${85 + random() * 30},${40 + random() * 20}%,${38 + random() * 26}%,0.8)`
    context.beginPath()
    context.arc(
      x + 60 + Math.cos(angle) * 150 * reach,
      y + 130 + Math.sin(angle) * 150 * reach,
      10 + random() * 20,
      0,
      7,
    )
    context.fill()
  }
  context.filter = 'none'
  context.restore()
  context.fillStyle = '#fbf0e0'
  context.fillRect(x + width / 2 - 9, y, 18, height)
  context.fillRect(x, y + height * 0.42, width, 16)
  context.fillStyle = blend(context, [0, y + height + 10, 0, y + height + 60], '#fff6e6', '#d9b798')
  context.fillRect(x - 50, y + height + 18, width + 100, 36)
  drawCurtain(context, x - 95, y - 60, 150)
  drawCurtain(context, x + width - 30, y - 60, 140)
  context.fillStyle = '#7a4a34'
  context.beginPath()
  context.roundRect(x - 130, y - 78, width + 260, 14, 7)
  context.fill()
}

function drawCurtain(context: SKRSContext2D, x: number, y: number, width: number): void {
  context.save()
  context.shadowColor = 'rgba(90,40,30,0.35)'
  context.shadowBlur = 18
  const folds = 6
  const cloth = new Path2D()
  cloth.moveTo(x, y)
  cloth.lineTo(x + width, y)
  cloth.bezierCurveTo(x + width - 6, y + 250, x + width + 16, y + 450, x + width + 4, y + 640)
  for (let fold = folds; fold > 0; fold -= 1) {
    const [right, left] = [x + (width * fold) / folds, x + (width * (fold - 1)) / folds]
    cloth.quadraticCurveTo((right + left) / 2, y + 656, left, y + 640)
  }
  cloth.closePath()
  const colours = Array.from({ length: folds * 2 + 1 }, (_, index) => (index % 2 ? '#f6dcc0' : '#d9a98a'))
  context.fillStyle = blend(context, [x, 0, x + width, 0], ...colours)
  context.fill(cloth)
  context.restore()
}

/** The window's light on the floor, its beams in the air and the dust in them. */
function drawSunlight(context: SKRSContext2D): void {
  context.save()
  context.globalCompositeOperation = 'screen'
  context.filter = 'blur(5px)'
  for (const [column, row] of [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ] as const) {
    const [top, bottom] = [780 + row * 132, 780 + row * 132 + 118]
    const shift = (y: number) => (y - 780) * 1.05
    const left = 380 + column * 330
    context.beginPath()
    context.moveTo(left + shift(top), top)
    context.lineTo(left + 300 + shift(top), top)
    context.lineTo(left + 318 + shift(bottom), bottom)
    context.lineTo(left + shift(bottom), bottom)
    context.fillStyle = 'rgba(255,206,120,0.5)'
    context.fill()
  }
  context.restore()
  context.save()
  context.globalCompositeOperation = 'screen'
  context.filter = 'blur(26px)'
  for (const [left, width, strength] of [
    [230, 190, 0.3],
    [450, 170, 0.26],
  ] as const) {
    context.beginPath()
    context.moveTo(left, 110)
    context.lineTo(left + width, 110)
    context.lineTo(left + width + 620, 1000)
    context.lineTo(left + 330, 1000)
    context.fillStyle = blend(
      context,
      [left, 110, left + 480, 1000],
      `rgba(255,226,160,${strength})`,
      'rgba(255,210,140,0)',
    )
    context.fill()
  }
  context.restore()
}
