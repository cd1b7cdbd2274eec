import './audio-data.ts'
import './decoder-memory.ts'
import './vorbis.ts'
import { type Canvas, createCanvas } from '@napi-rs/canvas'
import {
  ADTS,
  AudioSampleSink,
  FLAC,
  Input,
  type InputVideoTrack,
  MATROSKA,
  MP3,
  MP4,
  OGG,
  QTFF,
  VideoSampleSink,
  WAVE,
  WEBM,
} from 'mediabunny'
import { filmColour, rgbaOf, sizeOf } from './colour.ts'
import { type FilmFrame, Undecodable } from './films/decoder.ts'
import { framesOf } from './films/play.ts'
import { defaultMaxPixels, maxFramePixels, tooLarge } from './image.ts'
import { liesOnSide, turnUpright, uprightSize } from './pictures/orientation.ts'
import { fileSource } from './source.ts'

/** What really came out of the decoders. */
export type DecodeCount =
  | {
      ok: true
      width: number
      height: number
      durationSeconds: number
      videoFrames: number
      audioSamples: number
    }
  | { ok: false; message: string }

/**
 * Opens a media file for reading; `using` closes it again. Not all formats that could be read are: an HLS playlist
 * names other files and addresses, which would be opened without any check.
 */
export function openMedia(path: string): Input {
  return new Input({
    formats: [MP4, QTFF, WEBM, MATROSKA, WAVE, MP3, ADTS, OGG, FLAC],
    source: fileSource(path),
  })
}

/** Decodes a video file from end to end: the proof that it plays. */
export async function decodeEveryFrame(path: string): Promise<DecodeCount> {
  // The native decoders do not keep a process alive that waits for nothing else.
  const alive = setInterval(() => {}, 60_000)
  try {
    using input = openMedia(path)
    const video = await input.getPrimaryVideoTrack()
    if (video === null) return { ok: false, message: 'The file has no video track.' }
    const audio = await input.getPrimaryAudioTrack()
    let videoFrames = 0
    let audioSamples = 0
    for await (using _frame of new VideoSampleSink(video).samples()) videoFrames += 1
    if (audio !== null) {
      for await (using sample of new AudioSampleSink(audio).samples()) audioSamples += sample.numberOfFrames
    }
    const [width, height] = [await video.getDisplayWidth(), await video.getDisplayHeight()]
    return {
      ok: true,
      width,
      height,
      durationSeconds: await video.computeDuration(),
      videoFrames,
      audioSamples,
    }
  } catch (error) {
    return {
      ok: false,
      message: `The file does not decode: ${error instanceof Error ? error.message : error}`,
    }
  } finally {
    clearInterval(alive)
  }
}

/** Pictures of the track at the given times, which ascend, upright and with square pixels. */
export async function* picturesAt(
  track: InputVideoTrack,
  seconds: number[],
  maxPixels = defaultMaxPixels,
): AsyncGenerator<Canvas> {
  for await (const frame of framesOf(track, seconds)) yield await (await frameDrawer(track, maxPixels))(frame)
}

/**
 * The same on one canvas, which holds a picture until the next one is asked for: the pixels of a canvas of its own
 * for each would pile up, as the garbage collector does not feel their weight.
 */
export async function* framesAt(track: InputVideoTrack, seconds: number[]): AsyncGenerator<Canvas> {
  const draw = await frameDrawer(track, maxFramePixels)
  let last: FilmFrame | undefined
  let canvas: Canvas | undefined
  for await (const frame of framesOf(track, seconds)) {
    if (frame !== last || canvas === undefined) canvas = await draw(frame)
    last = frame
    yield canvas
  }
}

/** By how a film's pictures must be turned, clockwise, and then mirrored, as EXIF counts. */
const orientations: Record<number, readonly [plain: number, mirrored: number]> = {
  0: [1, 2],
  90: [6, 5],
  180: [3, 4],
  270: [8, 7],
}

/** Draws frames of one track, always on the same canvas; in half their size where that still has the pixels that are wanted. */
export async function frameDrawer(
  track: InputVideoTrack,
  maxPixels: number,
  wantedPixels = Number.POSITIVE_INFINITY,
): Promise<(frame: FilmFrame) => Promise<Canvas>> {
  const canvas = createCanvas(1, 1)
  const context = canvas.getContext('2d')
  const [shownWidth, shownHeight] = [await track.getDisplayWidth(), await track.getDisplayHeight()]
  const [plain, mirrored] = orientations[await track.getRotation()] ?? [1, 2]
  const orientation = (await track.getFlip()) ? mirrored : plain
  const colour = await filmColour(track)
  const raw = createCanvas(1, 1)
  let pixels = raw.getContext('2d').createImageData(1, 1)
  return async (frame) => {
    const stored = sizeOf(frame)
    const isHalf = stored.width * stored.height >= 4 * wantedPixels
    const [width, height] = [stored.width, stored.height].map((side) => (isHalf ? side >> 1 : side)) as [
      number,
      number,
    ]
    // What the container says of its pictures, which is known before, need not be true: 29 KB that claimed 16 × 16 took 2.3 GB.
    if (stored.width * stored.height > maxPixels) throw new Undecodable(tooLarge('video', stored, maxPixels))
    if (pixels.width !== width || pixels.height !== height) {
      ;[raw.width, raw.height] = [width, height]
      pixels = raw.getContext('2d').createImageData(width, height)
      // some containers say nothing of their size
      const share = isHalf ? 0.5 : 1
      const shown = { width: Math.round(shownWidth * share), height: Math.round(shownHeight * share) }
      const size = shownWidth * shownHeight > 0 ? shown : uprightSize({ width, height, orientation })
      if (canvas.width !== size.width) canvas.width = size.width
      if (canvas.height !== size.height) canvas.height = size.height
    }
    await rgbaOf(frame, colour, pixels.data, isHalf)
    raw.getContext('2d').putImageData(pixels, 0, 0)
    const lying = liesOnSide(orientation)
      ? { width: canvas.height, height: canvas.width }
      : { width: canvas.width, height: canvas.height }
    turnUpright(context, lying, orientation)
    context.drawImage(raw, 0, 0, lying.width, lying.height)
    // One pixel is read so that it is drawn now: the library otherwise keeps the call, and with it the pixels.
    context.getImageData(0, 0, 1, 1)
    return canvas
  }
}
