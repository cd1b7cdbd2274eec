import { fileURLToPath } from 'node:url'
import { type Canvas, createCanvas, GlobalFonts, type SKRSContext2D } from '@napi-rs/canvas'
import { prerender } from './painter.ts'

const mostLines = 3
const subsets = ['latin', 'latin-ext', 'cyrillic', 'greek', 'vietnamese'] as const
const family = subsets.map((subset) => `"Sandbox ${subset}"`).join(', ')

/** Each subset is a file of its own, so each gets a name and the list of names does the choosing. */
function registerFonts(): void {
  for (const subset of subsets) {
    if (!GlobalFonts.has(`Sandbox ${subset}`)) {
      const file = import.meta.resolve(`@fontsource/inter/files/inter-${subset}-500-normal.woff2`)
      GlobalFonts.registerFromPath(fileURLToPath(file), `Sandbox ${subset}`)
    }
  }
}

/** What lies over a shot: the mark that it is a sandbox render, and for painted scenes the prompt. */
export interface Overlay {
  draw(context: SKRSContext2D): void
}

export function makeOverlay(width: number, height: number, caption: string | null): Overlay {
  registerFonts()
  const unit = Math.min(width, height) / 720
  const mark = watermark(unit)
  const plate = caption === null || caption === '' ? null : captionPlate(caption, width, height, unit)
  return {
    draw(context) {
      if (plate !== null) {
        context.drawImage(plate, 0, height - plate.height)
      }
      context.drawImage(mark, width - mark.width - Math.round(20 * unit), Math.round(20 * unit))
    },
  }
}

function watermark(unit: number): Canvas {
  const size = Math.round(15 * unit)
  const height = Math.round(28 * unit)
  const measure = createCanvas(1, 1).getContext('2d')
  const font = `500 ${size}px ${family}`
  measure.font = font
  measure.letterSpacing = `${1.2 * unit}px`
  const width = Math.ceil(measure.measureText('sandbox').width + 24 * unit)
  return prerender(width, height, (context) => {
    context.fillStyle = 'rgba(8,10,16,0.42)'
    context.beginPath()
    context.roundRect(0, 0, width, height, height / 2)
    context.fill()
    context.font = font
    context.letterSpacing = `${1.2 * unit}px`
    context.textBaseline = 'middle'
    context.fillStyle = 'rgba(255,255,255,0.86)'
    context.fillText('sandbox', 12.6 * unit, height / 2 + 0.5 * unit)
  })
}

/** The prompt on a shade that grows darker towards the bottom edge: readable on snow as well as on night. */
function captionPlate(caption: string, width: number, height: number, unit: number): Canvas {
  const size = Math.round(25 * unit)
  const lineHeight = Math.round(size * 1.36)
  const margin = Math.round(Math.min(width * 0.06, 64 * unit))
  const bottom = Math.round(30 * unit)
  const font = `500 ${size}px ${family}`
  const measure = createCanvas(1, 1).getContext('2d')
  measure.font = font
  const lines = wrap(caption, width - 2 * margin, (text) => measure.measureText(text).width)
  const plateHeight = Math.min(height, lines.length * lineHeight + bottom + Math.round(86 * unit))
  return prerender(width, plateHeight, (context) => {
    const shade = context.createLinearGradient(0, 0, 0, plateHeight)
    shade.addColorStop(0, 'rgba(4,6,12,0)')
    shade.addColorStop(0.35, 'rgba(4,6,12,0.26)')
    shade.addColorStop(1, 'rgba(4,6,12,0.66)')
    context.fillStyle = shade
    context.fillRect(0, 0, width, plateHeight)
    context.font = font
    context.textAlign = 'center'
    context.textBaseline = 'alphabetic'
    context.shadowColor = 'rgba(0,0,0,0.75)'
    context.shadowBlur = 7 * unit
    context.shadowOffsetY = 1.5 * unit
    context.fillStyle = 'rgba(255,255,255,0.96)'
    for (const [index, line] of lines.entries()) {
      const fromBottom = (lines.length - 1 - index) * lineHeight
      context.fillText(line, width / 2, plateHeight - bottom - fromBottom)
    }
  })
}

/** Breaks a text into at most three lines of about the same length; what does not fit ends in an ellipsis. */
function wrap(text: string, widest: number, widthOf: (text: string) => number): string[] {
  const whole = text.replace(/\s+/g, ' ').trim()
  const count = Math.min(mostLines, Math.ceil(widthOf(whole) / widest))
  // Even lines read better than a full one and a leftover word; 1.12 leaves room for long words.
  const aim = count === 1 ? widest : Math.min(widest, (widthOf(whole) / count) * 1.12)
  const even = fill(whole, aim, widthOf)
  return even.isWhole ? even.lines : fill(whole, widest, widthOf).lines
}

function fill(text: string, widest: number, widthOf: (text: string) => number) {
  const lines: string[] = []
  let line = ''
  const words = text.split(' ').flatMap((word) => breakWord(word, widest, widthOf))
  for (const [index, word] of words.entries()) {
    const longer = line === '' ? word : `${line} ${word}`
    if (widthOf(longer) <= widest) {
      line = longer
    } else if (lines.length === mostLines - 1) {
      let cut = line
      while (cut !== '' && widthOf(`${cut}…`) > widest) {
        cut = Array.from(cut).slice(0, -1).join('')
      }
      return { lines: [...lines, `${cut.trimEnd()}…`], isWhole: false, index }
    } else {
      lines.push(line)
      line = word
    }
  }
  return { lines: [...lines, line], isWhole: true, index: words.length }
}

/** Cuts a word that is wider than a line, as texts without spaces are. */
function breakWord(word: string, widest: number, widthOf: (text: string) => number): string[] {
  if (widthOf(word) <= widest) {
    return [word]
  }
  const pieces: string[] = []
  let piece = ''
  for (const letter of word) {
    if (piece !== '' && widthOf(piece + letter) > widest) {
      pieces.push(piece)
      piece = ''
    }
    piece += letter
  }
  return [...pieces, piece]
}
