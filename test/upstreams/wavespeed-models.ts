import { type Body, type Checked, compileBody, fields, list, type Schema } from './body-schema.ts'

// The inputs of WaveSpeed's Kling models and the few prices that are published of them.

/** What one model takes and what a request costs in US dollars, where that is published. */
export interface WavespeedModel {
  check(body: unknown): Checked
  usd?(body: Body): number
}

const text: Schema = { type: 'string' }
const flag: Schema = { type: 'boolean' }
const share: Schema = { type: 'number', minimum: 0, maximum: 1 }
const aspect_ratio: Schema = { enum: ['16:9', '9:16', '1:1'] }
// of a second value two spellings are told
const shot_type: Schema = { enum: ['customize'] }
const image: Schema = { type: 'string', pattern: '^https?://', media: { kind: 'image' } }
const video: Schema = { type: 'string', pattern: '^https?://', media: { kind: 'video' } }
const between = (minimum: number, maximum: number): Schema => ({ type: 'integer', minimum, maximum })
const fiveOrTen: Schema = { enum: [5, 10] }
const images = (maxItems: number) => list(image, { maxItems })

const multi_prompt = list(fields({ prompt: text, duration: between(1, 15) }, ['prompt']), { minItems: 1 })
const element_list = list(fields({ element_id: { type: ['string', 'integer'] } }, ['element_id']), {
  maxItems: 3,
})
const voice_list = list(fields({ voice_id: text }, ['voice_id']), { maxItems: 2 })
const oneOfPrompts: Schema = { oneOf: [{ required: ['prompt'] }, { required: ['multi_prompt'] }] }

const common = { enable_sync_mode: flag, enable_base64_output: flag, seed: { type: 'integer' } }

function model(
  properties: Record<string, Schema>,
  required: string[],
  rest: Schema = {},
  usd?: (body: Body) => number,
): WavespeedModel {
  return { check: compileBody(fields({ ...properties, ...common }, required, rest)), ...(usd && { usd }) }
}

const bySecond =
  (silent: number, withSound = silent) =>
  ({ duration = 5, sound = false }: Body) =>
    Number(duration) * (sound === true ? withSound : silent)

const negative_prompt = text
const classic = { prompt: text, negative_prompt, duration: fiveOrTen }
const guided = { ...classic, guidance_scale: share }
const ofImage = ['prompt', 'image']
const motion = {
  image,
  video,
  prompt: text,
  negative_prompt,
  character_orientation: { enum: ['image', 'video'] },
  keep_original_sound: flag,
}
const v26 = { ...classic, cfg_scale: share, sound: flag }

const v3 = (tier: 'std' | 'pro' | '4k'): Record<string, WavespeedModel> => {
  const story = {
    ...{ prompt: text, negative_prompt, multi_prompt, shot_type, element_list },
    ...{ duration: between(3, 15), cfg_scale: share, sound: flag },
  }
  const required = tier === '4k' ? ['prompt'] : []
  const price = tier === 'std' ? bySecond(0.084, 0.126) : undefined
  return {
    'text-to-video': model({ ...story, aspect_ratio }, required, tier === '4k' ? {} : oneOfPrompts),
    'image-to-video': model({ ...story, image, end_image: image }, ['image'], {}, price),
    ...(tier !== '4k' && { 'motion-control': model({ ...motion, element_list }, ['image', 'video']) }),
  }
}

// The tiers of o1 differ in how many pictures they take, and the higher one in the shape.
const o1 = (isPro: boolean): Record<string, WavespeedModel> => {
  const edit = { prompt: text, video, images: images(isPro ? 4 : 10), keep_original_sound: flag }
  const source = { ...edit, images: images(isPro ? 7 : 10), duration: between(3, 10) }
  const ofVideo = ['prompt', 'video']
  return {
    'text-to-video': model({ prompt: text, aspect_ratio, duration: fiveOrTen }, ['prompt']),
    'image-to-video': model({ prompt: text, image, last_image: image, duration: between(3, 10) }, ofImage),
    'reference-to-video': model({ ...source, ...(isPro && { aspect_ratio }) }, ['prompt']),
    'video-edit': model(edit, ofVideo),
    ...(isPro && { 'video-edit-fast': model({ ...edit, aspect_ratio }, ofVideo) }),
  }
}

const o3 = (tier: 'std' | 'pro' | '4k'): Record<string, WavespeedModel> => {
  const shots = { prompt: text, duration: between(3, 15), sound: flag, shot_type, multi_prompt }
  const reference = {
    prompt: text,
    duration: between(3, 15),
    sound: flag,
    aspect_ratio,
    video,
    images: images(7),
  }
  const withVideo = { properties: { images: { maxItems: 4 }, sound: { const: false } } }
  const edit = { prompt: text, video, images: images(4), keep_original_sound: flag }
  const imagePrice = tier === 'std' ? bySecond(0.084) : undefined
  return {
    'text-to-video': model({ ...shots, aspect_ratio }, ['prompt']),
    'image-to-video': model({ ...shots, image, end_image: image, element_list }, ['image'], {}, imagePrice),
    'reference-to-video': model({ ...reference, keep_original_sound: flag }, ['prompt'], {
      dependentSchemas: { video: withVideo },
    }),
    'video-edit': model(edit, ['prompt', 'video']),
  }
}

const families: Record<string, Record<string, WavespeedModel>> = {
  'kling-v2.1-t2v-master': { '': model({ ...guided, aspect_ratio }, ['prompt']) },
  'kling-v2.1-i2v-standard': { '': model({ ...guided, image }, ofImage) },
  'kling-v2.1-i2v-master': { '': model({ ...guided, image }, ofImage) },
  'kling-v2.1-i2v-pro': {
    '': model({ ...guided, image }, ofImage),
    'start-end-frame': model({ ...guided, image, end_image: image }, [...ofImage, 'end_image']),
  },
  'kling-v2.5-turbo-std': { 'image-to-video': model({ ...guided, image }, ofImage) },
  'kling-v2.5-turbo-pro': {
    'text-to-video': model({ ...guided, aspect_ratio }, ['prompt']),
    'image-to-video': model({ ...guided, image, last_image: image }, ofImage),
  },
  'kling-v2.6-std': {
    'text-to-video': model({ ...classic, aspect_ratio }, ['prompt']),
    'image-to-video': model({ ...classic, image }, ofImage),
    'motion-control': model(motion, ['image', 'video']),
  },
  'kling-v2.6-pro': {
    'text-to-video': model({ ...v26, aspect_ratio }, ['prompt']),
    'image-to-video': model({ ...v26, image, end_image: image, voice_list }, ofImage),
    'motion-control': model(motion, ['image', 'video']),
  },
  'kling-v3.0-std': v3('std'),
  'kling-v3.0-pro': v3('pro'),
  'kling-v3.0-4k': v3('4k'),
  'kling-video-o1': o1(true),
  'kling-video-o1-std': o1(false),
  'kling-video-o3-std': o3('std'),
  'kling-video-o3-pro': o3('pro'),
  'kling-video-o3-4k': o3('4k'),
}

/** All models by their id. */
export const wavespeedModels = new Map<string, WavespeedModel>(
  Object.entries(families).flatMap(([family, models]) =>
    Object.entries(models).map(
      ([name, found]) => [['kwaivgi', family, name].filter(Boolean).join('/'), found] as const,
    ),
  ),
)
