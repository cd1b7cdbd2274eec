import { createCanvas } from '@napi-rs/canvas'
import { type InputVideoTrack, type VideoCodec, VideoSample, VideoSampleSource } from 'mediabunny'
import { frameDrawer } from '../frames.ts'
import { maxFramePixels, maxInputBytes } from '../image.ts'
import { Undecodable } from './decoder.ts'
import {
  type FilmSize,
  mostEncodingMs,
  msPerMegapixel,
  msToBegin,
  mostMegapixels as usualMegapixels,
} from './limits.ts'
import { writePlanes } from './planes.ts'
import { allFramesOf } from './play.ts'

/** A film that is encoded anew is made no larger than full HD: more is beyond what models look at, and takes four times as long. */
const mostPixels = 1920 * 1080
const mostBitrate = 8_000_000
/** Room in a film's bytes for its sound and for what the encoder is off by. */
const pictureShare = 0.85
/** A frame takes some time however small it is: a few megabytes may hold millions of them. */
const leastMegapixels = 0.05
const keyFrameSeconds = 2
const bt709 = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', fullRange: false } as const

/** A picture track that is decoded and encoded anew. */
export interface Encoding {
  source: VideoSampleSource
  size: FilmSize
  /** Puts every frame into the source. */
  run(): Promise<void>
}

/**
 * Makes a film's pictures anew: upright, with square pixels, in SDR of BT.709 and 8 bits, over black where they are
 * transparent, as the poster shows them. Times are counted from `start`. Throws Undecodable with the reason where that
 * would take too long, before anything is encoded if the file tells.
 */
export async function encodingOf(
  track: InputVideoTrack,
  {
    codec,
    start,
    mostMegapixels = usualMegapixels,
  }: { codec: VideoCodec; start: number; mostMegapixels?: number | undefined },
): Promise<Encoding> {
  const seconds = Math.max(0.1, (await track.computeDuration()) - start)
  const shown = { width: await track.getDisplayWidth(), height: await track.getDisplayHeight() }
  const megapixels = Math.max(leastMegapixels, (shown.width * shown.height) / 1_000_000)
  const { averagePacketRate } = await track.computePacketStats(300)
  if (averagePacketRate * seconds * megapixels > mostMegapixels) throw tooMuch(shown)
  const size = encodedSize(shown)
  const bitrate = Math.min(mostBitrate, (maxInputBytes.video * 8 * pictureShare) / seconds)
  const source = new VideoSampleSource({
    codec,
    bitrate: Math.round(bitrate),
    keyFrameInterval: keyFrameSeconds,
    onEncodedPacket(_packet, metadata) {
      if (metadata?.decoderConfig) metadata.decoderConfig.colorSpace = bt709
    },
  })
  return { source, size, run: () => feed(track, source, { size, start, megapixels, mostMegapixels }) }
}

/** Sides are even, as 4:2:0 wants them. */
function encodedSize({ width, height }: FilmSize): FilmSize {
  const scale = Math.min(1, Math.sqrt(mostPixels / (width * height)))
  const [across, down] = [width, height].map((side) => Math.max(2, 2 * Math.round((side * scale) / 2)))
  return { width: across!, height: down! }
}

function tooMuch({ width, height }: FilmSize): Undecodable {
  return new Undecodable(
    `It would have to be encoded anew, and is too long for that at ${width} × ${height}: give a shorter or smaller film, or one in MP4 with H.264 in SDR.`,
  )
}

async function feed(
  track: InputVideoTrack,
  source: VideoSampleSource,
  {
    size,
    start,
    megapixels,
    mostMegapixels,
  }: { size: FilmSize } & Record<'start' | 'megapixels' | 'mostMegapixels', number>,
): Promise<void> {
  const { width, height } = size
  const draw = await frameDrawer(track, maxFramePixels, width * height)
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  context.imageSmoothingQuality = 'high'
  const beganAt = performance.now()
  let frames = 0
  let [last, duration] = [Number.NEGATIVE_INFINITY, 1 / 30]
  for await (const frame of allFramesOf(track)) {
    const timestamp = frame.seconds - start
    // what only the decoder needed, and what stands in the film twice
    if (timestamp < 0 || timestamp <= last) continue
    frames += 1
    // neither is the file's word on its length to be trusted, nor the machine's speed
    const allowedMs = Math.min(mostEncodingMs, msToBegin + frames * megapixels * msPerMegapixel)
    if (frames * megapixels > mostMegapixels || performance.now() - beganAt > allowedMs) throw tooMuch(size)
    if (last >= 0) duration = timestamp - last
    last = timestamp
    context.drawImage(await draw(frame), 0, 0, width, height)
    const rgba = canvas.data()
    const planes = new Uint8Array((width * height * 3) / 2)
    writePlanes(rgba, width, height, planes)
    // the pixels are outside the heap, where the garbage collector does not feel their weight
    ;(rgba.buffer as ArrayBuffer).transfer(0)
    const layout = { codedWidth: width, codedHeight: height, timestamp, duration, colorSpace: bt709 }
    using sample = new VideoSample(planes, { format: 'I420', ...layout })
    await source.add(sample)
  }
  source.close()
  if (frames === 0) throw new Undecodable('The video holds no picture that can be decoded.')
}
