import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Canvas, createCanvas, loadImage } from '@napi-rs/canvas'
import { openMedia, picturesAt } from '../../media/frames.ts'
import { sniff } from '../../media/image.ts'
import { createLocalStorage } from '../../storage/local.ts'
import type { InputMedia, Json } from '../provider.ts'
import { openFilm } from './film.ts'
import { accepted, ended, inspectFilm, requestOf } from './fixture.ts'
import { createSandbox } from './sandbox.ts'

const directory = await mkdtemp(join(tmpdir(), 'filmgate-compose-'))
const storage = await createLocalStorage({ directory: join(directory, 'files') })
const sandbox = createSandbox({ storage, temporaryDirectory: directory, threads: 1 })
after(async () => {
  await sandbox.close()
  await rm(directory, { recursive: true })
})

type Colour = 'red' | 'green' | 'blue'

function plain(colour: string, width: number, height: number): Canvas {
  const canvas = createCanvas(width, height)
  const context = canvas.getContext('2d')
  context.fillStyle = colour
  context.fillRect(0, 0, width, height)
  return canvas
}

async function picture(colour: string): Promise<InputMedia> {
  const path = join(directory, `${colour}.png`)
  await writeFile(path, plain(colour, 320, 180).toBuffer('image/png'))
  return { path, contentType: 'image/png', kind: 'image', width: 320, height: 180 }
}

/** A film of half a second of each colour. */
async function film(...colours: Colour[]): Promise<InputMedia> {
  const path = join(directory, `${colours.join('-')}.mp4`)
  const size = { width: 320, height: 180 }
  const frames = 12 * colours.length
  const made = await openFilm({ path, ...size, framesPerSecond: 24, frames, sound: null })
  for (const colour of colours) {
    const canvas = plain(colour, size.width, size.height)
    for (let frame = 0; frame < 12; frame += 1) await made.add(canvas, { newShot: frame === 0 })
  }
  await made.finish()
  const durationSeconds = colours.length / 2
  return { path, contentType: 'video/mp4', kind: 'video', ...size, durationSeconds, hasSound: false }
}

/** Renders one job and answers with its files. */
async function render(
  capability: string,
  input: Record<string, Json>,
  media: Record<string, InputMedia[]> = {},
): Promise<string[]> {
  const model = { slug: `acme/painter/${capability}`, capability }
  const jobId = `job_${Math.random().toString(36).slice(2)}`
  const outcome = await ended(
    sandbox,
    await accepted(sandbox, { ...requestOf({}), jobId, model, input, media }),
  )
  assert.equal(outcome.status, 'succeeded', JSON.stringify(outcome))
  return outcome.outputs.map(({ type, source }) => {
    assert.equal(type, capability.endsWith('image') ? 'image' : 'video')
    assert.ok('key' in source)
    return join(directory, 'files', source.key)
  })
}

/** The strongest colour at a place, given as shares of width and height. */
function colourAt(picture: Canvas, x: number, y: number): Colour {
  const place = [Math.floor(x * picture.width), Math.floor(y * picture.height), 1, 1] as const
  const [red, green, blue] = picture.getContext('2d').getImageData(...place).data
  const most = Math.max(red!, green!, blue!)
  return most === red ? 'red' : most === green ? 'green' : 'blue'
}

async function still(path: string): Promise<Canvas> {
  const image = await loadImage(path)
  const canvas = createCanvas(image.width, image.height)
  canvas.getContext('2d').drawImage(image, 0, 0)
  return canvas
}

/** The frames of a film at these times, all of them as long as the film. */
async function framesOf(path: string, ...seconds: number[]): Promise<Canvas[]> {
  using input = openMedia(path)
  return await Array.fromAsync(picturesAt((await input.getPrimaryVideoTrack())!, seconds))
}

test('pictures are painted as JPEG in the asked number and size, each another one', async () => {
  const input = { prompt: 'A calm sea', resolution: '512p', aspect_ratio: '4:3', num_images: '2' }
  const files = await render('text-to-image', input)
  const contents = await Promise.all(files.map((file) => readFile(file)))
  assert.equal(contents.length, 2)
  assert.notDeepEqual(contents[0], contents[1])
  for (const content of contents) {
    assert.equal(await sniff(content), 'image/jpeg')
    const { width, height } = await loadImage(content)
    assert.deepEqual([width, height], [592, 444])
  }
})

test('an edited picture is made of the customer’s, further ones lie on it, and it bears the mark', async () => {
  const media = { image_urls: [await picture('red'), await picture('blue')] }
  const [file] = await render('edit-image', { prompt: 'make it warm', resolution: '512p' }, media)
  const shown = await still(file!)
  assert.equal(shown.width / shown.height > 1.7, true)
  assert.equal(colourAt(shown, 0.5, 0.4), 'red')
  assert.equal(colourAt(shown, 0.1, 0.85), 'blue')
  const mark = shown.getContext('2d').getImageData(shown.width - 60, 14, 40, 16).data
  const greens = mark.filter((_, at) => at % 4 === 1)
  assert.ok(Math.max(...greens) > 150 && Math.min(...greens) < 60, `${Math.max(...greens)}`)
})

test('a film between two pictures starts on the first and ends on the last', async () => {
  const media = { end_frame_url: [await picture('blue')], start_frame_url: [await picture('red')] }
  const input = { prompt: 'from one to the other', duration: '1', resolution: '480p', aspect_ratio: '1:1' }
  const [file] = await render('start-end-frame-to-video', input, media)
  const [first, last] = await framesOf(file!, 0, 0.99)
  assert.deepEqual([first!.width, first!.height], [480, 480])
  assert.equal(colourAt(first!, 0.5, 0.5), 'red')
  assert.equal(colourAt(last!, 0.5, 0.5), 'blue')
})

test('an edited film is the customer’s own, moving, and as long', async () => {
  const media = { video_url: [await film('red', 'green', 'blue')], images: [await picture('blue')] }
  const [file] = await render('video-edit', { prompt: 'pastel colours', resolution: '480p' }, media)
  const facts = await inspectFilm(file!)
  assert.deepEqual([facts.videoSeconds, facts.frames], [1.5, 36])
  const shown = await framesOf(file!, 0.2, 0.7, 1.2)
  assert.deepEqual(
    shown.map((frame) => colourAt(frame, 0.5, 0.4)),
    ['red', 'green', 'blue'],
  )
  assert.equal(colourAt(shown[0]!, 0.1, 0.85), 'blue')
})

test('an extension goes on from the last frame of the customer’s film, for the asked length', async () => {
  const media = { video_url: [await film('red', 'green')] }
  const [file] = await render('extend-video', { duration: '1', resolution: '480p' }, media)
  const [first, last] = await framesOf(file!, 0, 0.99)
  assert.equal(colourAt(first!, 0.5, 0.5), 'green')
  assert.equal(colourAt(last!, 0.5, 0.5), 'green')
})

test('a film that cannot be decoded fails the job as invalid input', async () => {
  const path = join(directory, 'junk.mp4')
  await writeFile(path, 'no film at all')
  for (const capability of ['video-edit', 'extend-video']) {
    const model = { slug: `acme/painter/${capability}`, capability }
    const media = { video_url: [{ ...(await film('red')), path }] }
    const request = { ...requestOf({}), jobId: `job_${capability}`, model, media }
    const outcome = await ended(sandbox, await accepted(sandbox, request))
    assert.equal(outcome.status === 'failed' && outcome.code, 'INPUT_MEDIA_INVALID')
  }
})

test('a motion is shown beside the picture that takes it on', async () => {
  const media = { image: [await picture('red')], video: [await film('green', 'blue')] }
  const [file] = await render('motion-control', { resolution: '480p' }, media)
  const shown = await framesOf(file!, 0.2, 0.8)
  assert.deepEqual(
    shown.map((frame) => [colourAt(frame, 0.6, 0.4), colourAt(frame, 0.1, 0.85)]),
    [
      ['red', 'green'],
      ['red', 'blue'],
    ],
  )
})

test('pictures inside elements lie on the scene', async () => {
  const media = { image_url: [await picture('red')], 'elements.characterImages': [await picture('green')] }
  const input = { prompt: 'zoom in', duration: '1', resolution: '480p' }
  const [file] = await render('image-to-video-elements', input, media)
  const [first] = await framesOf(file!, 0)
  assert.equal(colourAt(first!, 0.5, 0.4), 'red')
  assert.equal(colourAt(first!, 0.1, 0.85), 'green')
})

test('a film runs at the asked frames a second', async () => {
  const input = { prompt: 'Sea', duration: '1', resolution: '480p', fps: '60' }
  const [file] = await render('text-to-video', input)
  const facts = await inspectFilm(file!)
  assert.deepEqual([facts.frames, facts.videoSeconds], [60, 1])
})
