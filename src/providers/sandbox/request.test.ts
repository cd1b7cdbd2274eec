import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkInput } from '../../catalogue/check-input.ts'
import { loadCatalogue, type MediaField, type ModelVersion } from '../../catalogue/load.ts'
import type { InputMedia, Json } from '../provider.ts'
import { filmRequestOf } from './fixture.ts'
import { type FilmRequest, type RenderRequest, readRenderRequest } from './request.ts'

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

/** A file or two for every field that takes them. */
function filesFor({ mediaFields }: ModelVersion): Record<string, InputMedia[]> {
  const files: Record<MediaField['media'], InputMedia[]> = {
    image: [picture('a'), picture('b')],
    video: [film('c', 4)],
    audio: [{ path: 'd', contentType: 'audio/wav', kind: 'audio', durationSeconds: 2 }],
    any: [film('e', 4), picture('f')],
  }
  return Object.fromEntries(mediaFields.map(({ field, media }) => [field, files[media]]))
}

/** The example with its defaults, as it is and with each option of each field. */
function inputsOf(version: ModelVersion): Record<string, Json>[] {
  const properties = Object.entries(version.inputSchema.properties as Record<string, { enum?: Json[] }>)
  const changes = properties.flatMap(([name, schema]) =>
    (schema.enum ?? []).map((option) => ({ [name]: option })),
  )
  return [{}, ...changes].map((change) => {
    const { input, issues } = checkInput(version, { ...version.example, ...change })
    assert.deepEqual(issues, [])
    return input as Record<string, Json>
  })
}

function checkShape({ width, height }: RenderRequest, input: Record<string, Json>): void {
  assert.ok(width % 2 === 0 && height % 2 === 0, `${width} × ${height}`)
  if (typeof input.aspect_ratio !== 'string') return
  const [across, down] = input.aspect_ratio.split(':').map(Number)
  const off = (width / height) * (down! / across!)
  assert.ok(Math.abs(off - 1) < 0.005, `${width} × ${height} for ${input.aspect_ratio}`)
}

function checkFilm(request: FilmRequest, input: Record<string, Json>, ownSeconds: number): void {
  const frames = request.shots.reduce((sum, shot) => sum + shot.frames, 0)
  const framesPerSecond = Number(input.fps ?? 24)
  assert.equal(request.framesPerSecond, framesPerSecond)
  assert.equal(frames, Number(input.duration ?? ownSeconds) * framesPerSecond)
  const asked = input.has_sound ?? input.generate_audio
  if (asked !== undefined) assert.equal(request.hasSound, String(asked) === 'true')
}

const catalogue = loadCatalogue()

test('every model of the catalogue can be rendered, with every option of every field', () => {
  for (const model of catalogue.models.values()) {
    for (const version of model.versions) {
      const given = inputsOf(version).flatMap((input) =>
        [{}, filesFor(version)].map((media) => ({ input, media })),
      )
      for (const { input, media } of given) {
        const about = `${model.slug} ${JSON.stringify(input)}`
        const reading = readRenderRequest({ model, input, media })
        assert.ok('request' in reading, `${about}: ${JSON.stringify(reading)}`)
        const { request, files } = reading
        assert.equal(request.type, model.category, about)
        checkShape(request, input)
        const ownSeconds = files.some(({ kind }) => kind === 'video') ? 4 : 5
        if (request.type === 'video') checkFilm(request, input, ownSeconds)
        else assert.equal(request.count, Number(input.num_images ?? input.numberOfGenerations ?? 1), about)
      }
    }
  }
})

test('files that a model takes are used wherever its input holds them', () => {
  for (const model of catalogue.models.values()) {
    for (const version of model.versions) {
      const media = filesFor(version)
      const reading = readRenderRequest({ model, input: {}, media })
      assert.ok('request' in reading)
      const drawn = Object.values(media)
        .flat()
        .filter(({ kind }) => kind !== 'audio')
      assert.equal(reading.files.length, drawn.length, model.slug)
    }
  }
})
