import type { SKRSContext2D } from '@napi-rs/canvas'
import { pick, type Random } from './random.ts'

/** Colours laid over a picture, so that one can see what was asked for. */
export type Look = (context: SKRSContext2D, width: number, height: number) => void

interface Wash {
  words: RegExp
  mix: 'saturation' | 'soft-light' | 'multiply' | 'screen'
  /** Null mixes the picture with itself, which deepens it. */
  color: string | null
}

const washes: readonly Wash[] = [
  {
    words: /\b(bw|black[- ]and[- ]white|mono\w*|noir|gr[ae]y\w*|sketch)\b/i,
    mix: 'saturation',
    color: '#808080',
  },
  {
    words: /\b(warm|sunset|golden|autumn|terracotta|orange|fire|sunny|summer)\b/i,
    mix: 'soft-light',
    color: 'rgba(255,140,40,0.62)',
  },
  {
    words: /\b(cool|cold|winter\w*|snow\w*|blue|nordic|ice|icy|frozen)\b/i,
    mix: 'soft-light',
    color: 'rgba(40,120,255,0.62)',
  },
  { words: /\b(night|dark\w*|moon\w*|midnight)\b/i, mix: 'multiply', color: 'rgb(92,108,176)' },
  { words: /\b(pastel|dream\w*|muted|soft|faded)\b/i, mix: 'screen', color: 'rgba(255,190,225,0.3)' },
  {
    words: /\b(vivid|anime|painted|cartoon|3d|vibrant|colou?rful)\b/i,
    mix: 'saturation',
    color: 'rgba(255,0,0,0.3)',
  },
  { words: /\b(contrast|vivid|anime|cartoon|sketch|dramatic)\b/i, mix: 'soft-light', color: null },
]

// Light ones, under which every picture stays as readable as it was.
const unasked = washes.filter(({ words }) => ['warm', 'cool', 'pastel'].some((word) => words.test(word)))

/** Reads the look out of the words; where they name none, one of the colours is chosen, so that an edit shows. */
export function readLook(words: string, random: Random): Look {
  const named = washes.filter((wash) => wash.words.test(words))
  const chosen = named.length > 0 ? named : [pick(random, unasked)]
  return (context, width, height) => {
    context.save()
    for (const { mix, color } of chosen) {
      context.globalCompositeOperation = mix
      context.fillStyle = color ?? '#000'
      if (color === null) context.drawImage(context.canvas, 0, 0)
      else context.fillRect(0, 0, width, height)
    }
    context.restore()
  }
}
