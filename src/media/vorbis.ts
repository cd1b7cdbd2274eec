import { OggVorbisDecoder } from '@wasm-audio-decoders/ogg-vorbis'
import { AudioSample, CustomAudioDecoder, type EncodedPacket, registerDecoder } from 'mediabunny'

/**
 * Vorbis, which the codec library does not decode. This decoder wants the pages of an Ogg file, so each packet gets a page.
 */
class VorbisDecoder extends CustomAudioDecoder {
  readonly #decoder = new OggVorbisDecoder()
  #pages = 0
  #samples = 0
  #start: number | undefined

  static override supports(codec: string): boolean {
    return codec === 'vorbis'
  }

  async init(): Promise<void> {
    await this.#decoder.ready
    const [identification, comment, setup] = headersOf(this.config.description)
    await this.#decoder.decode(this.#page([identification], { isFirst: true }))
    await this.#decoder.decode(this.#page([comment, setup]))
  }

  async decode(packet: EncodedPacket): Promise<void> {
    this.#start ??= packet.timestamp
    this.#tell(await this.#decoder.decode(this.#page([packet.data])))
  }

  /** The last page is kept until it is known to be whole. Flushing forgets the headers, too. */
  async flush(): Promise<void> {
    this.#tell(await this.#decoder.flush())
    await this.init()
  }

  close(): void {
    this.#decoder.free()
  }

  #tell({ channelData, samplesDecoded, sampleRate }: Awaited<ReturnType<OggVorbisDecoder['decode']>>): void {
    if (samplesDecoded === 0) return
    const data = new Float32Array(samplesDecoded * channelData.length)
    for (const [index, channel] of channelData.entries()) data.set(channel, index * samplesDecoded)
    const timestamp = this.#start! + this.#samples / sampleRate
    const numberOfChannels = channelData.length
    this.#samples += samplesDecoded
    this.onSample(new AudioSample({ data, format: 'f32-planar', numberOfChannels, sampleRate, timestamp }))
  }

  #page(packets: Uint8Array[], { isFirst = false } = {}): Uint8Array {
    const lacing = packets.flatMap((packet) => [
      ...Array<number>(Math.floor(packet.length / 255)).fill(255),
      packet.length % 255,
    ])
    if (lacing.length > 255) throw new Error('a Vorbis packet is too long for a page')
    const header = Buffer.alloc(27)
    header.write('OggS', 'latin1')
    header[5] = isFirst ? 2 : 0
    // the position counts samples, which only a file that is cut at its end needs
    header.writeUInt32LE(this.#pages++, 18)
    header[26] = lacing.length
    return Buffer.concat([header, Buffer.from(lacing), ...packets])
  }
}

/** The three headers, as Matroska has them: their number less one, the lengths of all but the last, and themselves. */
function headersOf(description: AllowSharedBufferSource | undefined): [Uint8Array, Uint8Array, Uint8Array] {
  const bytes = ArrayBuffer.isView(description)
    ? new Uint8Array(description.buffer, description.byteOffset, description.byteLength)
    : new Uint8Array((description ?? new ArrayBuffer(0)) as ArrayBuffer)
  if (bytes[0] !== 2) throw new Error('Vorbis without its three headers')
  let at = 1
  const length = () => {
    let sum = 0
    while (bytes[at] === 255) sum += bytes[at++]!
    return sum + bytes[at++]!
  }
  const [first, second] = [length(), length()]
  const [comment, setup] = [at + first, at + first + second]
  return [bytes.subarray(at, comment), bytes.subarray(comment, setup), bytes.subarray(setup)]
}

registerDecoder(VorbisDecoder)
