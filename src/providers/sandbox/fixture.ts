import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AudioDecoder, EncodedAudioChunk, EncodedVideoChunk, VideoDecoder } from '@napi-rs/webcodecs'
import { ALL_FORMATS, EncodedPacketSink, FilePathSource, Input } from 'mediabunny'
import type { Clock } from '../../clock.ts'
import { createLocalStorage } from '../../storage/local.ts'
import type { Storage } from '../../storage/storage.ts'
import type { CallContext, Json, PollOutcome, Provider, ProviderRequest, SubmitContext } from '../provider.ts'
import { type FilmRequest, readRenderRequest } from './request.ts'

/** Runs a test in a folder of its own. */
export async function inFolder(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sandbox-'))
  try {
    await run(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Runs a test with a storage and a folder for temporary files. */
export async function inStorage(run: (storage: Storage, directory: string) => Promise<void>): Promise<void> {
  await inFolder(async (directory) => {
    await run(await createLocalStorage({ directory: join(directory, 'files') }), directory)
  })
}

/** All that is kept, in order. */
export async function keptIn(storage: Storage): Promise<string[]> {
  return (await Array.fromAsync(storage.list(''))).sort()
}

/** A clock that stands until it is moved. */
export function handClock(): Clock & { pass(seconds: number): void } {
  let now = Date.parse('2026-01-01T00:00:00Z')
  return {
    now: () => new Date(now),
    pass(seconds) {
      now += seconds * 1000
    },
  }
}

/** A request as the gateway sends it; small frames and one second unless told otherwise. */
export function requestOf(
  input: Record<string, Json>,
  extra: Partial<Pick<ProviderRequest, 'jobId' | 'media'>> = {},
): ProviderRequest {
  return {
    jobId: 'job_1',
    model: { slug: 'kling/kling-omni-o1/text-to-video', capability: 'text-to-video' },
    route: { upstream: 'sandbox', model: 'kling/kling-omni-o1/text-to-video' },
    input: { prompt: 'A quiet lake', duration: '1', resolution: '480p', ...input },
    media: {},
    ...extra,
  }
}

/** What the sandbox reads out of a request for a film. */
export function filmRequestOf(
  input: Record<string, Json>,
  media: ProviderRequest['media'] = {},
  capability = 'text-to-video',
): FilmRequest {
  const model = { slug: `acme/painter/${capability}`, capability }
  const reading = readRenderRequest({ model, input, media })
  if ('problem' in reading || reading.request.type !== 'video') {
    throw new Error(`no film: ${JSON.stringify(reading)}`)
  }
  return reading.request
}

export const callContext: CallContext = { signal: new AbortController().signal }
export const submitContext: SubmitContext = {
  ...callContext,
  callbackUrl: 'https://gateway.example/callback',
  publish: async () => undefined,
}

/** How one job stands. */
export async function polled(provider: Provider, operation: Json): Promise<PollOutcome> {
  const [outcome] = await provider.poll([operation], callContext)
  return outcome!
}

/** Submits and returns the operation. */
export async function accepted(provider: Provider, request: ProviderRequest): Promise<Json> {
  const outcome = await provider.submit(request, submitContext)
  if (outcome.outcome !== 'accepted') {
    throw new Error(`not accepted: ${JSON.stringify(outcome)}`)
  }
  return outcome.operation
}

/** Polls until the job has ended. */
export async function ended(provider: Provider, operation: Json): Promise<PollOutcome> {
  for (;;) {
    const outcome = await polled(provider, operation)
    if (outcome.status !== 'running') {
      return outcome
    }
    await delay(25)
  }
}

/** What a decoder that knows nothing of the renderer finds in a file. */
export interface FilmFacts {
  width: number
  height: number
  /** Frames that the decoder gave out, not what the index claims. */
  frames: number
  videoSeconds: number
  audioSeconds: number | null
  /** Both channels after decoding, one after the other. */
  samples: Float32Array
  keyFrames: number[]
  boxes: string[]
  matrix: string | null | undefined
}

/** Demuxes a film and decodes every frame of every track. */
export async function inspectFilm(file: string): Promise<FilmFacts> {
  const input = new Input({ formats: ALL_FORMATS, source: new FilePathSource(file) })
  try {
    const video = (await input.getPrimaryVideoTrack())!
    const audio = await input.getPrimaryAudioTrack()
    return {
      width: await video.getDisplayWidth(),
      height: await video.getDisplayHeight(),
      ...(await decodeVideo(video)),
      videoSeconds: await video.computeDuration(),
      audioSeconds: audio === null ? null : await audio.computeDuration(),
      samples: audio === null ? new Float32Array(0) : await decodeAudio(audio),
      boxes: await topLevelBoxes(file),
      matrix: (await video.getColorSpace()).matrix,
    }
  } finally {
    input.dispose()
  }
}

type VideoTrack = NonNullable<Awaited<ReturnType<Input['getPrimaryVideoTrack']>>>
type AudioTrack = NonNullable<Awaited<ReturnType<Input['getPrimaryAudioTrack']>>>

async function decodeVideo(track: VideoTrack): Promise<Pick<FilmFacts, 'frames' | 'keyFrames'>> {
  let frames = 0
  let failure: unknown = null
  const keyFrames: number[] = []
  const decoder = new VideoDecoder({
    output: (frame) => {
      frames++
      frame.close()
    },
    error: (error) => {
      failure = error
    },
  })
  decoder.configure((await track.getDecoderConfig()) as Parameters<typeof decoder.configure>[0])
  for await (const packet of new EncodedPacketSink(track).packets()) {
    if (packet.type === 'key') {
      keyFrames.push(Math.round(packet.timestamp * 24))
    }
    const { type, data, microsecondTimestamp: timestamp } = packet
    decoder.decode(new EncodedVideoChunk({ type, data, timestamp }))
  }
  await decoder.flush()
  decoder.close()
  if (failure !== null) {
    throw failure
  }
  return { frames, keyFrames }
}

async function decodeAudio(track: AudioTrack): Promise<Float32Array> {
  const pieces: Float32Array[] = []
  let failure: unknown = null
  const decoder = new AudioDecoder({
    output: (data) => {
      for (let planeIndex = 0; planeIndex < data.numberOfChannels; planeIndex++) {
        const plane = new Float32Array(data.numberOfFrames)
        data.copyTo(plane, { planeIndex, format: 'f32-planar' })
        pieces.push(plane)
      }
      data.close()
    },
    error: (error) => {
      failure = error
    },
  })
  decoder.configure((await track.getDecoderConfig()) as Parameters<typeof decoder.configure>[0])
  for await (const packet of new EncodedPacketSink(track).packets()) {
    const { type, data, microsecondTimestamp: timestamp } = packet
    decoder.decode(new EncodedAudioChunk({ type, data, timestamp }))
  }
  await decoder.flush()
  decoder.close()
  if (failure !== null) {
    throw failure
  }
  const left = pieces.filter((_, index) => index % 2 === 0)
  const right = pieces.filter((_, index) => index % 2 === 1)
  return Float32Array.from([...left, ...right].flatMap((piece) => Array.from(piece)))
}

async function topLevelBoxes(file: string): Promise<string[]> {
  const bytes = await readFile(file)
  const boxes: string[] = []
  for (let offset = 0; offset + 8 <= bytes.length; ) {
    const short = bytes.readUInt32BE(offset)
    boxes.push(bytes.toString('latin1', offset + 4, offset + 8))
    offset += short === 1 ? Number(bytes.readBigUInt64BE(offset + 8)) : short
  }
  return boxes
}
