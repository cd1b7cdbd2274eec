import type { Random } from './random.ts'

/**
 * Where the camera is. `x` and `y` are shares of the room there is to move, from -1 (left, top) to 1;
 * `roll` is in radians.
 */
export interface CameraState {
  zoom: number
  x: number
  y: number
  roll: number
}

export type Camera = (progress: number) => CameraState

interface Move {
  words: RegExp
  from: Partial<CameraState>
  to: Partial<CameraState>
}

const degrees = Math.PI / 180
const close = 1.26

/** What the words of a prompt mean for the camera. All that are found are added up. */
const moves: readonly Move[] = [
  {
    words:
      /\b(zoom\w*|push\w*|doll(y|ies|ying)|mov\w+|com\w+|track\w*) (slowly |gently |in )*(in|closer|forward\w*|toward\w*)\b|\bclose-?up\b/i,
    from: { zoom: 1.04 },
    to: { zoom: close },
  },
  {
    words: /\b(zoom\w*|pull\w*|doll(y|ies|ying)|mov\w+) (slowly |gently )*(out|back\w*|away)\b|\breveal/i,
    from: { zoom: close },
    to: { zoom: 1.02 },
  },
  { words: /\b(pan|track|truck|slid|mov|sweep)\w*\b[^.;]{0,24}\bleft\b/i, from: { x: 1 }, to: { x: -1 } },
  { words: /\b(pan|track|truck|slid|mov|sweep)\w*\b[^.;]{0,24}\bright\b/i, from: { x: -1 }, to: { x: 1 } },
  {
    words: /\b(tilt|pan|crane|ris|pedestal|boom)\w*\b[^.;]{0,16}\b(up|upwards?)\b|\brising shot\b/i,
    from: { y: 1 },
    to: { y: -1 },
  },
  {
    words: /\b(tilt|pan|crane|descend|pedestal|boom)\w*\b[^.;]{0,16}\b(down|downwards?)\b/i,
    from: { y: -1 },
    to: { y: 1 },
  },
  {
    words: /\b(camera rolls?|rolling camera|dutch|barrel roll|rotat\w+|spin\w*|roll(s|ing)? (left|right))\b/i,
    from: { roll: -4 * degrees },
    to: { roll: 4 * degrees },
  },
  {
    words: /\b(orbit\w*|arc shot|arcs? around|circl\w+|revolv\w+)\b/i,
    from: { x: -0.9, roll: -1.2 * degrees, zoom: 1.1 },
    to: { x: 0.9, roll: 1.2 * degrees, zoom: 1.18 },
  },
  {
    words: /\b(drone|aerial|fly ?over|flying over)\b/i,
    from: { y: 0.5, zoom: 1.04 },
    to: { y: -0.5, zoom: 1.16 },
  },
]

const still =
  /\b(static|locked[- ](off|down)|fixed|tripod|no) (camera|shot)\b|\bcamera (is |stays |remains )?(static|still|fixed|locked)\b/i
const handheld = /\b(hand-?held|shaky|documentary)\b/i

/** Reads the camera out of the prompt: the moves it names, or a gentle push with a little drift. */
export function readCamera(prompt: string, random: Random): Camera {
  const drift = random() * 2 - 1
  const lift = random() * 2 - 1
  const found = moves.filter((move) => move.words.test(prompt))
  const isStill = still.test(prompt)
  const shake = handheld.test(prompt) ? 1 : 0
  const from = { zoom: 1.03, x: 0, y: 0, roll: 0 }
  const to = { zoom: 1.03, x: 0, y: 0, roll: 0 }
  if (found.length === 0 && !isStill) {
    Object.assign(from, { zoom: 1.03, x: -0.3 * drift, y: -0.15 * lift })
    Object.assign(to, { zoom: 1.16, x: 0.3 * drift, y: 0.15 * lift })
  }
  for (const move of isStill ? [] : found) {
    add(from, move.from)
    add(to, move.to)
  }
  // A sideways move needs room beyond the frame, which only a closer view has.
  const sideways = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y)) > 0.8
  const least = sideways ? 1.14 : 1.03
  return (progress) => {
    const share = ease(progress)
    const sway = shake * Math.sin(progress * 29) * 0.25 + shake * Math.sin(progress * 47 + 1) * 0.15
    const bob = shake * Math.sin(progress * 37 + 2) * 0.3
    return {
      zoom: Math.max(least + 0.04 * shake, between(from.zoom, to.zoom, share)),
      x: clamp(between(from.x, to.x, share) + sway),
      y: clamp(between(from.y, to.y, share) + bob),
      roll: between(from.roll, to.roll, share) + shake * Math.sin(progress * 23) * 0.004,
    }
  }
}

/** Starts and ends at rest, with a long even middle: half way between a line and a cosine. */
function ease(progress: number): number {
  const cosine = (1 - Math.cos(Math.PI * progress)) / 2
  return 0.25 * progress * progress * (3 - 2 * progress) + 0.75 * cosine
}

function add(state: CameraState, part: Partial<CameraState>): void {
  state.zoom = Math.max(1, state.zoom + (part.zoom === undefined ? 0 : part.zoom - 1.03))
  state.x += part.x ?? 0
  state.y += part.y ?? 0
  state.roll += part.roll ?? 0
}

function between(from: number, to: number, share: number): number {
  return from + (to - from) * share
}

function clamp(value: number): number {
  return Math.max(-1, Math.min(1, value))
}
