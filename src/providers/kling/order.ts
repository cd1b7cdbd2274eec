import { fieldNames } from '../field-names.ts'
import type { JobDescription, Json } from '../provider.ts'
import type { Shot } from '../shots.ts'
import { type Model, models } from './models.ts'

/** A person or thing of its own pictures. */
export interface ElementOrder {
  name: string
  pictures: number
  hasVoice: boolean
}

/** A job in Kling's own terms, of either standard; files are named by the input field that they are in. */
export interface Order {
  model: Model
  prompt: string
  negativePrompt: string
  scale: number
  audio: 'native' | 'original' | 'off'
  resolution: '720p' | '1080p'
  /** Unset where the first frame or the film decides on it. */
  aspectRatio: string | undefined
  /** Unset where the film decides on it. */
  seconds: number | undefined
  shots: Shot[]
  /** The model decides on the cuts. */
  isCutByModel: boolean
  orientation: 'image' | 'video'
  firstFrame: string | undefined
  lastFrame: string | undefined
  film: string | undefined
  /** base: it is changed; feature: it is an example, or (`isExtended`) what comes before. */
  filmRole: 'base' | 'feature'
  isExtended: boolean
  /** How many pictures `images` has. */
  images: number
  elements: ElementOrder[]
}

type Described = Pick<JobDescription, 'route' | 'input'>

/** Reads a job; throws for a route that no model is known of. */
export function toOrder({ route, input }: Described): Order {
  const model = models.get(route.model)
  if (model === undefined) throw new Error(`Kling has no model ${route.model}`)
  const settings = route.settings ?? {}
  const given = (fields: readonly string[]) => fields.find((field) => typeof input[field] === 'string')
  const firstFrame = given(fieldNames.start)
  const lastFrame = given(fieldNames.end)
  const film = given(fieldNames.video)
  const audio = audioOf(model, settings, input, film !== undefined)
  const needs1080 = model.isLimitedAt720p && (lastFrame !== undefined || audio === 'native')
  const isPro = (settings.resolution ?? (input.quality === 'pro' ? '1080p' : '720p')) === '1080p'
  const isBase = settings.video === 'base'
  return {
    model,
    prompt: text(input.prompt),
    negativePrompt: text(input.negative_prompt),
    scale: Number(input.cfg_scale ?? input.guidance_scale ?? 0.5),
    audio,
    resolution: isPro || needs1080 ? '1080p' : '720p',
    aspectRatio: aspectRatioOf(model, input, { isFramed: firstFrame !== undefined, film, isBase }),
    seconds: model.family === 'motion-control' || isBase ? undefined : Number(input.duration ?? 5),
    shots: records(input.multishot).map((shot) => ({
      prompt: text(shot.prompt),
      ...(typeof shot.duration === 'number' && { duration: shot.duration }),
    })),
    isCutByModel: input.shot_type === 'intelligent',
    orientation: (input.character_orientation ?? settings.orientation) === 'image' ? 'image' : 'video',
    firstFrame,
    lastFrame,
    film,
    filmRole: isBase ? 'base' : 'feature',
    isExtended: settings.video === 'extended',
    images: Array.isArray(input.images) ? input.images.length : 0,
    elements: elementsOf(input),
  }
}

export function elementsOf(input: Record<string, Json>): ElementOrder[] {
  return records(input.elements).map((element) => ({
    name: text(element.name).trim(),
    pictures: Array.isArray(element.characterImages) ? element.characterImages.length : 0,
    hasVoice: typeof element.voice === 'string',
  }))
}

export function hasSound(input: Record<string, Json>): boolean {
  return String(input.has_sound) === 'true'
}

function audioOf(
  { family }: Model,
  settings: Record<string, string>,
  input: Record<string, Json>,
  hasFilm: boolean,
): Order['audio'] {
  // of a film that is an example nothing is heard: the vendor takes only `off` with it
  const isKept = family === 'motion-control' || settings.video === 'base'
  if (hasFilm && isKept) return input.keep_original_sound === false ? 'off' : 'original'
  return !hasFilm && (settings.audio === 'native' || hasSound(input)) ? 'native' : 'off'
}

function aspectRatioOf(
  { family }: Model,
  input: Record<string, Json>,
  { isFramed, film, isBase }: { isFramed: boolean; film: string | undefined; isBase: boolean },
): string | undefined {
  if (isFramed || isBase || family === 'motion-control') return undefined
  if (typeof input.aspect_ratio === 'string') return input.aspect_ratio
  return film === undefined ? '16:9' : undefined
}

function records(value: Json | undefined): Record<string, Json>[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((item) =>
    typeof item === 'object' && item !== null && !Array.isArray(item) ? [item] : [],
  )
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
