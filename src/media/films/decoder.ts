import '../decoder-memory.ts'
import type { EncodedPacket, InputVideoTrack, VideoCodec } from 'mediabunny'
import { avcColour, withPlainColours } from './avc.ts'

/** A decoded picture, and where the film has transparency, that. Whoever takes it closes both. */
export interface FilmFrame {
  seconds: number
  picture: VideoFrame
  alpha: VideoFrame | undefined
}

/** How the names that a film's container has for codecs are said to the customer. */
export const codecNames: Partial<Record<VideoCodec, string>> = {
  avc: 'H.264',
  hevc: 'HEVC',
  av1: 'AV1',
  vp8: 'VP8',
  vp9: 'VP9',
}

/**
 * What the codec library is told. Whatever else a codec string says (profile, level, constraints) it only holds against
 * lists of its own, and refuses streams that its decoders play: a level of 31, which AV1 gives to any size.
 */
const plainNames: Partial<Record<VideoCodec, string>> = {
  avc: 'avc1',
  hevc: 'hvc1',
  av1: 'av1',
  vp8: 'vp8',
  vp9: 'vp9',
}
/** A film can't be decoded; the message may be shown to the customer. */
export class Undecodable extends Error {}

const mostWaiting = 8
/** The library's events don't come for certain. */
const secondLookMs = 20

/** Decodes the packets of a track in the order in which they come. */
export interface FilmDecoder {
  decode(packet: EncodedPacket): void
  /** Waits until there is room for another packet, or a frame. */
  ready(): Promise<void>
  /** The next frame in the order of presentation, if there is one; throws Undecodable. */
  take(): FilmFrame | undefined
  /** Makes the decoder give out what it holds back. */
  flush(): Promise<void>
  close(): void
}

export async function openDecoder(track: InputVideoTrack): Promise<FilmDecoder> {
  const codec = await track.getCodec()
  const name = codec === null ? undefined : plainNames[codec]
  const config = await track.getDecoderConfig().catch(() => null)
  if (codec === null || name === undefined || config === null) {
    const known = codec ?? (await track.getInternalCodecId())
    throw new Undecodable(`The video's codec ${codecName(known)} is not supported; ${acceptedCodecs}`)
  }
  const description = config.description && new Uint8Array(config.description as Uint8Array)
  return decodeWith(
    { codec: name, ...(description && { description: plainDescription(codec, description) }) },
    codec,
  )
}

/** A codec's name comes from the customer's file. */
export function codecName(codec: unknown): string {
  const text = codec instanceof Uint8Array ? Buffer.from(codec).toString('latin1') : String(codec ?? '')
  return /^[\w /.-]{1,32}$/.test(text) ? `"${text.trim()}"` : '(unnamed)'
}

const acceptedCodecs = 'H.264, HEVC, AV1, VP8 and VP9 are.'

function plainDescription(codec: VideoCodec, description: Uint8Array): Uint8Array {
  if (codec !== 'avc') return description
  const { chromaFormat = 1, fullRange, matrix } = avcColour(description) ?? {}
  return chromaFormat > 1 && (fullRange || matrix === 0) ? withPlainColours(description) : description
}

function decodeWith(config: VideoDecoderConfig, codec: VideoCodec): FilmDecoder {
  let wake = (): void => {}
  let failure: Undecodable | undefined
  const pictures: VideoFrame[] = []
  const alphas: VideoFrame[] = []
  /** Of what went in and did not come out yet: when it is shown, in order, and whether it has transparency. */
  const times: number[] = []
  const withAlpha: boolean[] = []
  const fail = (): void => {
    failure ??= new Undecodable(
      `The video cannot be decoded: its ${codecNames[codec]} data is damaged or incomplete.`,
    )
    wake()
  }
  const open = (frames: VideoFrame[], error: () => void): VideoDecoder => {
    const decoder = new VideoDecoder({
      output(frame) {
        frames.push(frame)
        wake()
      },
      error,
    })
    decoder.ondequeue = () => wake()
    decoder.configure(config)
    return decoder
  }
  let main: VideoDecoder | undefined
  let second: VideoDecoder | undefined
  const dropSecond = (): void => {
    // what is transparent can't be told from here on: shown as if nothing were
    second = undefined
    withAlpha.fill(false)
    wake()
  }
  const isBusy = () => (main?.decodeQueueSize ?? 0) + (second?.decodeQueueSize ?? 0) >= mostWaiting
  const hasFrame = () => pictures.length > 0 && !(withAlpha[0] === true && alphas.length === 0)
  return {
    decode(packet) {
      if (failure !== undefined) return
      if (isShown(codec, packet.data)) {
        insertSorted(times, packet.timestamp)
        withAlpha.push(packet.sideData.alpha !== undefined)
      }
      try {
        main ??= open(pictures, fail)
        main.decode(packet.toEncodedVideoChunk())
      } catch {
        fail()
      }
      if (packet.sideData.alpha === undefined) return
      try {
        second ??= open(alphas, dropSecond)
        second.decode(packet.alphaToEncodedVideoChunk())
      } catch {
        dropSecond()
      }
    },
    async ready() {
      while (isBusy() && !hasFrame() && failure === undefined) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, secondLookMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    },
    take() {
      if (!hasFrame()) {
        if (failure !== undefined) throw failure
        return undefined
      }
      const alpha = withAlpha.shift() === true ? alphas.shift() : undefined
      return { seconds: times.shift() ?? 0, picture: pictures.shift()!, alpha }
    },
    async flush() {
      const flushed = Promise.all([main?.flush(), second?.flush().catch(dropSecond)])
      // the library's decoders don't keep the process alive
      const alive = setInterval(() => {}, 1000)
      await flushed.catch(fail)
      clearInterval(alive)
      withAlpha.fill(false, alphas.length)
    },
    close() {
      for (const frame of [...pictures, ...alphas]) frame.close()
      for (const decoder of [main, second]) if (decoder && decoder.state !== 'closed') decoder.close()
    },
  }
}

/** VP8 has packets that only later ones refer to: no picture comes out for them. */
function isShown(codec: VideoCodec, data: Uint8Array): boolean {
  return codec !== 'vp8' || ((data[0] ?? 0) & 0x10) !== 0
}

function insertSorted(times: number[], time: number): void {
  let at = times.length
  while (at > 0 && times[at - 1]! > time) at -= 1
  times.splice(at, 0, time)
}
