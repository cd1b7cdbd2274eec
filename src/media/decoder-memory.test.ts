import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EncodedPacket, EncodedVideoPacketSource, FilePathTarget, Output, WebMOutputFormat } from 'mediabunny'
import { openMedia, picturesAt } from './frames.ts'

const [width, height] = [4096, 2304]
const pictures = 200
const directory = await mkdtemp(join(tmpdir(), 'filmgate-memory-'))
after(() => rm(directory, { recursive: true }))

/** One key frame, and one that says that nothing has changed. */
async function encodeTwo(): Promise<[key: Uint8Array, delta: Uint8Array]> {
  const found: Uint8Array[] = []
  const encoder = new VideoEncoder({
    output(chunk) {
      const bytes = new Uint8Array(chunk.byteLength)
      chunk.copyTo(bytes)
      found.push(bytes)
    },
    error: assert.ifError,
  })
  encoder.configure({ codec: 'vp8', width, height, bitrate: 1_000_000, framerate: 30 })
  const pixels = new Uint8Array(width * height * 1.5).fill(100)
  for (const [timestamp, keyFrame] of [true, false].entries()) {
    const size = { codedWidth: width, codedHeight: height }
    const frame = new VideoFrame(pixels, { format: 'I420', ...size, timestamp })
    encoder.encode(frame, { keyFrame })
    frame.close()
  }
  await encoder.flush()
  encoder.close()
  return [found[0]!, found[1]!]
}

/** A film whose last picture is reached through all of the others. */
async function makeFilm(): Promise<string> {
  const [key, delta] = await encodeTwo()
  const path = join(directory, 'film.webm')
  const output = new Output({ format: new WebMOutputFormat(), target: new FilePathTarget(path) })
  const source = new EncodedVideoPacketSource('vp8')
  output.addVideoTrack(source)
  await output.start()
  const decoderConfig = { codec: 'vp8', codedWidth: width, codedHeight: height }
  for (let index = 0; index < pictures; index++) {
    const packet =
      index === 0
        ? new EncodedPacket(key, 'key', 0, 0.01)
        : new EncodedPacket(delta, 'delta', index / 100, 0.01)
    await source.add(packet, { decoderConfig })
  }
  await output.finalize()
  return path
}

test('pictures that are passed over take no memory, however many there are behind one key frame', async () => {
  const path = await makeFilm()
  const before = process.resourceUsage().maxRSS
  using input = openMedia(path)
  const track = await input.getPrimaryVideoTrack()
  const shown = await Array.fromAsync(picturesAt(track!, [Number.POSITIVE_INFINITY]))
  assert.equal(shown.length, 1)
  const megabytes = (process.resourceUsage().maxRSS - before) / 1024
  // all of them are 2,800
  assert.ok(megabytes < 1_500, `${megabytes} MB`)
})
