import '@napi-rs/webcodecs/polyfill'

/** A second of MP3, frame behind frame. */
export async function mp3(): Promise<Buffer> {
  const frames: Buffer[] = []
  const encoder = new AudioEncoder({
    output(chunk) {
      const bytes = Buffer.alloc(chunk.byteLength)
      chunk.copyTo(bytes)
      frames.push(bytes)
    },
    error(error) {
      throw error
    },
  })
  encoder.configure({ codec: 'mp3', sampleRate: 44_100, numberOfChannels: 1, bitrate: 64_000 })
  const tone = Float32Array.from({ length: 44_100 }, (_, index) => 0.2 * Math.sin(index / 20))
  encoder.encode(
    new AudioData({
      format: 'f32-planar',
      sampleRate: 44_100,
      numberOfFrames: 44_100,
      numberOfChannels: 1,
      timestamp: 0,
      data: tone,
    }),
  )
  const alive = setInterval(() => {}, 1000)
  await encoder.flush()
  clearInterval(alive)
  encoder.close()
  return Buffer.concat(frames)
}

/** Half a second of 16-bit sound in one channel. */
export function wave({
  form,
  isExtensible = false,
  coding = 1,
}: {
  form: 'RIFF' | 'RF64' | 'BW64'
  isExtensible?: boolean
  coding?: number
}): Buffer {
  const samples = Int16Array.from({ length: 24_000 }, (_, index) => 8_000 * Math.sin(index / 20))
  const data = Buffer.from(samples.buffer)
  const described = Buffer.alloc(isExtensible ? 40 : 16)
  described.writeUInt16LE(isExtensible ? 0xfffe : coding, 0)
  described.writeUInt16LE(1, 2)
  described.writeUInt32LE(48_000, 4)
  described.writeUInt32LE(96_000, 8)
  described.writeUInt16LE(2, 12)
  described.writeUInt16LE(16, 14)
  if (isExtensible) {
    described.writeUInt16LE(22, 16)
    described.writeUInt16LE(16, 18)
    described.writeUInt16LE(coding, 24)
    described.write('\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71', 26, 'latin1')
  }
  const chunk = (name: string, body: Buffer, size = body.length) => {
    const header = Buffer.alloc(8)
    header.write(name, 0, 'latin1')
    header.writeUInt32LE(size, 4)
    return Buffer.concat([header, body])
  }
  const is64 = form !== 'RIFF'
  const sizes = Buffer.alloc(28)
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    ...(is64 ? [chunk('ds64', sizes)] : []),
    chunk('fmt ', described),
    chunk('data', data, is64 ? 0xffffffff : data.length),
  ])
  if (is64) {
    const at = body.indexOf('ds64') + 8
    body.writeBigUInt64LE(BigInt(body.length), at)
    body.writeBigUInt64LE(BigInt(data.length), at + 8)
    body.writeBigUInt64LE(BigInt(samples.length), at + 16)
  }
  return chunk(form, body, is64 ? 0xffffffff : body.length)
}
