import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import '@napi-rs/webcodecs/polyfill'
import { createCanvas, loadImage, type SKRSContext2D } from '@napi-rs/canvas'
import {
  AudioSample,
  AudioSampleSource,
  FilePathTarget,
  Mp4OutputFormat,
  Output,
  VideoSample,
  VideoSampleSource,
} from 'mediabunny'
import { decodeEveryFrame } from './frames.ts'
import { createMedia } from './media.ts'

const directory = await mkdtemp(join(tmpdir(), 'filmgate-inspect-'))
const media = createMedia()
after(async () => {
  await media.close()
  await rm(directory, { recursive: true })
})

const [width, height, framesPerSecond] = [640, 360, 24]

type Paint = (context: SKRSContext2D, frame: number) => void

async function makeVideo(name: string, frames: number, paint: Paint, options: { sound?: boolean } = {}) {
  const path = join(directory, name)
  const output = new Output({
    format: new Mp4OutputFormat({ fastStart: 'in-memory' }),
    target: new FilePathTarget(path),
  })
  const video = new VideoSampleSource({ codec: 'avc', bitrate: 2_000_000 })
  const audio = new AudioSampleSource({ codec: 'aac', bitrate: 96_000 })
  output.addVideoTrack(video, { frameRate: framesPerSecond })
  if (options.sound) output.addAudioTrack(audio)
  await output.start()
  const canvas = createCanvas(width, height)
  for (let frame = 0; frame < frames; frame += 1) {
    paint(canvas.getContext('2d'), frame)
    const bytes = canvas.data()
    using sample = new VideoSample(bytes, {
      format: 'RGBA',
      codedWidth: width,
      codedHeight: height,
      timestamp: frame / framesPerSecond,
      duration: 1 / framesPerSecond,
    })
    await video.add(sample)
  }
  if (options.sound) {
    const samples = (48_000 * frames) / framesPerSecond
    using sample = new AudioSample({
      data: Float32Array.from({ length: samples }, (_, index) => 0.1 * Math.sin(index / 20)),
      format: 'f32-planar',
      numberOfChannels: 1,
      sampleRate: 48_000,
      timestamp: 0,
    })
    await audio.add(sample)
  }
  await output.finalize()
  return path
}

function fill(context: SKRSContext2D, style: string): void {
  context.fillStyle = style
  context.fillRect(0, 0, width, height)
}

function paintScene(context: SKRSContext2D): void {
  fill(context, '#336699')
  context.fillStyle = '#ffcc66'
  context.fillRect(100, 60, 300, 200)
}

async function pixel(jpeg: Uint8Array, x: number, y: number) {
  const image = await loadImage(Buffer.from(jpeg))
  const context = createCanvas(image.width, image.height).getContext('2d')
  context.drawImage(image, 0, 0)
  const [red, green, blue] = context.getImageData(
    Math.round(x * image.width),
    Math.round(y * image.height),
    1,
    1,
  ).data
  return { red: red!, green: green!, blue: blue!, width: image.width, height: image.height }
}

/** A WAVE file of 48 kHz and 16 bits on one channel. */
function wave(samples: number): Buffer {
  const header = Buffer.alloc(44)
  header.write('RIFF', 0)
  header.writeUInt32LE(36 + 2 * samples, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(48_000, 24)
  header.writeUInt32LE(96_000, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write('data', 36)
  header.writeUInt32LE(2 * samples, 40)
  const tone = Int16Array.from({ length: samples }, (_, index) => 8_000 * Math.sin(index / 20))
  return Buffer.concat([header, Buffer.from(tone.buffer)])
}

test('a video tells size, duration and tracks, and shows its first good frame', async () => {
  const path = await makeVideo(
    'fade.mp4',
    48,
    (context, frame) => {
      if (frame < 12) fill(context, 'black')
      else if (frame < 18) fill(context, '#777777')
      else paintScene(context)
    },
    { sound: true },
  )
  const found = await media.inspect(path)
  assert.ok(found.ok && found.type === 'video')
  assert.deepEqual([found.width, found.height, found.durationSeconds], [width, height, 2])
  assert.deepEqual([found.contentType, found.format], ['video/mp4', 'mp4'])
  assert.deepEqual(
    found.tracks.map(({ type, codec }) => [type, codec]),
    [
      ['video', 'avc'],
      ['audio', 'aac'],
    ],
  )
  const inside = await pixel(found.poster, 0.4, 0.4)
  assert.deepEqual([inside.width, inside.height], [width, height])
  assert.ok(inside.red > 200 && inside.blue < 150, JSON.stringify(inside))
  const small = await pixel(found.thumbnail, 0.4, 0.4)
  assert.deepEqual([small.width, small.height], [480, 270])
  assert.ok(small.red > 200 && small.blue < 150, JSON.stringify(small))
})

test('a video without any good frame still has a poster', async () => {
  const path = await makeVideo('black.mp4', 24, (context) => fill(context, 'black'))
  const found = await media.inspect(path)
  assert.ok(found.ok && found.type === 'video')
  assert.ok((await pixel(found.poster, 0.5, 0.5)).red < 30)
})

test('every frame and sample of a good file decodes, and of a cut-off one nothing is claimed', async () => {
  const path = await makeVideo('good.mp4', 36, paintScene, { sound: true })
  const count = await decodeEveryFrame(path)
  assert.ok(count.ok)
  assert.deepEqual(
    [count.videoFrames, count.width, count.height, count.durationSeconds],
    [36, width, height, 1.5],
  )
  assert.ok(Math.abs(count.audioSamples - 72_000) < 3_000, `${count.audioSamples}`)
  const bytes = await readFile(path)
  const cut = join(directory, 'cut.mp4')
  await writeFile(cut, bytes.subarray(0, Math.floor(bytes.length * 0.7)))
  const found = await media.inspect(cut)
  assert.deepEqual(found, { ok: false, message: 'The file is cut off.' })
})

test('a customer’s film and sound tell what they are, and only where such a file is wanted', async () => {
  const film = await makeVideo('asked.mp4', 36, paintScene, { sound: true })
  const facts = {
    kind: 'video',
    contentType: 'video/mp4',
    width,
    height,
    durationSeconds: 1.5,
    hasSound: true,
  }
  assert.deepEqual(await media.checkInput(film, ['image', 'video']), { ok: true, ...facts })
  const sound = join(directory, 'sound.wav')
  await writeFile(sound, wave(4_800))
  const heard = { ok: true, kind: 'audio', contentType: 'audio/wav', durationSeconds: 0.1 }
  assert.deepEqual(await media.checkInput(sound, ['audio']), heard)
  assert.deepEqual(await media.checkInput(film, ['image']), {
    ok: false,
    message: 'The file is not a picture (JPEG, PNG, WebP, GIF, AVIF, HEIC, HEIF, BMP or TIFF).',
  })
  const neither =
    'The file is not a picture (JPEG, PNG, WebP, GIF, AVIF, HEIC, HEIF, BMP or TIFF), nor a video (MP4, WebM, MOV, M4V or MKV).'
  assert.deepEqual(await media.checkInput(sound, ['image', 'video']), { ok: false, message: neither })
})

test('a customer’s film that is cut off is invalid', async () => {
  const bytes = await readFile(await makeVideo('whole.mp4', 36, paintScene))
  const path = join(directory, 'cut-input.mp4')
  await writeFile(path, bytes.subarray(0, Math.floor(bytes.length * 0.7)))
  assert.deepEqual(await media.checkInput(path, ['video']), { ok: false, message: 'The file is cut off.' })
})

/** Makes a film's container say another size than its pictures have. */
async function claimSize(path: string, width: number, height: number): Promise<void> {
  const bytes = await readFile(path)
  const header = bytes.indexOf('tkhd') - 4
  const headerEnd = header + bytes.readUInt32BE(header)
  const sample = bytes.indexOf('avc1', bytes.indexOf('stsd'))
  for (const [index, size] of [width, height].entries()) {
    // as a 16.16 fixed point number, then as a plain one
    bytes.writeUInt32BE(size * 65_536, headerEnd - 8 + 4 * index)
    bytes.writeUInt16BE(size, sample + 28 + 2 * index)
  }
  await writeFile(path, bytes)
}

test('a film of more than 10 megapixels is refused, as several are decoded at once', async () => {
  const path = await makeVideo('large.mp4', 2, paintScene)
  await claimSize(path, 4096, 2304)
  assert.equal((await media.checkInput(path, ['video'])).ok, true)
  await claimSize(path, 4096, 2560)
  assert.deepEqual(await media.checkInput(path, ['video']), {
    ok: false,
    message: 'The video has 4096 × 2560 pixels; at most 10 megapixels are accepted.',
  })
})

test('a film whose pictures are larger than its container says is refused, however small that is', async () => {
  const path = await makeVideo('liar.mp4', 2, paintScene)
  await claimSize(path, 16, 16)
  const honest = await media.checkInput(path, ['video'])
  assert.ok(honest.ok && honest.kind === 'video')
  assert.deepEqual([honest.width, honest.height], [16, 16])
  const strict = createMedia({ maxPixels: width * height - 1 })
  assert.deepEqual(await strict.checkInput(path, ['video']), {
    ok: false,
    message: 'The video has 640 × 360 pixels; at most 0 megapixels are accepted.',
  })
  assert.equal((await strict.inspect(path)).ok, false)
  await strict.close()
})

test('what is no media file is told so', async () => {
  const path = join(directory, 'page.mp4')
  for (const content of ['', '<html>Not found</html>', '\0\0\0\x18ftypisom\0\0\x02\0isommp41']) {
    await writeFile(path, content)
    assert.equal((await media.inspect(path)).ok, false, content)
    assert.equal((await decodeEveryFrame(path)).ok, false, content)
  }
})

test('a playlist is no media file, whatever files it names', async () => {
  const target = await makeVideo('target.mp4', 12, paintScene)
  const path = join(directory, 'playlist.mp4')
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    '#EXT-X-TARGETDURATION:1',
    '#EXTINF:0.5,',
    target,
    '#EXT-X-ENDLIST',
  ]
  await writeFile(path, lines.join('\n'))
  assert.deepEqual(await media.inspect(path), { ok: false, message: 'The file is no media file.' })
})

test('a file that is not there is an error with its code, not a verdict', async () => {
  const path = join(directory, 'absent.mp4')
  await assert.rejects(media.inspect(path), { code: 'ENOENT' })
  await assert.rejects(media.checkInput(path, ['image']), { code: 'ENOENT' })
})

test('a picture has previews too, and a small one is not blown up', async () => {
  const path = join(directory, 'picture.png')
  const canvas = createCanvas(200, 100)
  canvas.getContext('2d').fillRect(0, 0, 100, 100)
  await writeFile(path, canvas.toBuffer('image/png'))
  const found = await media.inspect(path)
  assert.ok(found.ok && found.type === 'image')
  assert.deepEqual([found.format, found.width, found.height], ['png', 200, 100])
  assert.deepEqual(await pixel(found.thumbnail, 0.9, 0.5), {
    red: 255,
    green: 255,
    blue: 255,
    width: 200,
    height: 100,
  })
})

test('a task that exceeds its time is ended, and the next one works', async () => {
  const path = await makeVideo('slow.mp4', 24, paintScene)
  const hasty = createMedia({ taskTimeLimitMs: 1 })
  const message = 'The file could not be decoded in time.'
  assert.deepEqual(await hasty.inspect(path), { ok: false, message })
  assert.deepEqual(await hasty.checkInput(path, ['image']), { ok: false, message })
  await hasty.close()
  assert.equal((await media.inspect(path)).ok, true)
})
