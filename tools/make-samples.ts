// Makes the sample files of src/samples/files anew: `node tools/make-samples.ts`. They are painted by the demo's cat and
// by the sandbox's scenes, so that their rights are the project's own.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Canvas, createCanvas, loadImage } from '@napi-rs/canvas'
import { AudioData, AudioEncoder } from '@napi-rs/webcodecs'
import { EncodedAudioPacketSource, EncodedPacket, FilePathTarget, Mp3OutputFormat, Output } from 'mediabunny'
import { drawCat } from '../demo/cat.ts'
import { openFilm, samplesPerSecond } from '../src/providers/sandbox/film.ts'
import { textToVideo } from '../src/providers/sandbox/text-to-video.ts'

const [width, height] = [1280, 720]
const framesPerSecond = 24
const filmSeconds = 4
const soundSeconds = 6
const beatsPerSecond = 2
const folder = join(import.meta.dirname, '../src/samples/files')

const pictures = {
  start: { prompt: 'A green meadow with flowers at noon', seed: 5 },
  end: { prompt: 'A green meadow with flowers at night', seed: 5 },
  second: { prompt: 'A mountain lake at sunset', seed: 3 },
  hall: { prompt: 'A large room with tall windows in the morning', seed: 8 },
  dancer: { prompt: 'A person on a city street in the rain at dusk', seed: 4 },
  'character-a': { prompt: 'A person on a street at golden evening light', seed: 11 },
}
const films = {
  video: { prompt: 'A mountain valley in clear morning light, slow dolly in', seed: 2 },
  dance: { prompt: 'People on a quiet street at dusk, static shot', seed: 7 },
}

await save('image.jpg', await scaledCat())
for (const [name, { prompt, seed }] of Object.entries(pictures)) {
  await save(`${name}.jpg`, paint(prompt, seed, 0.4).encode('jpeg', 82))
}
for (const [name, { prompt, seed }] of Object.entries(films)) await makeFilm(name, prompt, seed)
await makeRhythm()

async function save(name: string, bytes: Buffer | Promise<Buffer>): Promise<void> {
  const written = await bytes
  await writeFile(join(folder, name), written)
  console.log(`${name} ${written.length} bytes`)
}

async function scaledCat(): Promise<Buffer> {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  context.imageSmoothingQuality = 'high'
  context.drawImage(await loadImage(drawCat()), 0, 0, width, height)
  return canvas.encode('jpeg', 82)
}

function paint(prompt: string, seed: number, progress: number): Canvas {
  const canvas = createCanvas(width, height)
  textToVideo(prompt, width, height, seed).paint(canvas.getContext('2d'), progress, progress * filmSeconds)
  return canvas
}

async function makeFilm(name: string, prompt: string, seed: number): Promise<void> {
  const frames = filmSeconds * framesPerSecond
  const film = await openFilm({
    path: join(folder, `${name}.mp4`),
    width,
    height,
    framesPerSecond,
    frames,
    sound: null,
  })
  const scene = textToVideo(prompt, width, height, seed)
  const canvas = createCanvas(width, height)
  for (let frame = 0; frame < frames; frame += 1) {
    scene.paint(canvas.getContext('2d'), frame / frames, frame / framesPerSecond)
    await film.add(canvas, { newShot: false })
  }
  await film.finish()
  console.log(`${name}.mp4`)
}

/** A drum on every beat and a higher one between: mono, so that the file stays small. */
async function makeRhythm(): Promise<void> {
  const output = new Output({
    format: new Mp3OutputFormat(),
    target: new FilePathTarget(join(folder, 'rhythm.mp3')),
  })
  const source = new EncodedAudioPacketSource('mp3')
  output.addAudioTrack(source)
  await output.start()
  const packets: Promise<void>[] = []
  const encoder = new AudioEncoder({
    output(chunk, metadata) {
      const data = new Uint8Array(chunk.byteLength)
      chunk.copyTo(data)
      const packet = new EncodedPacket(
        data,
        'key',
        chunk.timestamp / 1_000_000,
        (chunk.duration ?? 0) / 1_000_000,
      )
      packets.push(source.add(packet, metadata as never))
    },
    error(error) {
      throw error
    },
  })
  encoder.configure({ codec: 'mp3', sampleRate: samplesPerSecond, numberOfChannels: 1, bitrate: 64_000 })
  const data = rhythm()
  const audio = {
    format: 'f32-planar',
    sampleRate: samplesPerSecond,
    numberOfChannels: 1,
    timestamp: 0,
  } as const
  encoder.encode(new AudioData({ ...audio, numberOfFrames: data.length, data }))
  await encoder.flush()
  await Promise.all(packets)
  await output.finalize()
  console.log('rhythm.mp3')
}

function rhythm(): Float32Array {
  const sound = new Float32Array(soundSeconds * samplesPerSecond)
  for (let index = 0; index < sound.length; index += 1) {
    const beat = (index / samplesPerSecond) * beatsPerSecond
    const low = drum(beat % 1, 62, 7)
    const high = drum((beat + 0.5) % 1, 196, 16)
    sound[index] = 0.6 * low + 0.25 * high
  }
  return sound
}

/** One stroke: `share` of a beat after it began, a falling tone that dies away. */
function drum(share: number, hertz: number, decay: number): number {
  const seconds = share / beatsPerSecond
  return Math.sin(2 * Math.PI * hertz * seconds * (1 - 0.3 * share)) * Math.exp(-decay * share)
}
