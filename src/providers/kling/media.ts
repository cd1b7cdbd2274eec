import { readFile } from 'node:fs/promises'
import type { InputMedia, PrepareContext, ProviderRequest, Refused } from '../provider.ts'
import { shapeRefusal } from '../shape.ts'
import type { SaidMedia } from './bodies.ts'
import type { Standard } from './fits.ts'
import type { Order } from './order.ts'

interface FilmLimits {
  minSeconds: number
  maxSeconds: number
  minSide: number
  maxSide: number
  maxPixels?: number
  /** Width to height. */
  minRatio?: number
  maxRatio?: number
}

const minPictureSide = 300
const maxPictureRatio = 2.5
const filmTypes = ['video/mp4', 'video/quicktime']
/** A film of "10 seconds" ends with its last picture's time: that little more is none. */
const slackSeconds = 0.05
/** So much longer than the length that was ordered, and paid for, a film to follow may be. */
const orderSlackSeconds = 0.5

/** What is wrong with the files; asked before anything is sent. */
export function mediaRefusal(
  order: Order,
  { media, input }: Pick<ProviderRequest, 'media' | 'input'>,
  standard: Standard,
): Refused | undefined {
  const file = (field: string | undefined) => (field === undefined ? undefined : media[field]?.[0])
  const pictures: [string, InputMedia | undefined][] = [
    [order.firstFrame ?? '', file(order.firstFrame)],
    [order.lastFrame ?? '', file(order.lastFrame)],
    ...(media.images ?? []).map((picture, index): [string, InputMedia] => [`images[${index}]`, picture]),
  ]
  const film = file(order.film)
  const flaws = [
    ...pictures.map(([name, picture]) => pictureFlaw(name, picture)),
    film && filmFlaw(order.film!, film, filmLimits(order, standard)),
    film && tooLong(order, film, input.duration),
  ]
  return refusal(flaws.find((flaw) => flaw !== undefined)) ?? shapeRefusal({ input, media })
}

/** Other upstreams have other limits. */
export function refusal(message: string | undefined): Refused | undefined {
  if (message === undefined) return undefined
  return { outcome: 'refused', code: 'INPUT_MEDIA_INVALID', message, elsewhere: true }
}

export function pictureFlaw(name: string, picture: InputMedia | undefined): string | undefined {
  if (picture === undefined || picture.kind === 'audio') return undefined
  const { width, height } = picture
  if (Math.min(width, height) < minPictureSide) {
    return `${name}: The picture must have at least ${minPictureSide} pixels on each side; it has ${width} × ${height}.`
  }
  if (Math.max(width / height, height / width) <= maxPictureRatio) return undefined
  return `${name}: No side of the picture may be more than ${maxPictureRatio} times as long as the other; it has ${width} × ${height}.`
}

function filmLimits({ model, orientation }: Order, standard: Standard): FilmLimits {
  if (model.family === 'motion-control') {
    return { minSeconds: 3, maxSeconds: orientation === 'video' ? 30 : 10, minSide: 340, maxSide: 3850 }
  }
  if (standard === 'legacy') return { minSeconds: 3, maxSeconds: 10, minSide: 720, maxSide: 2160 }
  if (!model.hasShots) return { minSeconds: 3, maxSeconds: 10, minSide: 700, maxSide: 2160 }
  return {
    minSeconds: 3,
    maxSeconds: 15.5,
    minSide: 700,
    maxSide: 4553,
    maxPixels: 8_294_400,
    minRatio: 0.4,
    maxRatio: 2,
  }
}

function filmFlaw(name: string, film: InputMedia, limits: FilmLimits): string | undefined {
  if (film.kind !== 'video') return undefined
  const { width, height, durationSeconds: seconds, contentType } = film
  const { minSeconds, maxSeconds, minSide, maxSide, maxPixels = Number.POSITIVE_INFINITY } = limits
  const flaw = (must: string) => `${name}: The video must ${must}.`
  if (!filmTypes.includes(contentType)) return flaw('be an MP4 or MOV file')
  if (seconds < minSeconds - slackSeconds || seconds > maxSeconds + slackSeconds) {
    return flaw(`be ${minSeconds} to ${maxSeconds} seconds long; it has ${seconds.toFixed(1)}`)
  }
  if (Math.min(width, height) < minSide || Math.max(width, height) > maxSide) {
    return flaw(`have ${minSide} to ${maxSide} pixels on each side; it has ${width} × ${height}`)
  }
  if (width * height > maxPixels) return flaw(`have at most ${maxPixels} pixels; it has ${width} × ${height}`)
  const { minRatio = 0, maxRatio = Number.POSITIVE_INFINITY } = limits
  if (width / height >= minRatio && width / height <= maxRatio) return undefined
  return flaw(`be ${minRatio} to ${maxRatio} times as wide as high; it has ${width} × ${height}`)
}

/** What follows a film is as long as it, but the customer pays for the length that he orders. */
function tooLong({ model }: Order, film: InputMedia, ordered: unknown): string | undefined {
  if (model.family !== 'motion-control' || ordered === undefined || film.kind !== 'video') return undefined
  const most = Number(ordered) + orderSlackSeconds
  if (film.durationSeconds <= most) return undefined
  return `motion_video_url: The video must not be longer than the duration that is ordered, ${Number(ordered)} seconds; it has ${film.durationSeconds.toFixed(1)}.`
}

/** The files as Kling takes them; undefined where a film has no address that it could be fetched from. */
export async function sayMedia(
  order: Order,
  media: ProviderRequest['media'],
  context: PrepareContext,
): Promise<SaidMedia | undefined> {
  const picture = async (field: string | undefined) => {
    const file = field === undefined ? undefined : media[field]?.[0]
    return file && (await sayPicture(file, context))
  }
  const filmFile = order.film === undefined ? undefined : media[order.film]?.[0]
  const film = filmFile && ((await context.publish(filmFile)) ?? filmFile.sourceUrl)
  if (filmFile !== undefined && film === undefined) return undefined
  const [firstFrame, lastFrame] = [await picture(order.firstFrame), await picture(order.lastFrame)]
  const images = await Promise.all((media.images ?? []).map((file) => sayPicture(file, context)))
  return {
    ...(firstFrame !== undefined && { firstFrame }),
    ...(lastFrame !== undefined && { lastFrame }),
    ...(film !== undefined && { film }),
    images,
  }
}

/** A URL, or base64 without a prefix, which the vendor would take for part of it. */
export async function sayPicture(file: InputMedia, context: PrepareContext): Promise<string> {
  return (await context.publish(file)) ?? (await readFile(file.path)).toString('base64')
}
