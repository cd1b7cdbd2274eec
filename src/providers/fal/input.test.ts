import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InputMedia, Json } from '../provider.ts'
import { contextOf, film, picture, requestOf, text } from './fixture.ts'
import { bodyOf, unfitOf } from './input.ts'
import { sendMedia, unusable } from './media.ts'

async function bodyFor(
  model: string,
  input: Record<string, Json>,
  options: { settings?: Record<string, string>; media?: Record<string, InputMedia[]> } = {},
) {
  const request = requestOf(model, input, options)
  assert.equal(unfitOf(request), undefined)
  return bodyOf(request, await sendMedia(request, contextOf()))
}

const unfitFor = (model: string, input: Record<string, Json>, settings?: Record<string, string>) =>
  unfitOf(requestOf(model, input, { ...(settings && { settings }) }))?.path

test('sound is said whether it is wanted or not, as fal makes and charges for it where nothing is said', async () => {
  const sound = async (model: string, input: Record<string, Json>, settings = {}) =>
    (await bodyFor(model, input, { settings: { tier: 'pro', ...settings } })).generate_audio
  assert.equal(await sound('v3/text-to-video', text), false)
  assert.equal(await sound('v3/text-to-video', { ...text, has_sound: 'true' }), true)
  const { has_sound: _, ...silent } = text
  assert.equal(await sound('v2.6/text-to-video', silent), false)
  assert.equal(await sound('v2.6/text-to-video', silent, { sound: 'on' }), true)
})

test('pictures and films go under the names of the endpoint, in their order', async () => {
  const body = await bodyFor(
    'v3/image-to-video',
    {
      prompt: 'Ann waves to Bob',
      duration: '5',
      image_url: 'https://a',
      elements: [{ characterImages: ['https://b', 'https://c'] }, { characterImages: ['https://d'] }],
    },
    {
      media: {
        image_url: [picture('/start')],
        'elements.characterImages': [picture('/a1'), picture('/a2'), picture('/b1')],
      },
    },
  )
  const at = (path: string) => `https://films.example.com${path}`
  assert.equal(body.start_image_url, at('/start'))
  assert.deepEqual(body.elements, [
    { frontal_image_url: at('/a1'), reference_image_urls: [at('/a2')] },
    { frontal_image_url: at('/b1'), reference_image_urls: [at('/b1')] },
  ])
})

test('where this server is out of reach a picture goes along, and a film is fetched from the customer', async () => {
  const own = new URL(import.meta.url).pathname
  const request = requestOf(
    'v3/motion-control',
    { image: 'https://a', video: 'https://b' },
    { media: { image: [picture(own)], video: [film('/dance')] } },
  )
  const sent = await sendMedia(request, contextOf({ publish: async () => undefined }))
  assert.match(sent.start ?? '', /^data:image\/png;base64,[A-Za-z0-9+/]+=*$/)
  assert.equal(sent.video, 'https://customer.example.com/dance')
})

test('an element is named as fal does, by its own name where the prompt has it, else at the end', async () => {
  const prompt = async (words: string, elements: Json[]) => {
    const media = { 'elements.characterImages': elements.map(() => picture('/x')) }
    return (await bodyFor('o3/text-to-video', { ...text, prompt: words, elements }, { media })).prompt
  }
  const [ann, anna] = [
    { characterImages: ['https://a'], name: 'Ann' },
    { characterImages: ['https://b'], name: 'Anna' },
  ]
  assert.equal(await prompt('@Ann meets @Anna', [ann, anna]), '@Element1 meets @Element2')
  assert.equal(await prompt('They meet.', [ann, anna]), 'They meet. With @Element1, @Element2.')
  assert.equal(await prompt('x'.repeat(2_500), [ann, anna]), 'x'.repeat(2_500))
})

test('shots fill the ordered length, and what the prompt says is said of each', async () => {
  const body = await bodyFor('o3/text-to-video', {
    ...text,
    duration: '8',
    multishot: [{ prompt: 'It runs.', duration: 3 }, { prompt: 'It sits.' }, { prompt: 'It sleeps.' }],
  })
  assert.equal(body.prompt, undefined)
  assert.equal(body.shot_type, 'customize')
  assert.deepEqual(body.multi_prompt, [
    { prompt: 'A fox in the snow It runs.', duration: '3' },
    { prompt: 'A fox in the snow It sits.', duration: '3' },
    { prompt: 'A fox in the snow It sleeps.', duration: '2' },
  ])
})

test('the tier is the route’s, else that of the ordered quality, and one that fal lacks is said to be', () => {
  assert.equal(unfitFor('v2.6/text-to-video', { ...text, quality: 'std' }, {}), 'quality')
  assert.equal(unfitFor('v2.6/text-to-video', { ...text, quality: 'pro' }, {}), undefined)
  const frames = { prompt: 'x', duration: '5', image_url: 'https://a', quality: 'std' }
  assert.equal(unfitFor('v2.5-turbo/image-to-video', frames, {}), undefined)
  assert.equal(
    unfitFor('v2.5-turbo/image-to-video', { ...frames, end_image_url: 'https://b' }, {}),
    'quality',
  )
})

test('nothing that is asked for is dropped: what an endpoint lacks does not fit, but for what changes nothing', () => {
  const start = { prompt: 'x', duration: '5', image_url: 'https://a' }
  const element = { characterImages: ['https://b'] }
  assert.equal(unfitFor('v2.5-turbo/text-to-video', { ...text, seed: 0 }), 'seed')
  assert.equal(unfitFor('o3/extend-video', { video_url: 'https://a', work_id: 'w' }), 'work_id')
  assert.equal(unfitFor('o3/image-to-video', { ...start, negative_prompt: 'rain' }), 'negative_prompt')
  assert.equal(unfitFor('o3/image-to-video', { ...start, negative_prompt: ' ' }), undefined)
  assert.equal(unfitFor('v2.6/image-to-video', { ...start, cfg_scale: 0.7 }), 'cfg_scale')
  assert.equal(unfitFor('v2.6/image-to-video', { ...start, cfg_scale: 0.5 }), undefined)
  assert.equal(unfitFor('v3/image-to-video', { ...start, shot_type: 'intelligent' }), 'shot_type')
  assert.equal(unfitFor('v3/text-to-video', { ...text, shot_type: 'intelligent' }), undefined)
  assert.equal(
    unfitFor('o3/reference-to-video', { ...text, has_sound: 'true', video_url: 'https://a' }),
    'has_sound',
  )
  assert.equal(
    unfitFor('v3/image-to-video', { ...start, elements: [{ ...element, voice: 'https://v' }] }),
    'elements[0].voice',
  )
  assert.equal(unfitFor('v3/image-to-video', { ...start, elements: Array(4).fill(element) }), 'elements')
  assert.equal(
    unfitFor('o1/video-edit', { prompt: 'x', video_url: 'https://a', images: Array(5).fill('https://i') }),
    'images',
  )
  assert.equal(unfitFor('v3/image-to-video', { duration: '5', image_url: 'https://a' }), 'prompt')
})

test('shots that fal can’t cut do not fit', () => {
  const shots = (...multishot: Json[]) => unfitFor('o3/text-to-video', { ...text, multishot })
  assert.equal(shots(...Array(7).fill({ prompt: 'x' })), 'multishot')
  assert.equal(shots({ prompt: 'x', duration: 5 }, { prompt: 'y' }), 'multishot')
  assert.equal(shots({ prompt: 'x' }, { prompt: 'y'.repeat(513) }), 'multishot[1].prompt')
  assert.equal(shots({ prompt: 'x' }, { prompt: 'y' }), undefined)
})

test('a video is gone on with by its next shot, with or without words', async () => {
  const extend = async (input: Record<string, Json>) => {
    const options = { settings: {}, media: { video_url: [film('/v')] } }
    return bodyFor(
      'o3/extend-video',
      { video_url: 'https://v', duration: '5', quality: 'std', ...input },
      options,
    )
  }
  assert.equal((await extend({})).prompt, 'The next shot of @Video1.')
  const body = await extend({ prompt: 'It rains.' })
  assert.equal(body.prompt, 'The next shot of @Video1: It rains.')
  assert.equal(body.keep_audio, false)
})

test('files beyond fal’s limits are refused before anything is sent, by the name of the field', () => {
  const refused = (
    model: string,
    input: Record<string, Json>,
    media: Record<string, InputMedia[]>,
    settings?: Record<string, string>,
  ) => unusable(requestOf(model, input, { media, ...(settings && { settings }) }))?.message
  const start = { image_url: 'https://a' }
  assert.match(
    refused('v3/image-to-video', start, { image_url: [picture('/x', 299, 600)] }) ?? '',
    /^image_url: .*300/,
  )
  assert.match(
    refused('v3/image-to-video', start, { image_url: [picture('/x', 1000, 399)] }) ?? '',
    /^image_url: .*2\.5/,
  )
  assert.equal(refused('v3/image-to-video', start, { image_url: [picture('/x', 1000, 400)] }), undefined)
  const edit = { video_url: 'https://v' }
  assert.match(refused('o1/video-edit', edit, { video_url: [film('/v', 11)] }) ?? '', /^video_url: .*seconds/)
  assert.match(
    refused('o1/video-edit', edit, { video_url: [film('/v', 5, 'video/webm')] }) ?? '',
    /^video_url: .*webm/,
  )
  const motion = (orientation: string, seconds: number) =>
    refused('v3/motion-control', { character_orientation: orientation }, { video: [film('/v', seconds)] })
  assert.match(motion('image', 11) ?? '', /^video: /)
  assert.equal(motion('video', 11), undefined)
})

test('a film to take movement from may not be longer than the length that was ordered', () => {
  const trouble = (seconds: number) =>
    unusable(
      requestOf(
        'v3/motion-control',
        { duration: '5' },
        {
          settings: { orientation: 'image' },
          media: { motion_video_url: [film('/v', seconds)] },
        },
      ),
    )
  assert.equal(trouble(5.4), undefined)
  assert.equal(trouble(6)?.code, 'INPUT_MEDIA_INVALID')
})
