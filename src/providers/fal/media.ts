import { readFile } from 'node:fs/promises'
import { fieldNames } from '../field-names.ts'
import type { InputMedia, Json, PrepareContext, ProviderRequest, Refused } from '../provider.ts'
import { shapeRefusal } from '../shape.ts'
import { endpointOf, type VideoLimits } from './endpoints.ts'
import { orientationOf, type SentMedia } from './input.ts'

const minSide = 300
const shapes = { narrowest: 0.4, widest: 2.5 }
/** A film is seldom as long to the hundredth as it is said to be. */
const toleranceSeconds = 0.05
/** How much a film may be longer than the length that was ordered. */
const overlengthSeconds = 0.5
const mostSecondsByPicture = 10

/** What is wrong with the files by what is known of fal's limits. */
export function unusable({ route, input, media }: ProviderRequest): Refused | undefined {
  const { endpoint } = endpointOf(route, input)
  for (const [field, files] of Object.entries(media)) {
    for (const file of files) {
      const trouble =
        file.kind === 'image'
          ? pictureTrouble(file)
          : file.kind === 'video' && endpoint.video
            ? videoTrouble(file, forOrder(endpoint.video, { route, input }))
            : undefined
      // another upstream's limits may be wider
      if (trouble !== undefined)
        return {
          outcome: 'refused',
          code: 'INPUT_MEDIA_INVALID',
          message: `${field}: ${trouble}`,
          elsewhere: true,
        }
    }
  }
  return endpoint.hasAspectRatio ? undefined : shapeRefusal({ input, media })
}

function pictureTrouble({ width, height }: { width: number; height: number }): string | undefined {
  const size = `The picture has ${width} × ${height} pixels, but`
  if (Math.min(width, height) < minSide) return `${size} the upstream needs at least ${minSide} on each side.`
  const shape = width / height
  if (shape >= shapes.narrowest && shape <= shapes.widest) return undefined
  return `${size} for the upstream no side may be more than ${shapes.widest} times as long as the other.`
}

/** Where the character faces as in the picture the film is shorter, and where a length was ordered it is that one. */
function forOrder(
  limits: VideoLimits,
  { route, input }: Pick<ProviderRequest, 'route' | 'input'>,
): VideoLimits {
  if (!route.model.endsWith('/motion-control') || orientationOf(route, input) === 'video') return limits
  const ordered =
    input.duration === undefined ? Number.POSITIVE_INFINITY : Number(input.duration) + overlengthSeconds
  return { ...limits, maxSeconds: Math.min(mostSecondsByPicture, ordered) }
}

function videoTrouble(file: Extract<InputMedia, { kind: 'video' }>, limits: VideoLimits): string | undefined {
  const {
    types,
    minSeconds,
    maxSeconds,
    minSide: least = 0,
    maxSide: most = Number.POSITIVE_INFINITY,
  } = limits
  const { contentType, durationSeconds, width, height } = file
  if (types?.includes(contentType) === false) {
    return `The video is ${contentType}, but the upstream takes ${types.join(', ')} alone.`
  }
  if (durationSeconds < minSeconds - toleranceSeconds || durationSeconds > maxSeconds + toleranceSeconds) {
    return `The video is ${durationSeconds.toFixed(1)} seconds long, but the upstream takes ${minSeconds} to ${maxSeconds} seconds for this job.`
  }
  if (Math.min(width, height) >= least && Math.max(width, height) <= most) return undefined
  return `The video has ${width} × ${height} pixels, but the upstream takes ${least} to ${most} on a side.`
}

/** Puts every file where fal can have it. */
export async function sendMedia(
  { input, media }: Pick<ProviderRequest, 'input' | 'media'>,
  context: PrepareContext,
): Promise<SentMedia> {
  const first = (names: readonly string[]) => names.flatMap((name) => media[name] ?? [])[0]
  const pictures = (files: InputMedia[]) => Promise.all(files.map((file) => pictureUrl(file, context)))
  const start = first(fieldNames.start)
  const end = first(fieldNames.end)
  const video = first(fieldNames.video)
  return {
    start: start && (await pictureUrl(start, context)),
    end: end && (await pictureUrl(end, context)),
    video: video && (await videoUrl(video, context)),
    images: await pictures(media.images ?? []),
    elements: byElement(input, await pictures(media['elements.characterImages'] ?? [])),
  }
}

async function pictureUrl(file: InputMedia, context: PrepareContext): Promise<string> {
  const url = await context.publish(file)
  if (url !== undefined) return url
  return `data:${file.contentType};base64,${(await readFile(file.path)).toString('base64')}`
}

// A film is too much for a request's body: where this server can't be reached it is fetched where the customer has it.
async function videoUrl(file: InputMedia, context: PrepareContext): Promise<string> {
  const url = (await context.publish(file)) ?? file.sourceUrl
  if (url === undefined) throw new Error('a film of unknown origin, and no address to publish it at')
  return url
}

/** The files of all elements come in one row. */
function byElement({ elements = [] }: Record<string, Json>, urls: string[]): string[][] {
  let taken = 0
  return (elements as { characterImages: string[] }[]).map(({ characterImages }) => {
    const from = taken
    taken += characterImages.length
    return urls.slice(from, taken)
  })
}
