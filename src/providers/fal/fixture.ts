import type { InputMedia, Json, ProviderRequest, Route, SubmitContext } from '../provider.ts'

const slug = 'kling/kling-3.0-pro/text-to-video'

/** A job for tests, of a model by the end of what routes name it. */
export function requestOf(
  model: string,
  input: Record<string, Json>,
  options: { settings?: Record<string, string>; media?: Record<string, InputMedia[]> } = {},
): ProviderRequest {
  const { settings = { tier: 'pro' }, media = {} } = options
  const route: Route = { upstream: 'fal', model: `fal-ai/kling-video/${model}`, settings }
  return { jobId: 'job_1', model: { slug, capability: 'text-to-video' }, route, input, media }
}

export const text = { prompt: 'A fox in the snow', duration: '5', has_sound: 'false', aspect_ratio: '16:9' }

/** What comes with a submit where this server can be reached, and files are published under their path. */
export function contextOf(options: Partial<SubmitContext> = {}): SubmitContext {
  return {
    signal: AbortSignal.timeout(10_000),
    callbackUrl: undefined,
    publish: async ({ path }) => `https://films.example.com${path}`,
    ...options,
  }
}

export const picture = (path: string, width = 800, height = 600): InputMedia => ({
  kind: 'image',
  path,
  contentType: 'image/png',
  width,
  height,
})

export const film = (path: string, durationSeconds = 5, contentType = 'video/mp4'): InputMedia => ({
  kind: 'video',
  path,
  contentType,
  width: 1280,
  height: 720,
  durationSeconds,
  hasSound: true,
  sourceUrl: `https://customer.example.com${path}`,
})
