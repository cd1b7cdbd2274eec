import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import type { FrameSize } from './frame-size.ts'
import { prerender } from './painter.ts'

const tallest = 190
const gap = 14
const margin = 30
const border = 5
const narrowest = 0.6
const widest = 1.8

interface Card {
  picture: Canvas
  x: number
  y: number
  width: number
  height: number
}

/** Lays the customer's further pictures as small prints along the lower left; `draw` also shows those that move. */
export function makeCards(pictures: Canvas[], frame: FrameSize): (context: SKRSContext2D) => void {
  const unit = Math.min(frame.width, frame.height) / 720
  const cards = place(pictures, frame, unit)
  const sheet = prerender(frame.width, tallest * unit + 2 * margin * unit, (context) => {
    for (const { x, y, width, height } of cards) {
      context.shadowColor = 'rgba(0,0,0,0.55)'
      context.shadowBlur = 16 * unit
      context.shadowOffsetY = 4 * unit
      context.fillStyle = '#f6f4ef'
      context.fillRect(x, y, width, height)
    }
  })
  return (context) => {
    const top = frame.height - sheet.height
    context.drawImage(sheet, 0, top)
    for (const card of cards) {
      drawCovering(context, card, top, border * unit)
    }
  }
}

function place(pictures: Canvas[], frame: FrameSize, unit: number): Card[] {
  const ratios = pictures.map(({ width, height }) => Math.min(widest, Math.max(narrowest, width / height)))
  const room = frame.width - 2 * margin * unit - (pictures.length - 1) * gap * unit
  const height = Math.min(tallest * unit, room / ratios.reduce((sum, ratio) => sum + ratio, 0))
  let x = margin * unit
  return pictures.map((picture, index) => {
    const width = ratios[index]! * height
    const card = { picture, x, y: (margin + tallest) * unit - height, width, height }
    x += width + gap * unit
    return card
  })
}

/** The middle of the picture, as much of it as fills the print. */
function drawCovering(context: SKRSContext2D, card: Card, top: number, inset: number): void {
  const { picture } = card
  const [width, height] = [card.width - 2 * inset, card.height - 2 * inset]
  const scale = Math.max(width / picture.width, height / picture.height)
  const [cutWidth, cutHeight] = [width / scale, height / scale]
  context.imageSmoothingQuality = 'medium'
  context.drawImage(
    picture,
    (picture.width - cutWidth) / 2,
    (picture.height - cutHeight) / 2,
    cutWidth,
    cutHeight,
    card.x + inset,
    top + card.y + inset,
    width,
    height,
  )
}
