import type { ProviderRequest } from '../provider.ts'
import { type RenderRequest, readRenderRequest } from './request.ts'

/** What it takes to start a job, and then to draw and encode a million pixels on one core, with something to spare. */
const startMs = 1_000
const msPerMegapixel = { video: 32, image: 300 }

/** How long a render takes one core, in ms. */
export function workMsOf(request: RenderRequest): number {
  const pictures =
    request.type === 'image' ? request.count : request.shots.reduce((sum, shot) => sum + shot.frames, 0)
  const megapixels = (request.width * request.height * pictures) / 1_000_000
  return Math.round(startMs + megapixels * msPerMegapixel[request.type])
}

/** The same for a job that was not read yet, as far as it can be told without its files. */
export function expectedWorkMs(request: Pick<ProviderRequest, 'model' | 'input'>): number {
  const reading = readRenderRequest({ ...request, media: {} })
  return 'request' in reading ? workMsOf(reading.request) : startMs
}
