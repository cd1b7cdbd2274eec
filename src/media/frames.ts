import './decoder-memory.ts'
import { type Canvas, createCanvas } from '@napi-rs/canvas'
import {
  AudioSampleSink,
  FilePathSource,
  Input,
  type InputVideoTrack,
  MP3,
  MP4,
  type VideoSample,
  VideoSampleSink,
  WAVE,
  WEBM,
} from 'mediabunny'
import { rgbaOf } from './colour.ts'
import { defaultMaxPixels, maxFramePixels } from './image.ts'

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
    formats: [MP4, WEBM, WAVE, MP3],
    source: new FilePathSource(path, { handleUnhandledError() {} }),
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

/** Pictures of the track at the given times, upright and with square pixels. */
export async function* picturesAt(
  track: InputVideoTrack,
  seconds: number[],
  maxPixels = defaultMaxPixels,
): AsyncGenerator<Canvas> {
  for await (const sample of new VideoSampleSink(track).samplesAtTimestamps(seconds)) {
    if (sample === null) continue
    using frame = sample
    yield await (await frameDrawer(track, maxPixels))(frame)
  }
}

/**
 * The same on one canvas, which holds a picture until the next one is asked for: the pixels of a canvas of its own
 * for each would pile up, as the garbage collector does not feel their weight.
 */
export async function* framesAt(track: InputVideoTrack, seconds: number[]): AsyncGenerator<Canvas> {
  const draw = await frameDrawer(track, maxFramePixels)
  for await (const sample of new VideoSampleSink(track).samplesAtTimestamps(seconds)) {
    if (sample === null) continue
    using frame = sample
    yield await draw(frame)
  }
}

/** Draws samples of one track, always on the same canvas. */
async function frameDrawer(
  track: InputVideoTrack,
  maxPixels: number,
): Promise<(sample: VideoSample) => Promise<Canvas>> {
  const canvas = createCanvas(await track.getDisplayWidth(), await track.getDisplayHeight())
  const context = canvas.getContext('2d')
  const raw = createCanvas(1, 1)
  let pixels = raw.getContext('2d').createImageData(1, 1)
  return async (sample) => {
    const { width, height } = sample.visibleRect
    // What the container says of its pictures, which is known before, need not be true: 29 KB that claimed 16 × 16 took 2.3 GB.
    if (width * height > maxPixels) throw new Error(`a frame has ${width} × ${height} pixels`)
    if (pixels.width !== width || pixels.height !== height) {
      ;[raw.width, raw.height] = [width, height]
      pixels = raw.getContext('2d').createImageData(width, height)
    }
    await rgbaOf(sample, pixels.data)
    raw.getContext('2d').putImageData(pixels, 0, 0)
    const isUpright = sample.rotation % 180 === 0
    const [alongX, alongY] = isUpright ? [canvas.width, canvas.height] : [canvas.height, canvas.width]
    context.resetTransform()
    context.translate(canvas.width / 2, canvas.height / 2)
    context.rotate((sample.rotation * Math.PI) / 180)
    context.drawImage(raw, -alongX / 2, -alongY / 2, alongX, alongY)
    // One pixel is read so that it is drawn now: the library otherwise keeps the call, and with it the pixels.
    context.getImageData(0, 0, 1, 1)
    return canvas
  }
}
