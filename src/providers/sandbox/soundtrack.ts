import { type SoundSource, samplesPerSecond } from './film.ts'
import { type Mood, readMood } from './mood.ts'
import { between, type Random, seededRandom } from './random.ts'
import type { FilmRequest } from './request.ts'

const fadeInSeconds = 0.5
const fadeOutSeconds = 0.9
const chordSeconds = 5
/** Semitones above the root. By night the minor ones, by day the open ones. */
const quietChords = [
  [0, 7, 12, 15, 19],
  [-4, 3, 8, 12, 15],
  [-7, 0, 5, 8, 12],
] as const
const brightChords = [
  [0, 7, 12, 16, 19],
  [-3, 4, 9, 12, 16],
  [5, 9, 12, 17, 21],
] as const

interface Voice {
  /** Radians per sample. */
  step: number
  phase: number
  /** How fast and from where its loudness sways. */
  sway: number
  swayPhase: number
  left: number
  right: number
  chord: number
}

/**
 * A quiet bed for a film: slow chords, and under them the air of the place. Samples are asked for in order;
 * beyond the film's end there is silence, so the overhang of the last AAC frame is not heard.
 */
export function makeSoundtrack(request: FilmRequest, seconds: number): SoundSource {
  const prompt = request.shots.map((shot) => shot.prompt).join(' ')
  const mood = readMood(prompt, seededRandom(request.seed, 'mood'))
  const random = seededRandom(request.seed, 'sound')
  const total = Math.round(seconds * samplesPerSecond)
  const chords = mood.time === 'night' || mood.time === 'dusk' ? quietChords : brightChords
  const voices = makeVoices(chords, between(random, 98, 131), random)
  const air = makeAir(mood, random)
  return {
    write(start, left, right) {
      for (let index = 0; index < left.length; index++) {
        const [airLeft, airRight] = air((start + index) / samplesPerSecond)
        left[index] = airLeft
        right[index] = airRight
      }
      for (const voice of voices) {
        addVoice(voice, chords.length, start, left, right)
      }
      for (let index = 0; index < left.length; index++) {
        const gain = envelope(start + index, total)
        left[index] = left[index]! * gain
        right[index] = right[index]! * gain
      }
    },
  }
}

/**
 * Adds one tone. Its loudness changes so slowly that the ends of a block are enough, with a line between; the
 * tone itself is turned on from sample to sample, at a tenth of the price of a sine each.
 */
function addVoice(
  voice: Voice,
  chords: number,
  start: number,
  left: Float32Array,
  right: Float32Array,
): void {
  const first = voiceLevel(voice, chords, start / samplesPerSecond)
  const last = voiceLevel(voice, chords, (start + left.length) / samplesPerSecond)
  if (first === 0 && last === 0) {
    return
  }
  let sine = Math.sin(start * voice.step + voice.phase)
  let cosine = Math.cos(start * voice.step + voice.phase)
  const stepSine = Math.sin(voice.step)
  const stepCosine = Math.cos(voice.step)
  const climb = (last - first) / left.length
  let level = first
  for (let index = 0; index < left.length; index++) {
    left[index] = left[index]! + sine * level * voice.left
    right[index] = right[index]! + sine * level * voice.right
    const turned = sine * stepCosine + cosine * stepSine
    cosine = cosine * stepCosine - sine * stepSine
    sine = turned
    level += climb
  }
}

function voiceLevel(voice: Voice, chords: number, time: number): number {
  return chordLevel(time, voice.chord, chords) * (0.65 + 0.35 * Math.sin(time * voice.sway + voice.swayPhase))
}

function makeVoices(chords: readonly (readonly number[])[], root: number, random: Random): Voice[] {
  return chords.flatMap((notes, chord) =>
    notes.flatMap((note, height) =>
      // Two tones a hair apart beat against each other: it makes a plain sine sound like an instrument.
      [-0.12, 0.12].map((cents) => {
        const loudness = 0.021 / (1 + height * 0.35)
        const side = between(random, -0.6, 0.6)
        return {
          step: (2 * Math.PI * root * 2 ** ((note + cents * 0.5) / 12)) / samplesPerSecond,
          phase: random() * 2 * Math.PI,
          sway: between(random, 0.4, 1.3),
          swayPhase: random() * 7,
          left: loudness * (1 - side),
          right: loudness * (1 + side),
          chord,
        }
      }),
    ),
  )
}

/** One chord melts into the next over two seconds. */
function chordLevel(time: number, chord: number, count: number): number {
  const position = time / chordSeconds
  const current = Math.floor(position) % count
  const melt = Math.max(0, ((position % 1) - 0.6) / 0.4)
  if (chord === current) {
    return Math.cos((melt * Math.PI) / 2)
  }
  return chord === (current + 1) % count ? Math.sin((melt * Math.PI) / 2) : 0
}

/** Noise with the highs taken off: a hiss for rain, long swells for the sea, a breath of wind elsewhere. */
function makeAir(mood: Mood, random: Random): (time: number) => readonly [number, number] {
  const kind = mood.weather === 'rain' ? 'rain' : mood.place === 'sea' ? 'sea' : 'wind'
  const { smooth, level, swell } = {
    rain: { smooth: 0.45, level: 0.03, swell: 0.12 },
    sea: { smooth: 0.06, level: 0.13, swell: 0.8 },
    wind: { smooth: 0.02, level: 0.09, swell: 0.6 },
  }[kind]
  let left = 0
  let right = 0
  const start = random() * 7
  return (time) => {
    left += (random() * 2 - 1 - left) * smooth
    right += (random() * 2 - 1 - right) * smooth
    const loudness = level * (1 - swell * (0.5 + 0.5 * Math.sin(time * 0.9 + start)))
    return [left * loudness, right * loudness]
  }
}

function envelope(sample: number, total: number): number {
  const fadeIn = Math.min(fadeInSeconds * samplesPerSecond, total / 4)
  const fadeOut = Math.min(fadeOutSeconds * samplesPerSecond, total / 3)
  const share = Math.max(0, Math.min(1, sample / fadeIn, (total - sample) / fadeOut))
  return share * share * (3 - 2 * share)
}
