import { open, readFile, stat } from 'node:fs/promises'
import type { Canvas } from '@napi-rs/canvas'
import { EncodedPacketSink, type Input, type InputTrack, type InputVideoTrack } from 'mediabunny'
import { drawPreviews, drawThumbnail, measureLight } from './draw.ts'
import { startOf } from './films/play.ts'
import { reasonFor } from './films/reasons.ts'
import { openMedia, picturesAt } from './frames.ts'
import { type MediaType, sniff } from './image.ts'
import { decodePicture } from './pictures/decode.ts'
import { findMp3 } from './source.ts'

export interface MediaTrack {
  type: 'video' | 'audio' | 'subtitle'
  codec: string | null
  durationSeconds: number
}

/** What a finished output turned out to be; `format` is the last part of `contentType`. */
export type Inspection =
  | ({
      ok: true
      type: 'video'
      durationSeconds: number
      tracks: MediaTrack[]
      /** JPEG of full size: the first frame worth looking at. */
      poster: Uint8Array
    } & Picture)
  | ({ ok: true; type: 'image' } & Picture)
  | {
      ok: true
      type: 'audio'
      contentType: string
      format: string
      durationSeconds: number
      tracks: MediaTrack[]
    }
  | { ok: false; message: string }

interface Picture {
  contentType: string
  format: string
  width: number
  height: number
  /** JPEG of at most 480 pixels' width. */
  thumbnail: Uint8Array
}

/** A picture is read whole into memory. */
const maxImageBytes = 100_000_000
const posterSearchSeconds = 4
const posterStepSeconds = 0.25
/** A frame worth looking at: neither near black nor near uniform, by `measureLight`. */
const leastMean = 24
const leastDeviation = 12

/** Looks into a file and makes its previews. Decodes on the calling thread: meant for a worker (`createMedia`). */
export async function inspectHere(path: string, maxPixels: number): Promise<Inspection> {
  const contentType = await sniffFile(path)
  if (contentType === undefined) return { ok: false, message: 'The file is no media file.' }
  if (contentType.startsWith('image/')) return inspectImage(path, maxPixels)
  using input = openMedia(path)
  try {
    return await inspectTracks(input, maxPixels)
  } catch (error) {
    const kind = contentType.startsWith('audio/') ? 'audio' : 'video'
    return { ok: false, message: `The file does not play. ${await reasonFor(path, kind, error)}` }
  }
}

/** The type that a file's content shows. */
export async function sniffFile(path: string): Promise<MediaType | undefined> {
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4100), 0, 4100, 0)
  const type = await sniff(buffer.subarray(0, bytesRead))
  if (type !== undefined) return type
  return (await findMp3(file, (await file.stat()).size)) === undefined ? undefined : 'audio/mpeg'
}

async function inspectImage(path: string, maxPixels: number): Promise<Inspection> {
  if ((await stat(path)).size > maxImageBytes) return { ok: false, message: 'The picture is too large.' }
  const found = await decodePicture(await readFile(path), maxPixels)
  if (!found.ok) return found
  const { contentType, width, height, picture } = found
  const thumbnail = await drawThumbnail(picture, { width, height })
  return { ok: true, type: 'image', contentType, format: formatOf(contentType), width, height, thumbnail }
}

async function inspectTracks(input: Input, maxPixels: number): Promise<Inspection> {
  const contentType = (await input.getMimeType()).split(';')[0]!
  const format = formatOf(contentType)
  const tracks = await input.getTracks()
  const described: MediaTrack[] = []
  for (const track of tracks) {
    if (!(await endsInFile(track))) return { ok: false, message: 'The file is cut off.' }
    described.push({
      type: track.type,
      codec: await track.getCodec(),
      durationSeconds: await durationOf(track),
    })
  }
  const video = await input.getPrimaryVideoTrack()
  const audio = await input.getPrimaryAudioTrack()
  if (video === null) {
    if (audio === null) return { ok: false, message: 'The file has neither picture nor sound.' }
    const durationSeconds = await durationOf(audio)
    return { ok: true, type: 'audio', contentType, format, durationSeconds, tracks: described }
  }
  const claimed = (await video.getDisplayWidth()) * (await video.getDisplayHeight())
  if (claimed > maxPixels) return { ok: false, message: 'The frames are too large.' }
  const poster = await findPoster(video, maxPixels)
  if (poster === undefined) return { ok: false, message: 'The file has no frame that decodes.' }
  const { width, height } = poster
  const previews = await drawPreviews(poster, { width, height })
  const durationSeconds = await durationOf(video)
  return {
    ok: true,
    type: 'video',
    contentType,
    format,
    width,
    height,
    durationSeconds,
    tracks: described,
    ...previews,
  }
}

/** Reads the last packet, which a file that broke off lacks although its index promises it. */
export async function endsInFile(track: InputTrack): Promise<boolean> {
  const packet = await new EncodedPacketSink(track).getPacket(Number.POSITIVE_INFINITY).catch(() => null)
  return packet !== null && packet.data.length === packet.byteLength
}

/** The first good frame; where none is good, the one that shows most. */
async function findPoster(track: InputVideoTrack, maxPixels: number): Promise<Canvas | undefined> {
  const start = await startOf(track)
  const end = Math.min(start + posterSearchSeconds, await track.computeDuration())
  const times = [start]
  for (let time = start + posterStepSeconds; time < end; time += posterStepSeconds) times.push(time)
  let best: Canvas | undefined
  let bestDeviation = -1
  for await (const picture of picturesAt(track, times, maxPixels)) {
    const { mean, deviation } = measureLight(picture)
    if (mean >= leastMean && deviation >= leastDeviation) return picture
    if (deviation > bestDeviation) [best, bestDeviation] = [picture, deviation]
  }
  return best
}

/** To the millisecond, as the sum of frame times rarely is. */
export async function durationOf(track: InputTrack): Promise<number> {
  return Math.round((await track.computeDuration()) * 1000) / 1000
}

function formatOf(contentType: string): string {
  return contentType.slice(contentType.indexOf('/') + 1)
}
