import '@napi-rs/webcodecs/polyfill'

/** Reads one sample as a number from -1 to 1. */
type Read = (view: DataView, at: number) => number

const readers: Record<string, { bytes: number; read: Read }> = {
  u8: { bytes: 1, read: (view, at) => (view.getUint8(at) - 128) / 128 },
  s16: { bytes: 2, read: (view, at) => view.getInt16(at, true) / 32_768 },
  s32: { bytes: 4, read: (view, at) => view.getInt32(at, true) / 2_147_483_648 },
  f32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
}

const { copyTo } = AudioData.prototype

/**
 * The codec library ends the whole process where it is to copy samples in another format than they have, as of each FLAC in
 * 16 bits. So they are copied as they are, and made floating-point numbers here. Other formats are refused: who asks then
 * asks for that one.
 */
AudioData.prototype.copyTo = function copyAs(this: AudioData, destination, options) {
  const { format: own, numberOfFrames, numberOfChannels } = this
  const { format = own, planeIndex, frameOffset = 0 } = options
  if (format === own) return copyTo.call(this, destination, options)
  const reader = readers[own?.replace('-planar', '') ?? '']
  if (format !== 'f32-planar' || reader === undefined) {
    throw new DOMException(`${own} can't be copied as ${format}`, 'NotSupportedError')
  }
  const isPlanar = own!.endsWith('-planar')
  const channels = isPlanar ? 1 : numberOfChannels
  const bytes = new Uint8Array(numberOfFrames * channels * reader.bytes)
  copyTo.call(this, bytes, { planeIndex: isPlanar ? planeIndex : 0 })
  const from = new DataView(bytes.buffer)
  const to = ArrayBuffer.isView(destination)
    ? new DataView(destination.buffer, destination.byteOffset, destination.byteLength)
    : new DataView(destination)
  const count = Math.min(options.frameCount ?? numberOfFrames, numberOfFrames - frameOffset)
  for (let frame = 0; frame < count; frame++) {
    const at = ((frameOffset + frame) * channels + (isPlanar ? 0 : planeIndex)) * reader.bytes
    to.setFloat32(frame * 4, reader.read(from, at), true)
  }
}

/** The samples, begun at another moment. */
function moved(data: AudioData, timestamp: number): AudioData {
  const { format, sampleRate, numberOfFrames, numberOfChannels } = data
  const planes = format!.endsWith('-planar') ? numberOfChannels : 1
  const parts = Array.from({ length: planes }, (_, planeIndex) => {
    const bytes = new Uint8Array(data.allocationSize({ planeIndex }))
    copyTo.call(data, bytes, { planeIndex })
    return bytes
  })
  data.close()
  return new AudioData({
    format: format!,
    sampleRate,
    numberOfFrames,
    numberOfChannels,
    timestamp,
    data: Buffer.concat(parts),
  })
}

/** By so much a decoder may err, in µs. */
const tolerance = 1_000

/** The codec library gives the last sounds of a FLAC the times of earlier ones: they follow those before them. */
class OrderedDecoder extends globalThis.AudioDecoder {
  readonly #restart: () => void

  constructor({ output, error }: AudioDecoderInit) {
    let end = Number.NEGATIVE_INFINITY
    super({
      output(data) {
        const ordered = data.timestamp < end - tolerance ? moved(data, end) : data
        end = ordered.timestamp + ordered.duration
        output(ordered)
      },
      error,
    })
    this.#restart = () => {
      end = Number.NEGATIVE_INFINITY
    }
  }

  override configure(config: AudioDecoderConfig): void {
    this.#restart()
    super.configure(config)
  }

  override async flush(): Promise<void> {
    await super.flush()
    this.#restart()
  }
}

globalThis.AudioDecoder = OrderedDecoder
