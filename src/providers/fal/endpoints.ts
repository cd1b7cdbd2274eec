import type { Json, Route } from '../provider.ts'

export type Tier = 'standard' | 'pro'

/** What one of fal's endpoints takes, by what it is called there. What is not named it does not take. */
export interface Endpoint {
  path: Partial<Record<Tier, string>>
  /** The first picture; for motion control the character. */
  start?: 'image_url' | 'start_image_url'
  end?: 'tail_image_url' | 'end_image_url'
  video?: VideoLimits
  keepSound?: 'keep_audio' | 'keep_original_sound'
  /** Most pictures and elements together. */
  references?: number
  hasElements?: boolean
  /** generate_audio, which is on unless it is turned off. */
  hasSound?: boolean
  hasDuration?: boolean
  hasAspectRatio?: boolean
  hasNegativePrompt?: boolean
  hasScale?: boolean
  hasOrientation?: boolean
  /** multi_prompt, in place of prompt; intelligent: the cuts can be left to the model. */
  shots?: 'customize' | 'intelligent'
  isPromptOptional?: boolean
}

export interface VideoLimits {
  types?: string[]
  minSeconds: number
  maxSeconds: number
  /** Pixels of a side. */
  minSide?: number
  maxSide?: number
}

const root = 'fal-ai/kling-video'
const tiers = (path: (tier: Tier) => string, ...offered: Tier[]): Endpoint['path'] =>
  Object.fromEntries(
    (offered.length > 0 ? offered : (['standard', 'pro'] as Tier[])).map((tier) => [
      tier,
      `${root}/${path(tier)}`,
    ]),
  )
/** O1's professional tier has no name in the path. */
const o1 = (name: string) => tiers((tier) => (tier === 'pro' ? `o1/${name}` : `o1/standard/${name}`))
const v3 = (name: string) => tiers((tier) => `v3/${tier}/${name}`)
const o3 = (name: string) => tiers((tier) => `o3/${tier}/${name}`)

const early = { hasDuration: true, hasNegativePrompt: true, hasScale: true }
const film = { types: ['video/mp4'], minSeconds: 3, maxSeconds: 10.05, minSide: 720, maxSide: 2160 }
const motion: Endpoint = {
  path: {},
  start: 'image_url',
  video: { minSeconds: 3, maxSeconds: 30 },
  keepSound: 'keep_original_sound',
  hasOrientation: true,
  isPromptOptional: true,
}

// only the professional tier can end with a picture
const turboImage: Endpoint = {
  path: tiers((tier) => `v2.5-turbo/${tier}/image-to-video`),
  start: 'image_url',
  ...early,
}
const turboFrames: Endpoint = {
  path: tiers((tier) => `v2.5-turbo/${tier}/image-to-video`, 'pro'),
  start: 'image_url',
  end: 'tail_image_url',
  ...early,
}
const o1Reference: Endpoint = {
  path: o1('reference-to-video'),
  references: 7,
  hasDuration: true,
  hasAspectRatio: true,
}
const o1Video: Endpoint = {
  path: o1('video-to-video/reference'),
  video: film,
  keepSound: 'keep_audio',
  references: 4,
  hasDuration: true,
  hasAspectRatio: true,
}
const o3Making = { hasSound: true, hasDuration: true, shots: 'customize' } as const
const o3Reference: Endpoint = {
  path: o3('reference-to-video'),
  start: 'start_image_url',
  end: 'end_image_url',
  references: 7,
  hasElements: true,
  hasAspectRatio: true,
  ...o3Making,
}
const o3Video: Endpoint = {
  path: o3('video-to-video/reference'),
  video: film,
  keepSound: 'keep_audio',
  references: 4,
  hasElements: true,
  hasDuration: true,
  hasAspectRatio: true,
}

const withElements = (plain: Endpoint) => (input: Record<string, Json>) =>
  Array.isArray(input.elements) && input.elements.length > 0 ? o3Reference : plain

/** By what routes name: the endpoint for an input. */
const families: Record<string, Endpoint | ((input: Record<string, Json>) => Endpoint)> = {
  'fal-ai/kling-video/v2.1-master/text-to-video': {
    path: { pro: `${root}/v2.1/master/text-to-video` },
    hasAspectRatio: true,
    ...early,
  },
  'fal-ai/kling-video/v2.1-master/image-to-video': {
    path: { pro: `${root}/v2.1/master/image-to-video` },
    start: 'image_url',
    ...early,
  },
  'fal-ai/kling-video/v2.1-pro/image-to-video': {
    path: { pro: `${root}/v2.1/pro/image-to-video` },
    start: 'image_url',
    end: 'tail_image_url',
    ...early,
  },
  'fal-ai/kling-video/v2.5-turbo/text-to-video': {
    path: tiers((tier) => `v2.5-turbo/${tier}/text-to-video`, 'pro'),
    hasAspectRatio: true,
    ...early,
  },
  'fal-ai/kling-video/v2.5-turbo/image-to-video': (input) =>
    input.end_image_url === undefined ? turboImage : turboFrames,
  'fal-ai/kling-video/v2.6/text-to-video': {
    path: tiers((tier) => `v2.6/${tier}/text-to-video`, 'pro'),
    hasAspectRatio: true,
    hasSound: true,
    ...early,
  },
  'fal-ai/kling-video/v2.6/image-to-video': {
    path: tiers((tier) => `v2.6/${tier}/image-to-video`, 'pro'),
    start: 'start_image_url',
    end: 'end_image_url',
    hasSound: true,
    hasDuration: true,
    hasNegativePrompt: true,
  },
  'fal-ai/kling-video/v2.6/motion-control': {
    ...motion,
    path: tiers((tier) => `v2.6/${tier}/motion-control`),
  },
  'fal-ai/kling-video/v3/text-to-video': {
    path: v3('text-to-video'),
    hasAspectRatio: true,
    hasSound: true,
    shots: 'intelligent',
    ...early,
  },
  'fal-ai/kling-video/v3/image-to-video': {
    path: v3('image-to-video'),
    start: 'start_image_url',
    end: 'end_image_url',
    references: 3,
    hasElements: true,
    hasSound: true,
    shots: 'customize',
    ...early,
  },
  'fal-ai/kling-video/v3/motion-control': { ...motion, path: v3('motion-control') },
  'fal-ai/kling-video/o1/image-to-video': {
    path: o1('image-to-video'),
    start: 'start_image_url',
    end: 'end_image_url',
    hasDuration: true,
  },
  'fal-ai/kling-video/o1/reference-to-video': (input) =>
    input.video_url === undefined ? o1Reference : o1Video,
  'fal-ai/kling-video/o1/video-edit': {
    path: o1('video-to-video/edit'),
    video: film,
    keepSound: 'keep_audio',
    references: 4,
  },
  'fal-ai/kling-video/o3/text-to-video': withElements({
    path: o3('text-to-video'),
    hasAspectRatio: true,
    ...o3Making,
  }),
  'fal-ai/kling-video/o3/image-to-video': withElements({
    path: o3('image-to-video'),
    start: 'image_url',
    end: 'end_image_url',
    ...o3Making,
  }),
  'fal-ai/kling-video/o3/reference-to-video': (input) =>
    input.video_url === undefined ? o3Reference : o3Video,
  'fal-ai/kling-video/o3/video-edit': {
    path: o3('video-to-video/edit'),
    video: film,
    keepSound: 'keep_audio',
    references: 4,
    hasElements: true,
  },
  'fal-ai/kling-video/o3/extend-video': o3Video,
}

/** What routes may name. */
export const models = Object.keys(families)

/** Where a job goes, and under what path; the latter is undefined where its tier is not offered. */
export function endpointOf(
  route: Route,
  input: Record<string, Json>,
): { endpoint: Endpoint; tier: Tier; path: string | undefined } {
  const family = families[route.model]
  if (family === undefined) throw new Error(`fal has no model "${route.model}"`)
  const endpoint = typeof family === 'function' ? family(input) : family
  const tier =
    (route.settings?.tier ?? (input.quality === 'std' ? 'standard' : 'pro')) === 'standard'
      ? 'standard'
      : 'pro'
  return { endpoint, tier, path: endpoint.path[tier] }
}
