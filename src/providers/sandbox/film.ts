import { setImmediate } from 'node:timers/promises'
import type { Canvas } from '@napi-rs/canvas'
import { AudioData, AudioEncoder, VideoEncoder, VideoFrame } from '@napi-rs/webcodecs'
import {
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  Mp4OutputFormat,
  Output,
} from 'mediabunny'
import { fileTarget } from '../../file-target.ts'
import { writePlanes } from '../../media/films/planes.ts'

export const samplesPerSecond = 48_000
const aacFrameSamples = 1024
const keyFrameEverySeconds = 2
/** Frames the encoder may have waiting. Each holds 1.4 MB at 720p; more than this only costs memory. */
const encoderQueueLimit = 4
/**
 * Frames above this (1080 lines) get a buffer each: its weight makes the garbage collector look, and let go of the
 * encoder's copies of earlier frames, whose weight it does not feel. At 4k they came to 1.5 GB.
 */
const heavyBytes = 4_200_000
const bt709 = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', fullRange: false } as const

/** Where the sound comes from: `write` fills both channels with the samples from `start` on. */
export interface SoundSource {
  write(start: number, left: Float32Array, right: Float32Array): void
}

export interface FilmOptions {
  path: string
  width: number
  height: number
  framesPerSecond: number
  frames: number
  sound: SoundSource | null
}

/** An MP4 being written: H.264 and, where asked for, AAC; the index in front, nothing kept in memory. */
export interface Film {
  add(canvas: Canvas, options: { newShot: boolean }): Promise<void>
  /** Ends the file. It is complete on return, but not yet synced. */
  finish(): Promise<void>
  /** Gives up: frees the encoders and closes the file as it is. */
  abandon(): Promise<void>
}

/** Starts a film. An encoder's failure surfaces at the next `add` or at `finish`. */
export async function openFilm(options: FilmOptions): Promise<Film> {
  const { framesPerSecond, frames } = options
  // With the packet counts known the index's place is reserved in front, so the file streams to disk.
  const output = new Output({
    format: new Mp4OutputFormat({ fastStart: 'reserve' }),
    target: fileTarget(options.path),
  })
  const pictures = videoTrack(options)
  const audio = options.sound === null ? null : audioTrack(options.sound)
  output.addVideoTrack(pictures.source, { frameRate: framesPerSecond, maximumPacketCount: frames })
  if (audio !== null) {
    const packets = Math.ceil(samplesUntil(frames) / aacFrameSamples) + 1
    output.addAudioTrack(audio.source, { maximumPacketCount: packets })
  }
  await output.start()

  function samplesUntil(frame: number): number {
    return Math.round((frame * samplesPerSecond) / framesPerSecond)
  }

  let added = 0
  return {
    async add(canvas, { newShot }) {
      await pictures.add(canvas, added, newShot || added % (keyFrameEverySeconds * framesPerSecond) === 0)
      added++
      await audio?.reach(samplesUntil(added))
    },
    async finish() {
      await pictures.finish()
      await audio?.finish()
      await output.finalize()
    },
    async abandon() {
      pictures.close()
      audio?.close()
      await output.cancel()
    },
  }
}

/** The lowest level of H.264 that has room for these frames, as two hexadecimal digits. */
function levelOf({ width, height, framesPerSecond }: FilmOptions): string {
  const blocks = Math.ceil(width / 16) * Math.ceil(height / 16)
  const level = levels.find(
    ({ perFrame, perSecond }) => blocks <= perFrame && blocks * framesPerSecond <= perSecond,
  )
  return level?.code ?? '34'
}

// From table A-1 of the standard: macroblocks in a frame, and in a second.
const levels = [
  { code: '28', perFrame: 8_192, perSecond: 245_760 },
  { code: '2a', perFrame: 8_704, perSecond: 522_240 },
  { code: '33', perFrame: 36_864, perSecond: 983_040 },
]

function videoTrack(options: FilmOptions) {
  const { width, height, framesPerSecond } = options
  const planeBytes = (width * height * 3) / 2
  const kept = planeBytes > heavyBytes ? null : new Uint8Array(planeBytes)
  const source = new EncodedVideoPacketSource('avc')
  const packets = packetQueue()
  const encoder = new VideoEncoder({
    output: (chunk, metadata) => {
      const data = new Uint8Array(chunk.byteLength)
      chunk.copyTo(data)
      const index = Math.round((chunk.timestamp * framesPerSecond) / 1_000_000)
      const packet = new EncodedPacket(data, chunk.type, index / framesPerSecond, 1 / framesPerSecond)
      const config = metadata?.decoderConfig
      const described = config === undefined ? undefined : { decoderConfig: { ...config, colorSpace: bt709 } }
      packets.push(() => source.add(packet, described))
    },
    error: packets.fail,
  })
  encoder.configure({
    codec: `avc1.6400${levelOf(options)}`,
    width,
    height,
    framerate: framesPerSecond,
    hardwareAcceleration: 'prefer-software',
    // Constant quality (x264's CRF 23): 7 ms of a core per 720p frame, a third less than at a fixed bitrate.
    bitrateMode: 'quantizer',
    latencyMode: 'quality',
    avc: { format: 'avc' },
  })
  encoder.ondequeue = packets.wake
  return {
    source,
    async add(canvas: Canvas, index: number, keyFrame: boolean): Promise<void> {
      const planes = kept ?? new Uint8Array(planeBytes)
      const rgba = canvas.data()
      writePlanes(rgba, width, height, planes)
      // The pixels live outside the heap, where the garbage collector does not feel their weight: unless they
      // are let go here, a film leaves gigabytes behind and every fresh page costs more than the copy itself.
      ;(rgba.buffer as ArrayBuffer).transfer(0)
      const frame = new VideoFrame(planes, {
        format: 'I420',
        codedWidth: width,
        codedHeight: height,
        timestamp: Math.round((index * 1_000_000) / framesPerSecond),
        duration: Math.round(1_000_000 / framesPerSecond),
        colorSpace: bt709,
      })
      encoder.encode(frame, { keyFrame })
      frame.close()
      // A turn of the event loop even when there is room: freed pixels are only given back in one.
      await setImmediate()
      await packets.until(() => encoder.encodeQueueSize <= encoderQueueLimit)
    },
    async finish(): Promise<void> {
      await keptAlive(encoder.flush())
      await packets.drained()
      encoder.close()
      source.close()
    },
    close: (): void => encoder.close(),
  }
}

function audioTrack(sound: SoundSource) {
  const source = new EncodedAudioPacketSource('aac')
  const packets = packetQueue()
  let encoded = -1
  const encoder = new AudioEncoder({
    output: (chunk, metadata) => {
      const data = new Uint8Array(chunk.byteLength)
      chunk.copyTo(data)
      // The first packet only primes the decoder with the silence before the film; without it the sound starts
      // at 0 and needs no edit list. Its missing half of the overlap falls into the fade-in.
      if (encoded >= 0) {
        const start = (encoded * aacFrameSamples) / samplesPerSecond
        const packet = new EncodedPacket(data, 'key', start, aacFrameSamples / samplesPerSecond)
        const described = encoded === 0 ? firstConfig : undefined
        packets.push(() => source.add(packet, described))
      } else {
        firstConfig = metadata as EncodedAudioChunkMetadata
      }
      encoded++
    },
    error: packets.fail,
  })
  let firstConfig: EncodedAudioChunkMetadata | undefined
  encoder.configure({
    codec: 'mp4a.40.2',
    sampleRate: samplesPerSecond,
    numberOfChannels: 2,
    bitrate: 128_000,
  })
  let written = 0
  return {
    source,
    /** Encodes whole AAC frames until `samples` are covered; the sound's own fade makes the overhang silent. */
    async reach(samples: number): Promise<void> {
      for (; written < samples; written += aacFrameSamples) {
        const planar = new Float32Array(2 * aacFrameSamples)
        sound.write(written, planar.subarray(0, aacFrameSamples), planar.subarray(aacFrameSamples))
        const data = new AudioData({
          format: 'f32-planar',
          sampleRate: samplesPerSecond,
          numberOfFrames: aacFrameSamples,
          numberOfChannels: 2,
          timestamp: Math.round((written * 1_000_000) / samplesPerSecond),
          data: planar,
        })
        encoder.encode(data)
        data.close()
      }
      await packets.until(() => true)
    },
    async finish(): Promise<void> {
      await keptAlive(encoder.flush())
      await packets.drained()
      encoder.close()
      source.close()
    },
    close: (): void => encoder.close(),
  }
}

/** Waits for an encoder, whose work does not by itself keep the process from ending. */
async function keptAlive(work: Promise<unknown>): Promise<void> {
  const hold = setInterval(() => {}, 1000)
  try {
    await work
  } finally {
    clearInterval(hold)
  }
}

/** Writes packets one after the other and keeps the first failure of either side for whoever waits. */
function packetQueue() {
  let failure: { cause: unknown } | null = null
  let writing: Promise<void> = Promise.resolve()
  let waiting: (() => void) | null = null
  const wake = (): void => {
    waiting?.()
    waiting = null
  }
  const fail = (cause: unknown): void => {
    failure ??= { cause }
    wake()
  }
  const check = (): void => {
    if (failure !== null) {
      throw failure.cause
    }
  }
  return {
    wake,
    fail,
    push(write: () => Promise<void>): void {
      writing = writing.then(write).catch(fail)
    },
    async until(isReady: () => boolean): Promise<void> {
      check()
      while (!isReady()) {
        // The encoder's events neither keep a process alive nor come for certain: about one film in forty waited
        // for ever without the second look.
        const secondLook = setTimeout(wake, 50)
        await new Promise<void>((resolve) => {
          waiting = resolve
        })
        clearTimeout(secondLook)
        check()
      }
    },
    async drained(): Promise<void> {
      await writing
      check()
    },
  }
}
