import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { InputMedia, Json } from '../provider.ts'
import { filmRequestOf } from './fixture.ts'
import { readRenderRequest } from './request.ts'

function read(input: Record<string, Json>) {
  return filmRequestOf({ prompt: 'Sea', ...input })
}

function readStill(input: Record<string, Json>, media: Record<string, InputMedia[]> = {}) {
  const model = { slug: 'acme/painter/edit-image', capability: 'edit-image' }
  const reading = readRenderRequest({ model, input: { prompt: 'Sea', ...input }, media })
  assert.ok('request' in reading && reading.request.type === 'image', JSON.stringify(reading))
  return reading.request
}

function framesOf(input: Record<string, Json>): number[] {
  return read(input).shots.map((shot) => shot.frames)
}

function picture(path: string, width = 300, height = 200): InputMedia {
  return { path, contentType: 'image/png', kind: 'image', width, height }
}

function film(path: string, durationSeconds: number, hasSound = false): InputMedia {
  const size = { width: 320, height: 640 }
  return { path, contentType: 'video/mp4', kind: 'video', ...size, durationSeconds, hasSound }
}

test('the frame has the asked shape and short side, and even sides', () => {
  const sizes: [Record<string, Json>, [number, number]][] = [
    [{}, [1280, 720]],
    [{ aspect_ratio: '9:16' }, [720, 1280]],
    [{ aspect_ratio: '1:1', quality: 'pro' }, [1080, 1080]],
    [{ aspect_ratio: '16:9', quality: 'pro' }, [1920, 1080]],
    [{ aspect_ratio: '4:3', resolution: '720p' }, [960, 720]],
    [{ aspect_ratio: '21:9', resolution: '1080p' }, [2520, 1080]],
    [{ aspect_ratio: '2:3' }, [720, 1080]],
    [{ resolution: '480p' }, [854, 480]],
    [{ resolution: '1440p' }, [2560, 1440]],
    [{ resolution: '4k' }, [3840, 2160]],
    [{ resolution: '4k', aspect_ratio: '21:9' }, [4632, 1986]],
  ]
  for (const [input, size] of sizes) {
    const { width, height } = read(input)
    assert.deepEqual([width, height], size, JSON.stringify(input))
  }
})

test('a still has the asked shape, and the area or the lines that its resolution names', () => {
  const sizes: [Record<string, Json>, [number, number]][] = [
    [{}, [1024, 1024]],
    [{ size: '2K' }, [2048, 2048]],
    [{ resolution: '4k', aspect_ratio: '16:9' }, [5462, 3072]],
    [{ resolution: '512p' }, [512, 512]],
    [{ resolution: '1080p', aspect_ratio: '3:2' }, [1620, 1080]],
    [{ size: '1024x1536' }, [1024, 1536]],
  ]
  for (const [input, size] of sizes) {
    const { width, height } = readStill(input)
    assert.deepEqual([width, height], size, JSON.stringify(input))
  }
})

test('where no shape is asked for, or an automatic one, it is that of the first picture within bounds', () => {
  for (const aspect of [{}, { aspect_ratio: 'auto' }, { aspect_ratio: 'match_input_image' }]) {
    const media = { end_frame_url: [picture('b', 10, 10)], start_frame_url: [picture('a')] }
    const { width, height } = filmRequestOf({ ...aspect, resolution: '480p' }, media)
    assert.deepEqual([width, height], [720, 480])
  }
  const strip = readStill({ size: '1K' }, { image_urls: [picture('a', 4000, 20)] })
  assert.deepEqual([strip.width, strip.height], [1564, 670])
})

test('a duration is taken as text or number, and is 5 seconds where it is missing or left open', () => {
  assert.deepEqual(framesOf({}), [120])
  assert.deepEqual(framesOf({ duration: '10' }), [240])
  assert.deepEqual(framesOf({ duration: 3 }), [72])
  assert.deepEqual(framesOf({ duration: 'auto' }), [120])
  assert.deepEqual(framesOf({ duration: '2', fps: '60' }), [120])
})

test('where no duration is asked for, the result is as long as the customer’s film, up to 15 seconds', () => {
  const frames = (input: Record<string, Json>, seconds: number) =>
    filmRequestOf(input, { video_url: [film('a', seconds)] }, 'video-edit').shots[0]!.frames
  assert.equal(frames({}, 7.5), 180)
  assert.equal(frames({}, 600), 360)
  assert.equal(frames({ duration: '4' }, 7.5), 96)
})

test('shots share the length exactly, whatever their durations say', () => {
  const shots = (...durations: (number | null)[]): Json =>
    durations.map((duration) => (duration === null ? { prompt: 'x' } : { prompt: 'x', duration }))
  assert.deepEqual(framesOf({ duration: 5, multishot: shots(2, 3) }), [48, 72])
  assert.deepEqual(framesOf({ duration: 6, multishot: shots(1, 1, 1) }), [48, 48, 48])
  assert.deepEqual(framesOf({ duration: 6, multishot: shots(null, null) }), [72, 72])
  assert.deepEqual(framesOf({ duration: 6, multishot: shots(2, null, 2) }), [48, 48, 48])
  for (const durations of [
    [1, 1, 1, 1, 1, 1, 1],
    [0.01, 15, 0.01],
    [3, 5, 7],
  ]) {
    const frames = framesOf({ duration: 5, multishot: shots(...durations) })
    assert.equal(
      frames.reduce((sum, count) => sum + count, 0),
      120,
    )
    assert.ok(frames.every((count) => count >= 1))
  }
})

test('the same prompt gives the same seed, another prompt another one, and a given seed counts', () => {
  assert.equal(read({}).seed, read({}).seed)
  assert.notEqual(read({}).seed, read({ prompt: 'Sky' }).seed)
  assert.equal(read({ seed: 7 }).seed, 7)
  assert.equal(read({ seed: -1 }).seed, read({}).seed)
})

test('sound is on for true as text or boolean, and else where the customer sent some to be used', () => {
  assert.equal(read({ has_sound: 'true' }).hasSound, true)
  assert.equal(read({ generate_audio: true }).hasSound, true)
  assert.equal(read({ has_sound: 'false' }).hasSound, false)
  assert.equal(read({}).hasSound, false)
  const heard = (input: Record<string, Json>, file: InputMedia) =>
    filmRequestOf(input, { file: [file] }).hasSound
  const sound: InputMedia = { path: 'a', contentType: 'audio/wav', kind: 'audio', durationSeconds: 1 }
  assert.equal(heard({}, sound), true)
  assert.equal(heard({ keep_original_sound: true }, film('a', 2, true)), true)
  assert.equal(heard({ keep_original_sound: true }, film('a', 2, false)), false)
  assert.equal(heard({ keep_original_sound: false }, film('a', 2, true)), false)
})

test('the customer’s files come in the order of the film, each in the part that the model gives it', () => {
  const uses: [string, Record<string, InputMedia[]>, string[]][] = [
    [
      'start-end-frame-to-video',
      { end_frame_url: [picture('b')], start_frame_url: [picture('a')] },
      ['a scene', 'b scene'],
    ],
    [
      'image-to-video-elements',
      { 'elements.characterImages': [picture('b'), picture('c')], image_url: [picture('a')] },
      ['a scene', 'b card', 'c card'],
    ],
    ['reference-to-video', { elements: [], images: [picture('a'), picture('b')] }, ['a scene', 'b scene']],
    ['reference-to-video', { 'elements.images': [picture('a')] }, ['a scene']],
    ['motion-control', { video: [film('b', 3)], image: [picture('a')] }, ['a scene', 'b card']],
    ['video-edit', { images: [picture('b')], video_url: [film('a', 3)] }, ['a scene', 'b card']],
    ['extend-video', { video_url: [film('a', 3)] }, ['a ending']],
    [
      'image-to-video',
      { image_url: [picture('b')], input_video_url: [film('a', 3)] },
      ['a ending', 'b scene'],
    ],
    ['edit-image', { image_urls: [picture('a'), picture('b')] }, ['a scene', 'b card']],
  ]
  for (const [capability, media, expected] of uses) {
    const model = { slug: `acme/painter/${capability}`, capability }
    const reading = readRenderRequest({ model, input: {}, media })
    assert.ok('request' in reading)
    const { request, files } = reading
    assert.deepEqual(
      files.map(({ path }, index) => `${path} ${request.sources[index]?.use}`),
      expected,
      capability,
    )
  }
})

test('what cannot be rendered is named', () => {
  const problems: [string, Record<string, Json>, RegExp][] = [
    ['text-to-video', { duration: 'long' }, /duration/],
    ['text-to-video', { duration: 0 }, /duration/],
    ['text-to-video', { duration: 3600 }, /duration/],
    ['text-to-video', { fps: 1000 }, /fps/],
    ['text-to-video', { aspect_ratio: 'wide' }, /aspect_ratio/],
    ['text-to-video', { aspect_ratio: '100:1' }, /aspect_ratio/],
    ['text-to-image', { aspect_ratio: '100:1' }, /aspect_ratio/],
    ['text-to-video', { multishot: 'two' }, /multishot/],
    ['text-to-image', { num_images: '200' }, /number of pictures/],
  ]
  for (const [capability, input, named] of problems) {
    const reading = readRenderRequest({ model: { slug: 'a', capability }, input, media: {} })
    assert.ok('problem' in reading)
    assert.match(reading.problem, named)
  }
})

interface FactField {
  name: string
  default?: Json
  options?: Json[]
  media?: string
  items?: { media?: string; fields?: FactField[] }
}

interface Fact {
  slug: string
  capability: string
  category: string
  input: FactField[]
  exampleInputs: Record<string, Json>[]
}

/** A file for every field that takes one, whether required or not. */
function filesFor(fields: FactField[], path = ''): Record<string, InputMedia[]> {
  return Object.assign(
    {},
    ...fields.map(({ name, media, items }) => {
      const kind = media ?? items?.media
      if (items?.fields !== undefined) return filesFor(items.fields, `${path}${name}.`)
      if (kind === 'audio')
        return { [path + name]: [{ path: name, contentType: 'audio/wav', kind, durationSeconds: 2 }] }
      if (kind === 'video') return { [path + name]: [film(name, 4)] }
      return kind === undefined ? {} : { [path + name]: [picture(name), picture(name)] }
    }),
  )
}

/** The defaults and examples, and each option of each field on top of the defaults. */
function inputsOf(fact: Fact): Record<string, Json>[] {
  const defaults = Object.fromEntries(
    fact.input.flatMap((field) => (field.default === undefined ? [] : [[field.name, field.default]])),
  )
  const options = fact.input.flatMap(({ name, options = [] }) =>
    options.map((option) => ({ [name]: option })),
  )
  return [{}, ...fact.exampleInputs, ...options].map((input) => ({ ...defaults, ...input }))
}

test('every published model can be rendered, with every option of every field', (t) => {
  const path = join(import.meta.dirname, '../../../../shared/catalogue-facts.json')
  if (!existsSync(path)) return t.skip('the published facts are not at hand')
  const facts: Fact[] = JSON.parse(readFileSync(path, 'utf8'))
  for (const fact of facts) {
    const files = filesFor(fact.input)
    for (const input of inputsOf(fact)) {
      for (const media of [{}, files]) {
        const about = `${fact.slug} ${JSON.stringify(input)}`
        const reading = readRenderRequest({ model: fact, input, media })
        assert.ok('request' in reading, `${about}: ${JSON.stringify(reading)}`)
        const { request } = reading
        assert.equal(request.type, fact.category, about)
        assert.ok(request.width % 2 === 0 && request.height % 2 === 0, about)
        if (typeof input.aspect_ratio === 'string') {
          const [across, down] = input.aspect_ratio.split(':').map(Number)
          const off = (request.width / request.height) * (down! / across!)
          assert.ok(Math.abs(off - 1) < 0.005, `${about}: ${request.width} × ${request.height}`)
        }
        if (request.type === 'image') {
          assert.equal(request.count, Number(input.num_images ?? input.numberOfGenerations ?? 1), about)
          continue
        }
        const frames = request.shots.reduce((sum, shot) => sum + shot.frames, 0)
        const takesFilm = media === files && reading.files.some(({ kind }) => kind === 'video')
        const seconds = Number(input.duration ?? (takesFilm ? 4 : 5))
        assert.equal(frames, seconds * Number(input.fps ?? 24), about)
        assert.equal(request.framesPerSecond, Number(input.fps ?? 24), about)
        const asked = input.has_sound ?? input.generate_audio
        if (asked !== undefined) assert.equal(request.hasSound, String(asked) === 'true', about)
      }
    }
  }
})
