import type { InputMedia, ProviderRequest } from '../provider.ts'
import { framesPerSecond } from './film.ts'
import { withoutMagic } from './magic.ts'
import { hashText } from './random.ts'

/** A part of the film with a prompt of its own; a plain request is one shot. */
export interface ShotRequest {
  prompt: string
  frames: number
}

/** Everything the film depends on besides the picture: the same request gives the same frames. */
export interface RenderRequest {
  width: number
  height: number
  seed: number
  hasSound: boolean
  hasPicture: boolean
  shots: ShotRequest[]
}

type Input = ProviderRequest['input']
export type RequestReading = { request: RenderRequest; picture: InputMedia | null } | { problem: string }

/** The fields in which models take the picture a film starts from, the likeliest first. */
const pictureFields = ['image_url', 'start_frame_url', 'first_frame_url', 'image_urls', 'image', 'images']
const longestSeconds = 60

/** Reads a request out of the fields the models have; `problem` names a value that can't be rendered. */
export function readRenderRequest({
  input,
  media,
}: Pick<ProviderRequest, 'input' | 'media'>): RequestReading {
  const seconds = Number(input.duration ?? 5)
  if (!(seconds > 0 && seconds <= longestSeconds)) {
    return { problem: `"duration" must be a number of seconds up to ${longestSeconds}.` }
  }
  const size = frameSize(input)
  if (size === null) {
    return { problem: '"aspect_ratio" must be written as width:height, between 1:4 and 4:1.' }
  }
  const prompt = text(input.prompt)
  const frames = Math.max(1, Math.round(seconds * framesPerSecond))
  const shots = readShots(input.multishot, prompt, frames)
  if (shots === null) {
    return {
      problem: '"multishot" must be a list of shots with a prompt each, no more than the film has frames.',
    }
  }
  const picture = findPicture(media)
  return {
    request: {
      ...size,
      seed: readSeed(input.seed) ?? hashText(shots.map((shot) => shot.prompt).join('\n')),
      hasSound: String(input.has_sound ?? input.generate_audio ?? 'false') === 'true',
      hasPicture: picture !== null,
      shots,
    },
    picture,
  }
}

/** All prompts of an input, magic words included. */
export function promptsOf(input: Input): string[] {
  const shots = Array.isArray(input.multishot) ? input.multishot : []
  return [text(input.prompt), ...shots.map((shot) => text(shotField(shot, 'prompt')))]
}

/** The film's length in seconds, for limits; 5 where the input does not say. */
export function secondsOf(input: Input): number {
  const seconds = Number(input.duration ?? 5)
  return seconds > 0 && seconds <= longestSeconds ? seconds : 5
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function shotField(shot: unknown, field: string): unknown {
  return typeof shot === 'object' && shot !== null ? (shot as Record<string, unknown>)[field] : undefined
}

/** "-1 means random" at some vendors: then the prompt decides, so that the film can be made again. */
function readSeed(value: unknown): number | null {
  const seed = value === undefined || value === null || value === '' ? Number.NaN : Number(value)
  return Number.isSafeInteger(seed) && seed >= 0 ? seed : null
}

function frameSize(input: Input): { width: number; height: number } | null {
  const [across, down] = String(input.aspect_ratio ?? '16:9')
    .split(':')
    .map(Number)
  const ratio = across! / down!
  if (!(ratio >= 0.25 && ratio <= 4)) {
    return null
  }
  const shortSide = shortSideOf(String(input.resolution ?? input.quality ?? 'std').toLowerCase())
  const longSide = (by: number): number => Math.round((shortSide * by) / 2) * 2
  return ratio >= 1
    ? { width: longSide(ratio), height: shortSide }
    : { width: shortSide, height: longSide(1 / ratio) }
}

/** 1080 is the most the sandbox draws: above it a test would wait long for nothing new. */
function shortSideOf(resolution: string): number {
  if (resolution === '480p' || resolution === '512p') {
    return 480
  }
  return ['pro', '1080p', '1440p', '2k', '3k', '4k'].includes(resolution) ? 1080 : 720
}

function findPicture(media: ProviderRequest['media']): InputMedia | null {
  const fields = [...pictureFields, ...Object.keys(media)]
  const candidates = fields.flatMap((field) => media[field] ?? [])
  return candidates.find((file) => file.kind === 'image') ?? null
}

/**
 * Shares the film's frames among the shots in proportion to their durations; a shot without one counts as the
 * mean of the others. The frames always sum up exactly: the length that was paid for is never changed.
 */
function readShots(value: unknown, prompt: string, frames: number): ShotRequest[] | null {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) {
    return [{ prompt: withoutMagic(prompt), frames }]
  }
  if (!Array.isArray(value) || value.length > frames) {
    return null
  }
  const given = value.map((shot) => Number(shotField(shot, 'duration'))).map((s) => (s > 0 ? s : null))
  const known = given.filter((seconds) => seconds !== null)
  const mean = known.length === 0 ? 1 : known.reduce((sum, seconds) => sum + seconds, 0) / known.length
  const weights = given.map((seconds) => seconds ?? mean)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const shots: ShotRequest[] = []
  let passed = 0
  let start = 0
  for (const [index, weight] of weights.entries()) {
    passed += weight
    const left = weights.length - index - 1
    const end = Math.min(frames - left, Math.max(start + 1, Math.round((passed / total) * frames)))
    const own = withoutMagic(text(shotField(value[index], 'prompt')))
    shots.push({ prompt: own === '' ? withoutMagic(prompt) : own, frames: end - start })
    start = end
  }
  return shots
}
