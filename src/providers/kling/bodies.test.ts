import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExactJson } from '../exact-json.ts'
import type { Json } from '../provider.ts'
import { legacyBody, newBody, type ReadyElement, type SaidMedia } from './bodies.ts'
import { standardOf, unfitOf } from './fits.ts'
import { fox, requestOf } from './fixture.ts'
import { toOrder } from './order.ts'

type Input = Record<string, Json>
type Said = { [key: string]: ExactJson }

interface Given {
  settings?: Record<string, string>
  media?: Partial<SaidMedia>
  elements?: ReadyElement[]
}

function partsOf(model: string, input: Input, { settings, media, elements = [] }: Given = {}) {
  const request = requestOf(model, input, settings && { settings })
  const order = toOrder(request)
  return { order, media: { images: [], ...media }, elements, jobId: 'job', callbackUrl: undefined }
}

const inNew = (...given: Parameters<typeof partsOf>) => newBody(partsOf(...given)) as Record<string, Said>
const inLegacy = (...given: Parameters<typeof partsOf>) => legacyBody(partsOf(...given)) as Said
const settingsOf = (...given: Parameters<typeof partsOf>) => inNew(...given).settings

function wordsOf(body: Record<string, ExactJson>): string {
  const contents = body.contents as Said[] | undefined
  return String(contents === undefined ? body.prompt : contents.find(({ type }) => type === 'prompt')?.text)
}

function unfit(model: string, input: Input, settings?: Record<string, string>): string | undefined {
  const { order } = partsOf(model, input, settings && { settings })
  return unfitOf(order, input, standardOf(order, true))?.path
}

const film = 'https://films.example.com/a.mp4'
const frame = 'https://films.example.com/a.png'
const omni = 'omni-video/kling-3.0-omni'

test('the new standard makes what it can say, the legacy one the rest, and everything for a pair of keys', () => {
  const standard = (model: string, input: Input, hasApiKey = true) =>
    standardOf(partsOf(model, input).order, hasApiKey)
  assert.equal(standard('text-to-video/kling-3.0', fox), 'new')
  assert.equal(standard('text-to-video/kling-3.0', { ...fox, cfg_scale: 0.5 }), 'new')
  assert.equal(standard('text-to-video/kling-3.0', { ...fox, cfg_scale: 0.7 }), 'legacy')
  assert.equal(standard('text-to-video/kling-3.0', { ...fox, negative_prompt: 'rain' }), 'legacy')
  assert.equal(standard('text2video/kling-v2-1-master', fox), 'legacy')
  assert.equal(standard('text-to-video/kling-3.0', fox, false), 'legacy')
})

test('a job is one shot without sound unless something else was asked for, whatever the vendor takes for granted', () => {
  assert.deepEqual(settingsOf('text-to-video/kling-3.0', fox), {
    multi_shot: false,
    audio: 'off',
    resolution: '720p',
    aspect_ratio: '16:9',
    duration: 5,
  })
  assert.equal(settingsOf('text-to-video/kling-3.0', { ...fox, has_sound: 'true' })?.audio, 'native')
  const cut = settingsOf('text-to-video/kling-3.0', { ...fox, shot_type: 'intelligent' })
  assert.equal(cut?.multi_shot, true)
})

test('quality and tier decide on the resolution; 2.6 and 2.5 make sound and two frames at 1080p only', () => {
  const resolution = (model: string, input: Input, settings: Record<string, string> = {}) =>
    settingsOf(model, input, { settings })?.resolution
  assert.equal(resolution('text-to-video/kling-2.6', { ...fox, quality: 'std' }), '720p')
  assert.equal(resolution('text-to-video/kling-2.6', { ...fox, quality: 'pro' }), '1080p')
  assert.equal(resolution('text-to-video/kling-2.6', fox, { resolution: '1080p' }), '1080p')
  assert.equal(resolution('text-to-video/kling-2.6', { ...fox, has_sound: 'true' }), '1080p')
  const pair = { image_url: frame, end_image_url: frame, quality: 'std' }
  assert.equal(resolution('image-to-video/kling-2.5-turbo', pair), '1080p')
  assert.equal(resolution('image-to-video/kling-3.0', pair), '720p')
})

test('shots are written into the prompt, each with what the prompt says of all, and nothing that would part them', () => {
  const input = {
    prompt: 'In the snow.',
    duration: '10',
    aspect_ratio: '16:9',
    multishot: [{ prompt: 'A fox; waking\nup', duration: 3 }, { prompt: 'it runs' }, { prompt: 'it rests' }],
  }
  const body = inNew(omni, input)
  assert.equal(
    wordsOf(body),
    'shot 1, 3, In the snow. A fox, waking, up; shot 2, 4, In the snow. it runs; shot 3, 3, In the snow. it rests;',
  )
  assert.equal(body.settings?.multi_shot, true)
  const legacy = inLegacy(omni, input)
  assert.deepEqual(legacy.multi_prompt, [
    { index: 1, prompt: 'In the snow. A fox; waking\nup', duration: '3' },
    { index: 2, prompt: 'In the snow. it runs', duration: '4' },
    { index: 3, prompt: 'In the snow. it rests', duration: '3' },
  ])
  assert.deepEqual([legacy.multi_shot, legacy.shot_type, legacy.prompt], [true, 'customize', undefined])
})

test('references are named behind the prompt where it does not speak of them, and understood in any spelling', () => {
  const settings = { video: 'feature' }
  const images = [frame, frame]
  const media = { film, images }
  const input = { prompt: 'She dances', video_url: film, images, duration: '5' }
  assert.equal(
    wordsOf(inNew(omni, input, { settings, media })),
    'She dances Use @image_1, @image_2, @video_1 as reference.',
  )
  const spelt = { ...input, prompt: '@Image1 and <<<image_2>>> as in @video1' }
  assert.equal(wordsOf(inNew(omni, spelt, { settings, media })), '@image_1 and @image_2 as in @video_1')
  assert.equal(
    inLegacy(omni, spelt, { settings, media }).prompt,
    '<<<image_1>>> and <<<image_2>>> as in <<<video_1>>>',
  )
  const plain = { prompt: 'mail me@image1.example' }
  assert.equal(wordsOf(inNew('text-to-video/kling-3.0', plain)), 'mail me@image1.example')
})

test('elements are spoken of by name or by place, and one of whom nothing is said is introduced', () => {
  const elements = [{ name: 'Ann' }, { name: 'Anna' }, {}].map((element) => ({
    ...element,
    characterImages: [frame],
  }))
  const ready = [1, 2, 3].map((n) => ({ id: `82983680279340655${n}`, alias: `element_${n}` }))
  const input = { prompt: '@Anna waves', image_url: frame, elements }
  const body = inNew('image-to-video/kling-3.0', input, { elements: ready, media: { firstFrame: frame } })
  assert.equal(wordsOf(body), '@element_2 waves @element_1 is Ann. @element_3 appears.')
  assert.deepEqual((body.contents as unknown as Said[]).at(-1), {
    type: 'element',
    element_id: '829836802793406553',
    id: 'element_3',
  })
  const legacy = inLegacy('image-to-video/kling-3.0', input, { elements: ready })
  assert.deepEqual((legacy.element_list as Said[])[0], { element_id: 829836802793406551n })
  assert.match(String(legacy.prompt), /^<<<element_2>>> waves/)
})

test('a film is changed, followed or carried on as its route says', () => {
  const input = { prompt: 'Make it winter', video_url: film }
  const part = (body: Record<string, ExactJson>) =>
    (body.contents as Said[]).find(({ type }) => String(type).endsWith('video'))
  const base = inNew(
    omni,
    { ...input, keep_original_sound: true },
    { settings: { video: 'base' }, media: { film } },
  )
  assert.deepEqual(part(base), { type: 'base_video', id: 'video_1', url: film })
  assert.deepEqual(base.settings, { multi_shot: false, audio: 'original', resolution: '720p' })
  const silent = settingsOf(omni, { ...input, keep_original_sound: false }, { settings: { video: 'base' } })
  assert.equal(silent?.audio, 'off')

  const followed = inNew(
    omni,
    { ...input, duration: '7' },
    { settings: { video: 'feature' }, media: { film } },
  )
  assert.equal(part(followed)?.type, 'feature_video')
  assert.deepEqual(followed.settings, { multi_shot: true, audio: 'off', resolution: '720p', duration: 7 })

  const more = { settings: { video: 'extended' }, media: { film } }
  assert.equal(wordsOf(inNew(omni, input, more)), 'Generate the next shot of @video_1: Make it winter')
  assert.match(wordsOf(inNew(omni, { video_url: film }, more)), /^Generate the next shot of @video_1/)
})

test('a motion is followed in the direction that was asked for, and in that of the film where none was', () => {
  const input = { image: frame, video: film, keep_original_sound: false }
  const media = { firstFrame: frame, film }
  assert.deepEqual(inNew('motion-control/kling-3.0', input, { media }), {
    contents: [
      { type: 'image', url: frame },
      { type: 'video', url: film },
    ],
    settings: { audio: 'off', resolution: '720p', character_orientation: 'video' },
    options: { external_task_id: 'job' },
  })
  const legacy = inLegacy('motion-control/kling-3.0', { ...input, character_orientation: 'image' }, { media })
  assert.deepEqual(
    [legacy.model_name, legacy.mode, legacy.character_orientation, legacy.keep_original_sound],
    ['kling-v3', 'std', 'image', 'no'],
  )
})

test('what Kling has no word for is said before anything is sent, by the field that asks for it', () => {
  const i2v = 'image-to-video/kling-2.6'
  const cases: [string | undefined, string, Input, Record<string, string>?][] = [
    ['seed', 'text-to-video/kling-2.5-turbo', { ...fox, seed: 7 }],
    ['work_id', omni, { prompt: 'On', video_url: film, work_id: 'w1' }, { video: 'extended' }],
    [
      'negative_prompt',
      omni,
      { prompt: 'On', video_url: film, negative_prompt: 'rain' },
      { video: 'extended' },
    ],
    ['negative_prompt', 'motion-control/kling-2.6', { image: frame, video: film, negative_prompt: 'rain' }],
    ['guidance_scale', 'text2video/kling-v2-1-master', { ...fox, guidance_scale: 0.6 }],
    ['cfg_scale', i2v, { image_url: frame, cfg_scale: 0.6 }],
    ['has_sound', i2v, { image_url: frame, end_image: frame, has_sound: 'true' }],
    ['has_sound', omni, { prompt: 'On', video_url: film, has_sound: 'true' }, { video: 'feature' }],
    ['shot_type', omni, { prompt: 'On', video_url: film, shot_type: 'intelligent' }, { video: 'base' }],
    ['shot_type', 'motion-control/kling-3.0', { image: frame, video: film, shot_type: 'intelligent' }],
    ['duration', 'omni-video/kling-o1', { image_url: frame, duration: '7' }],
    [undefined, 'omni-video/kling-o1', { image_url: frame, end_image_url: frame, duration: '7' }],
    ['images', omni, { prompt: 'On', video_url: film, images: Array(5).fill(frame) }, { video: 'feature' }],
    ['images', omni, { prompt: 'On', images: Array(8).fill(frame) }],
    ['prompt', omni, { duration: '5' }],
    [undefined, omni, { prompt: 'On', images: Array(7).fill(frame) }],
  ]
  for (const [path, model, input, settings] of cases) {
    assert.equal(unfit(model, input, settings), path, `${model} ${JSON.stringify(input).slice(0, 200)}`)
  }
})

test('more elements than Kling takes, or one that is to speak, is not possible', () => {
  const of = (count: number, more: Input = {}) =>
    Array.from({ length: count }, () => ({ characterImages: [frame], ...more }))
  assert.equal(unfit('image-to-video/kling-3.0', { image_url: frame, elements: of(3) }), undefined)
  assert.equal(unfit('image-to-video/kling-3.0', { image_url: frame, elements: of(4) }), 'elements')
  assert.equal(unfit(omni, { prompt: 'On', elements: of(7) }), undefined)
  assert.equal(unfit(omni, { prompt: 'On', elements: of(4), images: Array(4).fill(frame) }), 'elements')
  assert.equal(
    unfit(omni, { prompt: 'On', elements: of(1, { voice: 'https://a.example.com/v.mp3' }) }),
    'elements[0].voice',
  )
})

test('shots must fill the film, be few enough and short enough to say', () => {
  const shots = (list: Input[], more: Input = {}) => unfit(omni, { duration: '5', multishot: list, ...more })
  const said = (count: number) => Array.from({ length: count }, () => ({ prompt: 'It runs' }))
  assert.equal(shots(said(5)), undefined)
  assert.equal(shots(said(6)), 'multishot')
  assert.equal(shots(said(7), { duration: '10' }), 'multishot')
  assert.equal(shots([{ prompt: 'x'.repeat(512) }]), undefined)
  assert.equal(shots([{ prompt: 'It runs' }, { prompt: 'x'.repeat(513) }]), 'multishot[1].prompt')
  assert.equal(shots([{ prompt: 'x'.repeat(500) }], { prompt: 'y'.repeat(12) }), 'multishot[0].prompt')
  assert.equal(shots(said(2), { shot_type: 'intelligent' }), 'multishot')
})

test('a prompt that grows too long by what must be said of the references is refused with how much is too much', () => {
  const input = { prompt: 'x'.repeat(2490), images: [frame] }
  assert.equal(unfit('omni-video/kling-o1', input), 'prompt')
  assert.equal(unfit(omni, input), undefined)
  assert.equal(unfit('omni-video/kling-o1', { ...input, prompt: `${'x'.repeat(2480)} @image_1` }), undefined)
})
