import { describe, test } from 'node:test'
import { listen } from '../webhook-fixture.ts'
import { drawn, type Fields, filmed, first, makeElement, open, png, refuses, takes } from './kling-fixture.ts'

// addresses that are not of this machine are taken unseen
const far = 'https://media.example/film.mp4'
const prompt = { type: 'prompt', text: 'a pier' }
const last = { type: 'last_frame', url: png }
const refer = { type: 'refer_image', url: png }
const feature = { type: 'feature_video', url: far }
const base = { type: 'base_video', url: far }
const wide = { aspect_ratio: '16:9' }

describe('the rules of the new standard', () => {
  test('text-to-video holds each model to its own settings', async () => {
    const server = await open()
    const shots = 'shot 1, 2, a pier; shot 2, 3, a boat;'
    await takes(server, '/text-to-video/kling-3.0', [
      {
        prompt: 'x'.repeat(3072),
        settings: { audio: 'native', resolution: '4k', duration: 15, multi_shot: false, ...wide },
      },
      { prompt: shots, settings: { duration: 5 }, options: { watermark_info: { enabled: true } } },
    ])
    await refuses(server, '/text-to-video/kling-3.0', [
      {},
      { prompt: '' },
      { prompt: 'x'.repeat(3073) },
      { prompt: 'a pier', negative_prompt: 'rain' },
      { prompt: 'a pier', model_name: 'kling-v3' },
      { prompt: 'a pier', settings: { duration: '5' } },
      { prompt: 'a pier', settings: { duration: 16 } },
      { prompt: 'a pier', settings: { duration: 2 } },
      { prompt: 'a pier', settings: { aspect_ratio: '4:3' } },
      { prompt: 'a pier', settings: { audio: true } },
      { prompt: 'a pier', settings: { cfg_scale: 0.5 } },
      { prompt: 'a pier', external_task_id: 'top' },
      { prompt: 'a pier', options: { external_task_id: 1 } },
      { prompt: 'a pier', options: { callback_url: 'there' } },
      { prompt: shots, settings: { duration: 6 } },
      { prompt: 'shot 1, 5, a pier; then a boat' },
      { prompt: `shot 1, 5, ${'x'.repeat(513)}` },
    ])
    await takes(server, '/text-to-video/kling-3.0-turbo', [
      { prompt: 'a pier', settings: { resolution: '1080p', duration: 3 } },
    ])
    await refuses(server, '/text-to-video/kling-3.0-turbo', [
      { prompt: 'a pier', settings: { audio: 'native' } },
      { prompt: 'a pier', settings: { multi_shot: false } },
      { prompt: 'a pier', settings: { resolution: '4k' } },
    ])
    await takes(server, '/text-to-video/kling-2.6', [
      { prompt: 'a pier', settings: { audio: 'native', resolution: '1080p', duration: 10 } },
    ])
    await refuses(server, '/text-to-video/kling-2.6', [
      { prompt: 'x'.repeat(2501) },
      { prompt: 'a pier', settings: { audio: 'native' } },
      { prompt: 'a pier', settings: { duration: 6 } },
    ])
    await takes(server, '/text-to-video/kling-2.5-turbo', [{ prompt: 'a pier', settings: { duration: 5 } }])
    await refuses(server, '/text-to-video/kling-2.5-turbo', [
      { prompt: 'a pier', settings: { audio: 'off' } },
    ])
  })

  test('image-to-video holds each model to its own contents', async () => {
    const server = await open()
    const element = { type: 'element', element_id: await makeElement(server), id: 'Zhang' }
    const many = [1, 2, 3].map((order) => ({ ...element, id: `Zhang${order}` }))
    await takes(server, '/image-to-video/kling-3.0', [
      { contents: [prompt, first, last, ...many], settings: { resolution: '4k' } },
    ])
    await refuses(server, '/image-to-video/kling-3.0', [
      {},
      { contents: [] },
      { contents: [prompt] },
      { contents: [prompt, last] },
      { contents: [first, first] },
      { contents: [first, prompt, prompt] },
      { contents: [first, { type: 'image', url: png }] },
      { contents: [{ type: 'first_frame', image: png }] },
      { contents: [first], settings: wide },
      { contents: [first, ...many, { ...element, id: 'Zhang4' }] },
      { contents: [first, element, element] },
      { contents: [first, { type: 'element', element_id: element.element_id }] },
      { contents: [first, { ...element, element_id: '1' }] },
      { contents: [first, { type: 'voice', voice_id: 'v', id: 'v' }] },
    ])
    await refuses(server, '/image-to-video/kling-3.0-turbo', [
      { contents: [first, last] },
      { contents: [first, element] },
      { contents: [first, { type: 'prompt', text: 'x'.repeat(2501) }] },
    ])
    const voice = (id: string) => ({ type: 'voice', voice_id: 'v', id })
    const loud = { audio: 'native', resolution: '1080p' }
    await takes(server, '/image-to-video/kling-2.6', [
      { contents: [first, last], settings: { resolution: '1080p' } },
      { contents: [first, voice('a'), voice('b')], settings: loud },
    ])
    await refuses(server, '/image-to-video/kling-2.6', [
      { contents: [first, last] },
      { contents: [first, voice('a')], settings: { resolution: '1080p' } },
      { contents: [first, voice('a'), voice('b'), voice('c')], settings: loud },
    ])
    await refuses(server, '/image-to-video/kling-2.5-turbo', [
      { contents: [first, last], settings: { resolution: '720p' } },
    ])
  })

  test('omni-video counts pictures, films and elements', async () => {
    const server = await open()
    const drawnId = await makeElement(server)
    const filmedId = await makeElement(server, {
      reference_type: 'video_refer',
      element_image_list: undefined,
      element_video_list: { refer_videos: [{ video_url: far }] },
    })
    const elements = (id: string, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        type: 'element',
        element_id: id,
        id: `of${id.slice(-2)}n${index}`,
      }))
    const path = '/omni-video/kling-3.0-omni'
    await takes(server, path, [
      { contents: [prompt, ...Array(4).fill(refer), ...elements(drawnId, 3)], settings: wide },
      { contents: [prompt, refer, ...elements(filmedId, 3)], settings: wide },
      { contents: [prompt, first, last, ...elements(drawnId, 3)] },
      { contents: [prompt, feature, refer, ...elements(drawnId, 3)] },
      { contents: [prompt, base, ...elements(filmedId, 1)], settings: { audio: 'original' } },
    ])
    await refuses(server, path, [
      { contents: [prompt, refer] },
      { contents: [prompt, ...Array(5).fill(refer), ...elements(drawnId, 3)], settings: wide },
      { contents: [prompt, ...Array(2).fill(refer), ...elements(filmedId, 3)], settings: wide },
      { contents: [prompt, ...elements(filmedId, 4)], settings: wide },
      { contents: [prompt, first, ...elements(drawnId, 4)] },
      { contents: [prompt, feature, base] },
      { contents: [prompt, feature], settings: { audio: 'native' } },
      { contents: [prompt, feature], settings: { multi_shot: false } },
      { contents: [prompt, base], settings: { audio: 'native' } },
      { contents: [prompt, base], settings: { multi_shot: true } },
      { contents: [prompt, base, first] },
      { contents: [prompt, feature, ...Array(5).fill(refer)] },
      { contents: [prompt, feature, ...elements(filmedId, 2)] },
      { contents: [prompt, feature, ...elements(filmedId, 1), ...elements(drawnId, 1)] },
      { contents: [prompt, feature, refer, ...elements(filmedId, 1)] },
      { contents: [prompt, { ...feature, url: png }] },
      { contents: [prompt, { ...refer, id: 'a' }, { ...refer, id: 'a' }], settings: wide },
    ])
    await takes(server, '/omni-video/kling-o1', [
      { contents: [prompt, first], settings: { duration: 10 } },
      { contents: [prompt, first, refer], settings: { duration: 7 } },
    ])
    await refuses(server, '/omni-video/kling-o1', [
      { contents: [prompt, refer], settings: { ...wide, multi_shot: true } },
      { contents: [prompt, refer], settings: { ...wide, audio: 'native' } },
      { contents: [prompt, refer], settings: { ...wide, duration: 11 } },
      { contents: [prompt, first], settings: { duration: 7 } },
      { contents: [prompt, first, last, refer] },
      { contents: [prompt, ...elements(filmedId, 1)], settings: wide },
      { contents: [prompt, feature, ...Array(5).fill(refer)] },
    ])
  })

  test('motion-control asks for a picture, a film and the way to look', async () => {
    const server = await open()
    const image = { type: 'image', url: png }
    const video = { type: 'video', url: far }
    const settings = { character_orientation: 'video' }
    const element = { type: 'element', element_id: await makeElement(server), id: 'Zhang' }
    await takes(server, '/motion-control/kling-3.0', [{ contents: [image, video, element], settings }])
    await refuses(server, '/motion-control/kling-3.0', [
      { contents: [image, video] },
      { contents: [image], settings },
      { contents: [video], settings },
      { contents: [image, video], settings: { ...settings, duration: 5 } },
      { contents: [image, video, element, { ...element, id: 'other' }], settings },
    ])
    await refuses(server, '/motion-control/kling-2.6', [{ contents: [image, video, element], settings }])
  })
})

describe('the rules of the legacy standard', () => {
  test('text2video', async () => {
    const server = await open()
    const v3 = { model_name: 'kling-v3', prompt: 'a pier' }
    const cut = { index: 1, prompt: 'a pier', duration: '3' }
    const shots = { model_name: 'kling-v3', multi_shot: true, shot_type: 'customize' }
    const camera = (config?: Fields) => ({
      prompt: 'a pier',
      camera_control: { type: 'simple', ...(config && { config }) },
    })
    const old = await open({ switchedOff: [] })
    await takes(old, '/v1/videos/text2video', [{ ...camera({ zoom: 3, pan: 0 }), cfg_scale: 0.5 }])
    await refuses(old, '/v1/videos/text2video', [
      camera(),
      camera({ zoom: 3, pan: 1 }),
      camera({ zoom: 11 }),
      { prompt: 'a pier', camera_control: { type: 'forward_up', config: { zoom: 3 } } },
    ])
    await takes(server, '/v1/videos/text2video', [
      {
        ...v3,
        duration: '15',
        mode: '4k',
        sound: 'on',
        aspect_ratio: '9:16',
        watermark_info: { enabled: true },
      },
      { ...shots, multi_prompt: [cut, { ...cut, index: 2, duration: '2' }] },
      { ...v3, multi_shot: true, shot_type: 'intelligence' },
    ])
    await refuses(server, '/v1/videos/text2video', [
      { model_name: 'kling-v3' },
      { model_name: 'kling-3.0', prompt: 'a pier' },
      { ...v3, prompt: 'x'.repeat(2501) },
      { ...v3, duration: 5 },
      { ...v3, duration: '16' },
      { ...v3, model_name: 'kling-v2-6', duration: '7' },
      { ...v3, model_name: 'kling-v2-6', cfg_scale: 0.5 },
      { ...v3, model_name: 'kling-v2-6', mode: '4k' },
      { ...v3, cfg_scale: 1.5 },
      { ...v3, sound: true },
      { ...v3, settings: {} },
      { ...v3, camera_control: { type: 'forward_up' } },
      { ...v3, multi_shot: true },
      { ...shots },
      { ...shots, multi_prompt: [cut] },
      { ...shots, multi_prompt: [{ ...cut, duration: 5 }] },
    ])
  })

  test('image2video', async () => {
    const server = await open()
    const element_list = [{ element_id: await makeElement(server) }]
    const v3 = { model_name: 'kling-v3', prompt: 'a pier', image: png }
    const voice_list = [{ voice_id: 'v' }]
    const trajectories = [
      { x: 1, y: 2 },
      { x: 3, y: 4 },
    ]
    await takes(server, '/v1/videos/image2video', [
      { ...v3, image_tail: png, element_list },
      { ...v3, image: undefined, image_tail: png },
      { ...v3, voice_list, sound: 'on' },
      { ...v3, dynamic_masks: [{ mask: png, trajectories }] },
    ])
    await refuses(server, '/v1/videos/image2video', [
      { ...v3, image: undefined },
      { ...v3, aspect_ratio: '16:9' },
      { ...v3, image_tail: png, static_mask: png },
      { ...v3, dynamic_masks: [{ mask: png, trajectories: trajectories.slice(1) }] },
      { ...v3, voice_list },
      { ...v3, voice_list, sound: 'on', element_list },
      { ...v3, element_list: [{ element_id: '1' }] },
      { ...v3, image: `data:image/png;base64,${png}` },
    ])
  })

  test('omni-video', async () => {
    const server = await open()
    const o1 = { prompt: '<<<image_1>>> at a pier', aspect_ratio: '1:1', image_list: [{ image_url: png }] }
    const video_list = [{ video_url: far }]
    await takes(server, '/v1/videos/omni-video', [
      o1,
      { ...o1, aspect_ratio: undefined, video_list, duration: '15' },
      {
        ...o1,
        aspect_ratio: undefined,
        image_list: [
          { image_url: png, type: 'first_frame' },
          { image_url: png, type: 'end_frame' },
        ],
      },
      { ...o1, model_name: 'kling-v3-omni', mode: '4k', sound: 'on', duration: '15' },
    ])
    await refuses(server, '/v1/videos/omni-video', [
      { ...o1, aspect_ratio: undefined },
      { ...o1, aspect_ratio: undefined, video_list: [{ video_url: far, refer_type: 'feature' }] },
      { ...o1, image_list: [{ image_url: png, type: 'end_frame' }] },
      { ...o1, image_list: Array(8).fill({ image_url: png }) },
      { ...o1, image_list: Array(5).fill({ image_url: png }), video_list },
      { ...o1, video_list, sound: 'on' },
      { ...o1, video_list: [...video_list, ...video_list] },
      { ...o1, duration: '11' },
      { ...o1, mode: '4k' },
    ])
  })

  test('multi-image2video, motion-control and pictures', async () => {
    const server = await open()
    const image_list = [{ image: png }]
    await takes(server, '/v1/videos/multi-image2video', [{ prompt: 'a pier', image_list }])
    await refuses(server, '/v1/videos/multi-image2video', [
      { image_list },
      { prompt: 'a pier', image_list: [] },
      { prompt: 'a pier', image_list: Array(5).fill(image_list[0]) },
      { prompt: 'a pier', image_list, model_name: 'kling-v3' },
    ])
    const dance = { image_url: png, video_url: far, character_orientation: 'image', mode: 'pro' }
    await takes(server, '/v1/videos/motion-control', [dance])
    await refuses(server, '/v1/videos/motion-control', [
      { ...dance, mode: undefined },
      { ...dance, video_url: png },
    ])
    const face = { model_name: 'kling-v2-1', prompt: 'a pier', image: png, image_reference: 'face' }
    await takes(server, '/v1/images/generations', [
      face,
      { prompt: 'a pier', n: 9, aspect_ratio: '21:9', resolution: '2k' },
    ])
    await refuses(server, '/v1/images/generations', [
      {},
      { prompt: 'a pier', n: 10 },
      { prompt: 'a pier', resolution: '4k' },
      { ...face, model_name: 'kling-v3' },
      { ...face, human_fidelity: 0.4 },
    ])
    await refuses(server, '/v1/images/omni-image', [
      { prompt: 'a pier', image_list: Array(11).fill({ image: png }) },
      { prompt: 'a pier', resolution: '4k' },
      { prompt: 'a pier', series_amount: 1 },
    ])
  })
})

describe('files', () => {
  test('of a picture are decoded and measured', async () => {
    const server = await open()
    const frame = (url: string) => ({ contents: [{ type: 'first_frame', url }] })
    await refuses(
      server,
      '/image-to-video/kling-3.0',
      [
        drawn(299, 320),
        drawn(1000, 300),
        drawn(320, 320, 'webp'),
        'not base64',
        `${png.slice(0, -3)}`,
        `data:image/png;base64,${png}`,
      ].map(frame),
    )
  })

  test('on loopback are fetched and measured', async () => {
    const files: Record<string, Buffer> = {
      '/good.mp4': await filmed(720, 720, 24, 76),
      '/short.mp4': await filmed(720, 720, 24, 48),
      '/small.mp4': await filmed(640, 720, 24, 76),
      '/slow.mp4': await filmed(720, 720, 12, 40),
      '/picture.png': Buffer.from(png, 'base64'),
    }
    const url = await listen((request, response) => {
      const file = files[request.url ?? '']
      response.writeHead(file === undefined ? 404 : 200).end(file)
    })
    const server = await open()
    const like = (name: string) => ({ contents: [prompt, { type: 'feature_video', url: `${url}${name}` }] })
    await takes(server, '/omni-video/kling-3.0-omni', [like('/good.mp4')])
    const bad = ['/short.mp4', '/small.mp4', '/slow.mp4', '/picture.png', '/none.mp4']
    await refuses(server, '/omni-video/kling-3.0-omni', bad.map(like))
    await takes(server, '/image-to-video/kling-3.0', [
      { contents: [{ type: 'first_frame', url: `${url}/picture.png` }] },
    ])
  })
})
