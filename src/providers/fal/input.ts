import { fieldNames } from '../field-names.ts'
import type { Json, ProviderRequest, Route, Unfit } from '../provider.ts'
import { type Shot, shotSeconds } from '../shots.ts'
import { type Endpoint, endpointOf } from './endpoints.ts'

/** The URLs under which fal can have the files of a job. */
export interface SentMedia {
  start?: string | undefined
  end?: string | undefined
  video?: string | undefined
  images: string[]
  /** Of each element; the first shows it from the front. */
  elements: string[][]
}

const leaveOut = "is not possible with this model's upstream: leave it out."
const mostPromptCharacters = 2_500
const mostShotCharacters = 512
const mostShots = 6

interface Element {
  characterImages: string[]
  name?: string
  voice?: string
}
type Input = Record<string, Json>
// by the model's schema, which the input has passed
const elementsOf = (input: Input) => (input.elements ?? []) as unknown as Element[]
const imagesOf = (input: Input) => (input.images ?? []) as string[]
const shotsOf = (input: Input) => (input.multishot ?? []) as unknown as Shot[]
const textOf = (value: Json | undefined) => (typeof value === 'string' ? value.trim() : '')

/** What of the input the endpoint for it can't do. */
export function unfitOf({ route, input }: { route: Route; input: Input }): Unfit | undefined {
  const { endpoint, path } = endpointOf(route, input)
  if (path === undefined) {
    return { path: 'quality', message: 'is not possible with this model\'s upstream: give "pro".' }
  }
  return notTaken(endpoint, input) ?? unfitPrompt(route, endpoint, input) ?? unfitShots(endpoint, input)
}

function notTaken(endpoint: Endpoint, input: Input): Unfit | undefined {
  const isAsked: [string, boolean][] = [
    ['seed', input.seed !== undefined],
    ['work_id', textOf(input.work_id) !== ''],
    ['negative_prompt', !endpoint.hasNegativePrompt && textOf(input.negative_prompt) !== ''],
    ['cfg_scale', !endpoint.hasScale && (input.cfg_scale ?? 0.5) !== 0.5],
    ['guidance_scale', !endpoint.hasScale && (input.guidance_scale ?? 0.5) !== 0.5],
    ['has_sound', !endpoint.hasSound && input.has_sound === 'true'],
    ['multishot', endpoint.shots === undefined && shotsOf(input).length > 0],
    ['images', endpoint.references === undefined && imagesOf(input).length > 0],
    ['elements', !endpoint.hasElements && elementsOf(input).length > 0],
    ...fieldNames.end.map((name): [string, boolean] => [name, !endpoint.end && input[name] !== undefined]),
  ]
  const asked = isAsked.find(([, is]) => is)
  if (asked !== undefined) return { path: asked[0], message: leaveOut }
  if (input.shot_type === 'intelligent' && endpoint.shots !== 'intelligent') {
    return {
      path: 'shot_type',
      message: `can't be "intelligent" with this model's upstream: give "customize".`,
    }
  }
  const voice = elementsOf(input).findIndex((element) => element.voice !== undefined)
  if (voice >= 0) return { path: `elements[${voice}].voice`, message: leaveOut }
  return tooMany(endpoint, input)
}

/** Kling's own limits: with a first picture three elements, else so many pictures and elements together. */
function tooMany(endpoint: Endpoint, input: Input): Unfit | undefined {
  const elements = elementsOf(input).length
  const images = imagesOf(input).length
  const hasStart = fieldNames.start.some((name) => input[name] !== undefined)
  const most = hasStart ? 3 : (endpoint.references ?? 0)
  if (elements + images <= most) return undefined
  const what = elements > 0 && images > 0 ? 'pictures and elements' : elements > 0 ? 'elements' : 'pictures'
  return {
    path: images > 0 ? 'images' : 'elements',
    message: `has too many for this model's upstream: give at most ${most} ${what} in all.`,
  }
}

function unfitPrompt(route: Route, endpoint: Endpoint, input: Input): Unfit | undefined {
  if (isExtending(route) && extending(textOf(input.prompt)).length > mostPromptCharacters) {
    return { path: 'prompt', message: "is too long for this model's upstream: leave out a few words." }
  }
  const isNeeded = !endpoint.isPromptOptional && !isExtending(route)
  if (!isNeeded || textOf(input.prompt) !== '' || shotsOf(input).length > 0) return undefined
  return { path: 'prompt', message: "is needed by this model's upstream: say what the video shows." }
}

function unfitShots(endpoint: Endpoint, input: Input): Unfit | undefined {
  const shots = shotsOf(input)
  if (shots.length === 0 || endpoint.shots === undefined) return undefined
  if (shots.length > mostShots) {
    return {
      path: 'multishot',
      message: `has too many for this model's upstream: give at most ${mostShots} shots.`,
    }
  }
  if (shotSeconds(shotsOf(input), Number(input.duration)) === undefined) {
    return { path: 'multishot', message: 'leaves a shot less than a second: give fewer or shorter shots.' }
  }
  const long = multiPrompt(input).findIndex(({ prompt }) => prompt.length > mostShotCharacters)
  if (long < 0) return undefined
  return {
    path: `multishot[${long}].prompt`,
    message: `is too long for this model's upstream: with the words of "prompt" at most ${mostShotCharacters} characters.`,
  }
}

// The endpoints take either a prompt or shots: what the prompt says is said of every shot.
function multiPrompt(input: Input): { prompt: string; duration: string }[] {
  const seconds = shotSeconds(shotsOf(input), Number(input.duration)) ?? []
  return shotsOf(input).map((shot, index) => {
    const words = [textOf(input.prompt), shot.prompt.trim()].filter((text) => text !== '').join(' ')
    return {
      prompt: mentioning(words, input, index === 0 ? mostShotCharacters : 0),
      duration: String(seconds[index]),
    }
  })
}

/**
 * fal knows references as @Image1, @Element1, which customers need not know: @ and an element's own name is put that way, and
 * where a prompt names no reference, all of them are named at its end if there is room.
 */
function mentioning(words: string, input: Input, room = 0): string {
  const elements = elementsOf(input)
  const names = elements.map(({ name }) => textOf(name))
  const said = names
    .filter((name) => name !== '')
    // the longest first: one may begin like another
    .toSorted((a, b) => b.length - a.length)
    .reduce((text, name) => text.replaceAll(`@${name}`, () => `@Element${names.indexOf(name) + 1}`), words)
  const all = [
    ...imagesOf(input).map((_, index) => `@Image${index + 1}`),
    ...elements.map((_, index) => `@Element${index + 1}`),
  ]
  const more = `${said} With ${all.join(', ')}.`
  return all.length === 0 || /@(Image|Element)\d/.test(said) || more.length > room ? said : more
}

/** A video is gone on with by asking for the shot after it. */
const extending = (prompt: string) => `The next shot of @Video1${prompt === '' ? '.' : `: ${prompt}`}`
const isExtending = ({ model }: Route) => model.endsWith('/extend-video')

/** What is asked of fal. Sound is always said, since it is on, and charged for, where nothing is. */
export function bodyOf({ route, input }: Pick<ProviderRequest, 'route' | 'input'>, sent: SentMedia): Input {
  const { endpoint } = endpointOf(route, input)
  const scale = input.cfg_scale ?? input.guidance_scale
  const body: Record<string, Json | undefined> = {
    ...words(route, endpoint, input),
    negative_prompt: endpoint.hasNegativePrompt ? textOf(input.negative_prompt) || undefined : undefined,
    cfg_scale: endpoint.hasScale ? scale : undefined,
    duration: endpoint.hasDuration ? input.duration : undefined,
    aspect_ratio: endpoint.hasAspectRatio ? input.aspect_ratio : undefined,
    generate_audio: endpoint.hasSound
      ? input.has_sound === 'true' || route.settings?.sound === 'on'
      : undefined,
    ...(endpoint.start !== undefined && { [endpoint.start]: sent.start }),
    ...(endpoint.end !== undefined && { [endpoint.end]: sent.end }),
    video_url: sent.video,
    image_urls: sent.images.length > 0 ? sent.images : undefined,
    elements: sent.elements.length > 0 ? sent.elements.map(elementOf) : undefined,
    ...(endpoint.keepSound !== undefined && { [endpoint.keepSound]: keepsSound(route, input) }),
    character_orientation: endpoint.hasOrientation ? orientationOf(route, input) : undefined,
  }
  return Object.fromEntries(
    Object.entries(body).filter((entry): entry is [string, Json] => entry[1] !== undefined),
  )
}

function words(route: Route, endpoint: Endpoint, input: Input): Input {
  if (endpoint.shots !== undefined && shotsOf(input).length > 0) {
    return { multi_prompt: multiPrompt(input), shot_type: 'customize' }
  }
  const prompt = mentioning(textOf(input.prompt), input, mostPromptCharacters)
  const isIntelligent = input.shot_type === 'intelligent' && { shot_type: 'intelligent' }
  if (isExtending(route)) return { prompt: extending(prompt) }
  return prompt === '' ? {} : { prompt, ...isIntelligent }
}

/** One further picture is the least: where there is none, the first is given again. */
function elementOf([front, ...others]: string[]): Json {
  return { frontal_image_url: front!, reference_image_urls: others.length > 0 ? others : [front!] }
}

// The sound of a video that is gone on with would be that of the part before.
function keepsSound(route: Route, input: Input): boolean {
  return !isExtending(route) && input.keep_original_sound !== false
}

/** Where the model is to decide: as in the film, which may then be longer. */
export function orientationOf(route: Route, input: Input): 'image' | 'video' {
  return (route.settings?.orientation ?? input.character_orientation) === 'image' ? 'image' : 'video'
}
