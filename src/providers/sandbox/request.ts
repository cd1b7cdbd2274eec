import type { ProviderRequest } from '../provider.ts'
import { type FrameSize, filmSize, stillSize } from './frame-size.ts'
import { withoutMagic } from './magic.ts'
import { hashText } from './random.ts'
import { readShots, type ShotRequest, shotPrompts, text } from './shots.ts'
import { readSources, type SourceFile, type SourceRequest } from './sources.ts'

interface AnyRequest extends FrameSize {
  seed: number
  /** The customer's files by their number in the job's folder. */
  sources: SourceRequest[]
  /** The words that say what the customer's picture is to look like; null leaves its colours alone. */
  look: string | null
}

/** Everything a film depends on besides the customer's files: the same request gives the same frames. */
export interface FilmRequest extends AnyRequest {
  type: 'video'
  framesPerSecond: number
  hasSound: boolean
  shots: ShotRequest[]
}

/** The same of a job that makes pictures. */
export interface StillRequest extends AnyRequest {
  type: 'image'
  prompt: string
  /** How many pictures; each is painted with a seed of its own. */
  count: number
}

export type RenderRequest = FilmRequest | StillRequest

type Request = Pick<ProviderRequest, 'model' | 'input' | 'media'>
type Input = ProviderRequest['input']
export type RequestReading = { request: RenderRequest; files: SourceFile['file'][] } | { problem: string }

const usualSeconds = 5
const longestSeconds = 60
/** A film whose length follows from the customer's is cut here. */
const longestOwnSeconds = 15
const usualFramesPerSecond = 24
const mostStills = 10
const shapeProblem = '"aspect_ratio" must be written as width:height, between 1:4 and 4:1.'

/** Reads a request out of the fields the models have; `problem` names a value that can't be rendered. */
export function readRenderRequest(request: Request): RequestReading {
  const isStill = request.model.capability.endsWith('-image')
  const sources = readSources(request, isStill)
  const read = isStill ? readStill(request, sources) : readFilm(request, sources)
  return 'problem' in read ? read : { request: read, files: sources.map(({ file }) => file) }
}

function readStill({ input }: Request, sources: SourceFile[]): StillRequest | { problem: string } {
  const count = Number(input.num_images ?? input.numberOfGenerations ?? 1)
  if (!Number.isInteger(count) || count < 1 || count > mostStills) {
    return { problem: `The number of pictures must be a whole number up to ${mostStills}.` }
  }
  const size = stillSize(input, sources[0]?.file)
  if (size === null) {
    return { problem: shapeProblem }
  }
  const prompt = withoutMagic(text(input.prompt))
  const style = text(input.style)
  return {
    type: 'image',
    ...size,
    seed: readSeed(input.seed) ?? hashText(prompt),
    sources: sources.map(toRequest),
    look: sources.length > 0 ? `${style} ${prompt}` : style === '' ? null : style,
    prompt,
    count,
  }
}

function readFilm(request: Request, sources: SourceFile[]): FilmRequest | { problem: string } {
  const { model, input, media } = request
  const seconds = readSeconds(input) ?? ownSeconds(sources)
  if (!(seconds > 0 && seconds <= longestSeconds)) {
    return { problem: `"duration" must be a number of seconds up to ${longestSeconds}.` }
  }
  const framesPerSecond = Number(input.fps ?? usualFramesPerSecond)
  if (!(framesPerSecond >= 1 && framesPerSecond <= 60)) {
    return { problem: '"fps" must be a number of frames from 1 to 60.' }
  }
  const size = filmSize(input, sources[0]?.file)
  if (size === null) {
    return { problem: shapeProblem }
  }
  const prompt = text(input.prompt)
  const shots = readShots(input.multishot, prompt, Math.max(1, Math.round(seconds * framesPerSecond)))
  if (shots === null) {
    return {
      problem: '"multishot" must be a list of shots with a prompt each, no more than the film has frames.',
    }
  }
  return {
    type: 'video',
    ...size,
    seed: readSeed(input.seed) ?? hashText(shots.map((shot) => shot.prompt).join('\n')),
    sources: sources.map(toRequest),
    look: model.capability.startsWith('video-edit') ? withoutMagic(prompt) : null,
    framesPerSecond,
    hasSound: hasSound(input, media),
    shots,
  }
}

/** All prompts of an input, magic words included. */
export function promptsOf(input: Input): string[] {
  return [text(input.prompt), ...shotPrompts(input.multishot)]
}

function toRequest({ kind, use }: SourceFile): SourceRequest {
  return { kind, use }
}

/** What the input says, where it says a length at all. */
function readSeconds({ duration }: Input): number | null {
  const isOpen = duration === undefined || duration === null || ['auto', '-1'].includes(String(duration))
  return isOpen ? null : Number(duration)
}

/** The length of the customer's own film, within bounds. */
function ownSeconds(sources: SourceFile[]): number {
  const films = sources.flatMap(({ file }) => (file.kind === 'video' ? [file.durationSeconds] : []))
  return films.length === 0 ? usualSeconds : Math.min(longestOwnSeconds, Math.max(1, ...films))
}

/** As asked; where the model does not ask, there is sound if the customer sent some to be used. */
function hasSound(input: Input, media: Request['media']): boolean {
  const asked = input.has_sound ?? input.generate_audio
  if (asked !== undefined) {
    return String(asked) === 'true'
  }
  const files = Object.values(media).flat()
  return (
    files.some((file) => file.kind === 'audio') ||
    (input.keep_original_sound === true && files.some((file) => file.kind === 'video' && file.hasSound))
  )
}

/** "-1 means random" at some vendors: then the prompt decides, so that the film can be made again. */
function readSeed(value: unknown): number | null {
  const seed = value === undefined || value === null || value === '' ? Number.NaN : Number(value)
  return Number.isSafeInteger(seed) && seed >= 0 ? seed : null
}
