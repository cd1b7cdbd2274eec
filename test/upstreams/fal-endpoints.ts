import { type Body, type Checked, compileBody, fields, list, type Schema } from './body-schema.ts'
import type { MediaLimits } from './media.ts'

// The inputs of fal's Kling endpoints, as the types of @fal-ai/client 1.10.1 have them, and its list prices. The limits
// of pictures are published for o1 and those of texts for o3; here they hold for all.

/** What one endpoint takes and what a second of its film costs in micro-dollars, where that is published. */
export interface FalEndpoint {
  check(body: unknown): Checked
  /** The length that was ordered; undefined where it is that of the film that was given. */
  secondsOf(body: Body): number | undefined
  microUsdPerSecond?(body: Body): number
}

const prompt: Schema = { type: 'string', maxLength: 2500 }
const negative_prompt: Schema = { type: 'string', maxLength: 2500 }
const cfg_scale: Schema = { type: 'number', minimum: 0, maximum: 1 }
const flag: Schema = { type: 'boolean' }
const aspect_ratio: Schema = { enum: ['16:9', '9:16', '1:1'] }
const anyAspectRatio: Schema = { enum: ['auto', '16:9', '9:16', '1:1'] }
const shot_type: Schema = { enum: ['customize'] }
const freeShotType: Schema = { enum: ['customize', 'intelligent'] }
const picture: Schema = {
  type: 'string',
  media: { kind: 'image', maxBytes: 10_000_000, minPixels: 300, ratio: [0.4, 2.5] },
}
const film = (limits: MediaLimits): Schema => ({ type: 'string', media: { kind: 'video', ...limits } })
const between = (from: number, to: number): Schema => ({
  enum: Array.from({ length: to - from + 1 }, (_, index) => String(from + index)),
})
const fiveOrTen: Schema = { enum: ['5', '10'] }

const multi_prompt = list(fields({ prompt, duration: between(1, 15) }, ['prompt']), { minItems: 1 })
const oneOfPrompts: Schema = { oneOf: [{ required: ['prompt'] }, { required: ['multi_prompt'] }] }

const references = (minItems: number) => list(picture, { minItems, maxItems: 3 })
const omniElement = fields({ frontal_image_url: picture, reference_image_urls: references(1) }, [
  'frontal_image_url',
  'reference_image_urls',
])
const imageElement = fields({ frontal_image_url: picture, reference_image_urls: references(0) })
const comboElement = fields(
  {
    frontal_image_url: picture,
    reference_image_urls: references(1),
    video_url: film({ maxBytes: 200_000_000 }),
    voice_id: { type: 'string' },
  },
  [],
  { dependentRequired: { voice_id: ['video_url'] } },
)
// one of them may be a film
const comboElements: Schema = {
  ...list(comboElement),
  contains: { required: ['video_url'] },
  minContains: 0,
  maxContains: 1,
}

// Prices by second: silent, with sound, with a voice of one's own.
type Price = [silent: number, sound?: number, voice?: number]

interface Terms {
  duration?: '5' | 'as given'
  /** Whether sound is made unless it is said. */
  sound?: boolean
  price?: Price
}

function endpoint(schema: Schema, { duration = '5', sound = false, price }: Terms = {}): FalEndpoint {
  return {
    check: compileBody(schema),
    secondsOf(body) {
      if (duration === 'as given') return undefined
      return Array.isArray(body.multi_prompt)
        ? shotSeconds(body.multi_prompt)
        : Number(body.duration ?? duration)
    },
    ...(price && { microUsdPerSecond: (body: Body) => priceOf(price, body, sound) }),
  }
}

function shotSeconds(shots: { duration?: string }[]): number {
  return shots.reduce((sum, { duration = '5' }) => sum + Number(duration), 0)
}

function priceOf(
  [silent, withSound = silent, withVoice = withSound]: Price,
  body: Body,
  sound: boolean,
): number {
  const { voice_ids: voices = [], elements = [] } = body as {
    voice_ids?: string[]
    elements?: { voice_id?: string }[]
  }
  if (voices.length > 0 || elements.some(({ voice_id }) => voice_id !== undefined)) return withVoice
  return (body.generate_audio ?? sound) ? withSound : silent
}

/** At most so many pictures and elements in all. */
function together(most: number): Schema {
  const sets = Array.from({ length: most + 1 }, (_, images) => ({
    properties: { image_urls: { maxItems: images }, elements: { maxItems: most - images } },
  }))
  return { anyOf: sets }
}

const classicText = (price: Price) =>
  endpoint(fields({ prompt, aspect_ratio, duration: fiveOrTen, negative_prompt, cfg_scale }, ['prompt']), {
    price,
  })
const classicImage = { prompt, image_url: picture, duration: fiveOrTen, negative_prompt, cfg_scale }
const classicImages = endpoint(fields(classicImage, ['prompt', 'image_url']))
const withTail = (price: Price) =>
  endpoint(fields({ ...classicImage, tail_image_url: picture }, ['prompt', 'image_url']), { price })

const motion = {
  image_url: picture,
  video_url: film({ seconds: [0, 30] }),
  character_orientation: { enum: ['image', 'video'] },
  prompt,
  keep_original_sound: flag,
}
const motionRequired = ['image_url', 'video_url', 'character_orientation']
const orientedByFilm = { properties: { character_orientation: { const: 'video' } } }
const shortFilm = film({ seconds: [0, 10] })
const motionRules = { if: orientedByFilm, else: { properties: { video_url: shortFilm } } }
const motionTerms = (price: number): Terms => ({ duration: 'as given', price: [price] })
const motionControl = (price: number) =>
  endpoint(fields(motion, motionRequired, motionRules), motionTerms(price))
const motionWithElement = (price: number) =>
  endpoint(
    fields({ ...motion, elements: list(imageElement, { maxItems: 1 }) }, motionRequired, {
      if: orientedByFilm,
      // an element goes with the orientation of the film only
      else: { properties: { video_url: shortFilm, elements: { maxItems: 0 } } },
    }),
    motionTerms(price),
  )

const story = {
  prompt,
  multi_prompt,
  duration: between(3, 15),
  generate_audio: flag,
  negative_prompt,
  cfg_scale,
}
const v3 = (price: Price, motionPrice: number): Record<string, FalEndpoint> => ({
  'text-to-video': endpoint(fields({ ...story, aspect_ratio, shot_type: freeShotType }, [], oneOfPrompts), {
    sound: true,
    price,
  }),
  'image-to-video': endpoint(
    fields(
      {
        ...story,
        start_image_url: picture,
        end_image_url: picture,
        shot_type,
        elements: comboElements,
      },
      ['start_image_url'],
      { ...oneOfPrompts, dependentRequired: { multi_prompt: ['shot_type'] } },
    ),
    { sound: true, price },
  ),
  'motion-control': motionWithElement(motionPrice),
})

const o1 = (editPrice: number, imagePrice?: Price): Record<string, FalEndpoint> => {
  const omni = { prompt, image_urls: list(picture), elements: list(omniElement) }
  const source = {
    ...omni,
    video_url: film({ maxBytes: 200_000_000, seconds: [3, 10.05] }),
    keep_audio: flag,
  }
  return {
    'image-to-video': endpoint(
      fields({ prompt, start_image_url: picture, end_image_url: picture, duration: between(3, 10) }, [
        'prompt',
        'start_image_url',
      ]),
      imagePrice && { price: imagePrice },
    ),
    'reference-to-video': endpoint(
      fields({ ...omni, aspect_ratio, duration: between(3, 10) }, ['prompt'], together(7)),
    ),
    'video-to-video/edit': endpoint(fields(source, ['prompt', 'video_url'], together(4)), {
      duration: 'as given',
      price: [editPrice],
    }),
    'video-to-video/reference': endpoint(
      fields(
        { ...source, aspect_ratio: anyAspectRatio, duration: between(3, 10) },
        ['prompt', 'video_url'],
        together(4),
      ),
    ),
  }
}

const o3 = (price: Price, editPrice: number): Record<string, FalEndpoint> => {
  const shots = { prompt, multi_prompt, duration: between(3, 15), generate_audio: flag, shot_type }
  const source = {
    prompt,
    video_url: film({ maxBytes: 200_000_000, seconds: [3, 10.05] }),
    image_urls: list(picture),
    elements: list(imageElement),
    keep_audio: flag,
    shot_type,
  }
  return {
    'text-to-video': endpoint(fields({ ...shots, aspect_ratio }, [], oneOfPrompts), { price }),
    'image-to-video': endpoint(
      fields({ ...shots, image_url: picture, end_image_url: picture }, ['image_url'], oneOfPrompts),
      { price },
    ),
    'reference-to-video': endpoint(
      fields(
        {
          ...shots,
          aspect_ratio,
          start_image_url: picture,
          end_image_url: picture,
          image_urls: list(picture),
          elements: comboElements,
        },
        [],
        oneOfPrompts,
      ),
      { price },
    ),
    'video-to-video/edit': endpoint(fields(source, ['prompt', 'video_url'], together(4)), {
      duration: 'as given',
      price: [editPrice],
    }),
    'video-to-video/reference': endpoint(
      fields(
        { ...source, aspect_ratio: anyAspectRatio, duration: between(3, 15) },
        ['prompt', 'video_url'],
        together(4),
      ),
      { price: [editPrice] },
    ),
  }
}

const v26 = { prompt, duration: fiveOrTen, generate_audio: flag, negative_prompt }

const families: Record<string, Record<string, FalEndpoint>> = {
  'v2.1/standard': { 'image-to-video': classicImages },
  'v2.1/pro': { 'image-to-video': withTail([98_000]) },
  'v2.1/master': { 'text-to-video': classicText([280_000]), 'image-to-video': classicImages },
  'v2.5-turbo/standard': { 'image-to-video': classicImages },
  'v2.5-turbo/pro': { 'text-to-video': classicText([70_000]), 'image-to-video': withTail([70_000]) },
  'v2.6/standard': { 'motion-control': motionControl(70_000) },
  'v2.6/pro': {
    'text-to-video': endpoint(fields({ ...v26, aspect_ratio, cfg_scale }, ['prompt']), {
      sound: true,
    }),
    'image-to-video': endpoint(
      fields(
        {
          ...v26,
          start_image_url: picture,
          end_image_url: picture,
          voice_ids: list({ type: 'string' }, { maxItems: 2 }),
        },
        ['prompt', 'start_image_url'],
      ),
      { sound: true, price: [70_000, 140_000, 168_000] },
    ),
    'motion-control': motionControl(112_000),
  },
  'v3/standard': v3([84_000, 126_000, 154_000], 126_000),
  'v3/pro': v3([112_000, 168_000, 196_000], 168_000),
  o1: o1(168_000, [112_000]),
  'o1/standard': o1(126_000),
  'o3/standard': o3([84_000, 112_000], 126_000),
  'o3/pro': o3([112_000, 140_000], 168_000),
}

/** All endpoints by their id. */
export const falEndpoints = new Map<string, FalEndpoint>(
  Object.entries(families).flatMap(([family, endpoints]) =>
    Object.entries(endpoints).map(
      ([name, found]) => [`fal-ai/kling-video/${family}/${name}`, found] as const,
    ),
  ),
)
