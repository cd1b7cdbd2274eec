import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { SignJWT } from 'jose'
import { Webhook } from 'standardwebhooks'
import { openFilm } from '../../src/providers/sandbox/film.ts'
import { atEnd } from '../at-end.ts'
import { until } from '../until.ts'
import { listen, startReceiver } from '../webhook-fixture.ts'
import { type KlingOptions, type KlingServer, klingErrors, startKling } from './kling.ts'
import { klingError } from './kling-answers.ts'

type Fields = Record<string, unknown>
interface Told {
  status: number
  code: number
  message: string
  // biome-ignore lint/suspicious/noExplicitAny: each path has another form
  data: any
  text: string
}

async function open(options: KlingOptions = {}): Promise<KlingServer> {
  const server = await startKling(options)
  atEnd(() => server.stop())
  return server
}

async function ask(
  server: KlingServer,
  method: string,
  path: string,
  body?: unknown,
  key = server.apiKey,
): Promise<Told> {
  const response = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { ...JSON.parse(text), status: response.status, text }
}

function drawn(width: number, height: number, type: 'png' | 'webp' = 'png'): string {
  const canvas = createCanvas(width, height)
  return (type === 'png' ? canvas.toBuffer('image/png') : canvas.toBuffer('image/webp')).toString('base64')
}

async function filmed(
  width: number,
  height: number,
  framesPerSecond: number,
  frames: number,
): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-kling-film-'))
  try {
    const path = join(folder, 'film.mp4')
    const film = await openFilm({ path, width, height, framesPerSecond, frames, sound: null })
    for (let frame = 0; frame < frames; frame++)
      await film.add(createCanvas(width, height), { newShot: frame === 0 })
    await film.finish()
    return await readFile(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const png = drawn(320, 320)
// addresses that are not of this machine are taken unseen
const far = 'https://media.example/film.mp4'
const prompt = { type: 'prompt', text: 'a pier' }
const first = { type: 'first_frame', url: png }
const last = { type: 'last_frame', url: png }
const refer = { type: 'refer_image', url: png }
const feature = { type: 'feature_video', url: far }
const base = { type: 'base_video', url: far }
const wide = { aspect_ratio: '16:9' }

/** Sends bodies that break a rule; all must be refused as invalid, and nothing come of them. */
async function refuses(server: KlingServer, path: string, bodies: unknown[]): Promise<void> {
  const before = server.tasks.size
  for (const body of bodies) {
    const { status, code, data } = await ask(server, 'POST', path, body)
    assert.deepEqual(
      { status, code, data },
      { status: 400, code: 1201, data: undefined },
      `${path} ${JSON.stringify(body).slice(0, 300)}`,
    )
  }
  assert.equal(server.tasks.size, before)
}

async function takes(server: KlingServer, path: string, bodies: unknown[]): Promise<void> {
  for (const body of bodies) {
    const { status, message } = await ask(server, 'POST', path, body)
    assert.equal(status, 200, `${path} ${JSON.stringify(body).slice(0, 300)}: ${message}`)
  }
}

/** Makes an element; answers its digits as they stand in the answer. */
async function makeElement(server: KlingServer, more: Fields = {}): Promise<string> {
  const path = '/v1/general/advanced-custom-elements'
  const made = await ask(server, 'POST', path, {
    element_name: 'Zhang',
    element_description: 'a keeper of a lighthouse',
    reference_type: 'image_refer',
    element_image_list: { frontal_image: png, refer_images: [{ image_url: png }] },
    ...more,
  })
  const { text } = await ask(server, 'GET', `${path}/${made.data.task_id}`)
  return /"element_id":(\d+)/.exec(text)![1]!
}

describe('a task of the new standard', () => {
  test('is submitted, then succeeded with a film that can be fetched and a bill', async () => {
    const server = await open()
    const options = { external_task_id: 'job-1' }
    const submit = await ask(server, 'POST', '/text-to-video/kling-3.0', {
      prompt: 'a pier',
      settings: { duration: 7 },
      options,
    })
    assert.equal(submit.data.status, 'submitted')
    assert.equal(submit.data.external_id, 'job-1')
    const { data } = await ask(server, 'GET', '/tasks?external_task_ids=job-1')
    assert.deepEqual(
      [data.length, data[0].id, data[0].status, data[0].message],
      [1, submit.data.id, 'succeeded', ''],
    )
    assert.deepEqual([data[0].outputs[0].type, data[0].outputs[0].duration], ['video', '7'])
    assert.equal(data[0].billing[0].package_type, 'video')
    const film = await fetch(data[0].outputs[0].url)
    assert.equal(film.headers.get('content-type'), 'video/mp4')
    assert.equal(Buffer.from(await film.arrayBuffer()).toString('latin1', 4, 8), 'ftyp')
  })

  test('is processing until its time is over, and fails with its reason', async () => {
    let now = new Date('2026-11-21T08:00:00Z')
    const server = await open({
      clock: { now: () => now },
      behave: () => ({ takesMs: 60_000, fail: 'not a pier' }),
    })
    const { data } = await ask(server, 'POST', '/text-to-video/kling-2.6', { prompt: 'a pier' })
    const look = async () => (await ask(server, 'GET', `/tasks?task_ids=${data.id}`)).data[0]
    assert.equal((await look()).status, 'processing')
    now = new Date(now.getTime() + 60_000)
    const { status, message, outputs, billing } = await look()
    assert.deepEqual(
      { status, message, outputs, billing },
      { status: 'failed', message: 'not a pier', outputs: [], billing: [] },
    )
  })

  test('is found by at most 20 ids of one kind, and an unknown one is left out', async () => {
    const server = await open()
    const twenty = Array.from({ length: 20 }, (_, index) => `none-${index}`).join(',')
    assert.deepEqual((await ask(server, 'GET', `/tasks?task_ids=${twenty}`)).data, [])
    for (const query of [
      '',
      `?task_ids=${twenty},one`,
      '?task_ids=a&external_task_ids=b',
      '?task_ids=',
      '?ids=a',
    ]) {
      const { status, code } = await ask(server, 'GET', `/tasks${query}`)
      assert.deepEqual([status, code], [400, 1201], query)
    }
  })

  test('is listed newest first, page after page', async () => {
    const server = await open()
    for (const words of ['one', 'two', 'three'])
      await ask(server, 'POST', '/text-to-video/kling-3.0-turbo', { prompt: words })
    const ids = [...server.tasks.keys()].reverse()
    const filters = [{ key: 'status', values: ['succeeded'] }]
    const page = await ask(server, 'POST', '/tasks', { limit: 2, filters, start_time: '0' })
    assert.deepEqual(
      [page.data.result.map(({ id }: { id: string }) => id), page.data.has_more],
      [ids.slice(0, 2), true],
    )
    const rest = await ask(server, 'POST', '/tasks', { limit: 2, filters, cursor: page.data.next_cursor })
    assert.deepEqual([rest.data.result[0].id, rest.data.count, rest.data.has_more], [ids[2], 1, false])
    assert.equal(
      (await ask(server, 'POST', '/tasks', { filters: [{ key: 'product_type', values: ['image'] }] })).data
        .count,
      0,
    )
    await refuses(server, '/tasks', [
      { limit: 501 },
      { limit: '2' },
      { filters: [{ key: 'model', values: ['x'] }] },
      { page: 1 },
    ])
  })
})

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

describe('a task of the legacy standard', () => {
  test('says succeed, and is found by either id at the path that made it', async () => {
    const server = await open()
    const path = '/v1/videos/text2video'
    const submit = await ask(server, 'POST', path, {
      model_name: 'kling-v3',
      prompt: 'a pier',
      external_task_id: 'job-1',
    })
    assert.deepEqual(
      [submit.data.task_status, submit.data.task_info.external_task_id],
      ['submitted', 'job-1'],
    )
    const id = submit.data.task_id
    for (const name of [id, 'job-1']) {
      const { data } = await ask(server, 'GET', `${path}/${name}`)
      assert.deepEqual([data.task_id, data.task_status, data.task_result.videos.length], [id, 'succeed', 1])
      assert.equal(data.final_balance_deduction.quota, '0.70')
    }
    for (const elsewhere of [`${path}/none`, `/v1/videos/image2video/${id}`]) {
      const { status, code, message } = await ask(server, 'GET', elsewhere)
      assert.deepEqual(
        [status, code, message.startsWith('Task not found by id/external id')],
        [400, 1201, true],
      )
    }
    assert.deepEqual((await ask(server, 'GET', `/tasks?task_ids=${id}`)).data, [])
  })

  test('is listed by pages', async () => {
    const server = await open()
    const path = '/v1/images/generations'
    for (const words of ['one', 'two', 'three']) await ask(server, 'POST', path, { prompt: words })
    const ids = [...server.tasks.keys()].reverse()
    const page = await ask(server, 'GET', `${path}?pageNum=2&pageSize=2`)
    assert.deepEqual(
      page.data.map((task: { task_id: string }) => task.task_id),
      [ids[2]],
    )
    for (const query of ['pageSize=501', 'pageNum=0', 'page=1']) {
      assert.equal((await ask(server, 'GET', `${path}?${query}`)).code, 1201)
    }
  })

  test('brings as many pictures as were ordered, alone or as a series', async () => {
    const server = await open()
    const path = '/v1/images/omni-image'
    const single = await ask(server, 'POST', path, { prompt: 'a pier', n: 3 })
    const series = await ask(server, 'POST', path, {
      prompt: 'a pier',
      result_type: 'series',
      series_amount: 5,
      n: 2,
    })
    const results = async (id: string) => (await ask(server, 'GET', `${path}/${id}`)).data.task_result
    assert.equal((await results(single.data.task_id)).images.length, 3)
    const { result_type, series_images: images } = await results(series.data.task_id)
    assert.deepEqual([result_type, images.length], ['series', 5])
    assert.equal((await fetch(images[0].url)).headers.get('content-type'), 'image/png')
  })

  test('with the old name of the model key gets the default, which is switched off', async () => {
    const server = await open()
    const path = '/v1/videos/text2video'
    const old = await ask(server, 'POST', path, { model: 'kling-v3', prompt: 'a pier' })
    assert.deepEqual([old.status, old.code], [404, 1203])
    const serving = await open({ switchedOff: ['kling-2.6'] })
    await takes(serving, path, [{ model: 'kling-v3', prompt: 'a pier' }])
    assert.equal([...serving.tasks.values()][0]!.order.model, 'kling-v1')
    assert.equal((await ask(serving, 'POST', '/text-to-video/kling-2.6', { prompt: 'a pier' })).code, 1203)
  })

  test('extends a video of an old model, and names the video it began with', async () => {
    const server = await open()
    const made = await ask(server, 'POST', '/v1/videos/text2video', {
      model_name: 'kling-v1-6',
      prompt: 'a pier',
    })
    const young = await ask(server, 'POST', '/v1/videos/text2video', {
      model_name: 'kling-v3',
      prompt: 'a pier',
    })
    const video = async (id: string) =>
      (await ask(server, 'GET', `/v1/videos/text2video/${id}`)).data.task_result.videos[0]
    const parent = await video(made.data.task_id)
    const path = '/v1/videos/video-extend'
    const more = await ask(server, 'POST', path, { video_id: parent.id, cfg_scale: 0.3 })
    const { data } = await ask(server, 'GET', `${path}/${more.data.task_id}`)
    assert.equal(data.task_info.parent_video.id, parent.id)
    await takes(server, path, [{ video_id: data.task_result.videos[0].id }])
    await refuses(server, path, [
      {},
      { video_id: 'none' },
      { video_id: (await video(young.data.task_id)).id },
    ])
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

describe('ids of elements', () => {
  test('are bare numbers past 2^53, and only the exact digits name an element', async () => {
    const server = await open()
    const digits = await makeElement(server)
    const other = await makeElement(server)
    assert.notEqual(digits, other)
    assert.equal(Number(digits), Number(other))
    const body = (id: string) =>
      `{"prompt":"<<<element_1>>>","aspect_ratio":"1:1","element_list":[{"element_id":${id}}]}`
    await takes(server, '/v1/videos/omni-video', [body(digits)])
    assert.match(
      String(
        (server.tasks.get([...server.tasks.keys()].at(-1)!)!.body as { element_list: Fields[] })
          .element_list[0]!.element_id,
      ),
      new RegExp(`^${digits}$`),
    )
    await refuses(server, '/v1/videos/omni-video', [
      body(JSON.stringify(Number(digits))),
      body(`"${digits}"`),
    ])
    const named = (id: unknown) => ({ contents: [first, { type: 'element', element_id: id, id: 'Zhang' }] })
    await takes(server, '/image-to-video/kling-3.0', [named(digits)])
    await refuses(server, '/image-to-video/kling-3.0', [named(String(Number(digits))), named(Number(digits))])
  })

  test('are gone once deleted', async () => {
    const server = await open()
    const digits = await makeElement(server)
    const path = '/v1/general/delete-advanced-elements'
    await refuses(server, path, [{ element_id: '1' }, {}, { id: digits }])
    assert.equal((await ask(server, 'POST', path, { element_id: digits })).code, 0)
    const { data } = await ask(server, 'GET', '/v1/general/advanced-custom-elements')
    assert.deepEqual(data[0].task_result.elements, [])
    await refuses(server, '/image-to-video/kling-3.0', [
      { contents: [first, { type: 'element', element_id: digits, id: 'Zhang' }] },
    ])
    await refuses(server, '/v1/general/advanced-custom-elements', [
      {
        element_name: 'x'.repeat(21),
        element_description: 'd',
        reference_type: 'image_refer',
        element_image_list: { frontal_image: png, refer_images: [{ image_url: png }] },
      },
      { element_name: 'x', element_description: 'd', reference_type: 'image_refer' },
      {
        element_name: 'x',
        element_description: 'd',
        reference_type: 'image_refer',
        element_image_list: { frontal_image: png, refer_images: [] },
      },
    ])
  })
})

describe('who asks', () => {
  async function token(
    server: KlingServer,
    claims: Fields,
    secret = server.secretKey,
    alg = 'HS256',
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    return await new SignJWT({ iss: server.accessKey, exp: now + 1800, nbf: now - 5, ...claims })
      .setProtectedHeader({ alg, typ: 'JWT' })
      .sign(new TextEncoder().encode(secret))
  }

  test('signs with the two keys on legacy paths only', async () => {
    const server = await open()
    const good = await token(server, {})
    assert.equal((await ask(server, 'GET', '/v1/videos/text2video', undefined, good)).code, 0)
    const fresh = await ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier' }, good)
    assert.deepEqual([fresh.status, fresh.code, server.tasks.size], [401, 1002, 0])
    assert.equal((await ask(server, 'GET', '/tasks?task_ids=a', undefined, good)).code, 1002)
  })

  test('is told what is wrong with a token', async () => {
    const server = await open()
    const now = Math.floor(Date.now() / 1000)
    const tokens: [string, number][] = [
      ['another-key', 1000],
      [await token(server, {}, 'another-secret-of-the-same-length'), 1000],
      [await token(server, { iss: 'somebody' }), 1002],
      [await token(server, { exp: undefined }), 1002],
      [await token(server, { nbf: undefined }), 1002],
      [await token(server, {}, server.secretKey, 'HS512'), 1002],
      [await token(server, { nbf: now + 600 }), 1003],
      [await token(server, { exp: now - 600 }), 1004],
      ['two words', 1002],
    ]
    for (const [given, wanted] of tokens) {
      const { status, code } = await ask(server, 'GET', '/v1/videos/text2video', undefined, given)
      assert.deepEqual([status, code], [401, wanted], given)
    }
    assert.equal((await (await fetch(`${server.url}/tasks?task_ids=a`)).json()).code, 1001)
  })
})

describe('what goes wrong', () => {
  test('every error of the table is told for a submit, with nothing created, and for a question', async () => {
    let code = 0
    const server = await open({ behave: () => ({ refuse: { code } }) })
    for (const [key, { status }] of Object.entries(klingErrors)) {
      code = Number(key)
      const refused = await ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier' })
      server.interrupt(/^GET \/tasks/, klingError(code))
      const asked = await ask(server, 'GET', '/tasks?task_ids=a')
      for (const told of [refused, asked]) assert.deepEqual([told.status, told.code], [status, code])
    }
    assert.equal(server.tasks.size, 0)
    assert.equal((await ask(server, 'GET', '/tasks?task_ids=a')).code, 0)
  })

  test('an answer that is lost may have created a task or not', async () => {
    const server = await open({
      behave: ({ body }) => {
        const { prompt: words } = body as { prompt: string }
        return words === 'crash' ? { crash: { code: 5002 } } : { lose: words as 'before' | 'after' }
      },
    })
    const submit = (words: string) =>
      ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: words, options: { external_task_id: words } })
    await assert.rejects(submit('before'))
    await assert.rejects(submit('after'))
    assert.equal((await submit('crash')).status, 504)
    const { data } = await ask(server, 'GET', '/tasks?external_task_ids=before,after,crash')
    assert.deepEqual(data.map((task: { external_id: string }) => task.external_id).sort(), ['after', 'crash'])
    assert.deepEqual(
      server.transcript.map(({ status }) => status),
      [0, 0, 504, 200],
    )
  })

  test('an external id is taken once, by whichever standard', async () => {
    const server = await open()
    await takes(server, '/text-to-video/kling-3.0', [
      { prompt: 'a pier', options: { external_task_id: 'one' } },
    ])
    await refuses(server, '/text-to-video/kling-3.0', [
      { prompt: 'a pier', options: { external_task_id: 'one' } },
    ])
    const again = await ask(server, 'POST', '/v1/images/generations', {
      prompt: 'a pier',
      external_task_id: 'one',
    })
    assert.deepEqual(
      [again.status, again.code, again.message],
      [400, 1201, 'External_task_id one already exists'],
    )
  })

  test('a pack has so many places for each model, held to the end', async () => {
    let now = new Date('2026-11-21T08:00:00Z')
    const clock = { now: () => now }
    const server = await open({ clock, places: { video: 1, image: 3 }, behave: () => ({ takesMs: 1000 }) })
    const film = () => ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier' })
    const pictures = (n: number) => ask(server, 'POST', '/v1/images/generations', { prompt: 'a pier', n })
    assert.equal((await film()).code, 0)
    const second = await film()
    assert.deepEqual([second.status, second.code, server.tasks.size], [429, 1303, 1])
    await takes(server, '/text-to-video/kling-2.6', [{ prompt: 'a pier' }])
    assert.deepEqual(
      [(await pictures(2)).code, (await pictures(2)).code, (await pictures(1)).code],
      [0, 1303, 0],
    )
    now = new Date(now.getTime() + 1000)
    assert.equal((await film()).code, 0)
  })

  test('a path or a method that is not served is refused in its own shape', async () => {
    const server = await open()
    const lost = JSON.parse((await ask(server, 'GET', '/v2/videos')).text)
    assert.deepEqual(Object.keys(lost), ['timestamp', 'status', 'error', 'message', 'path'])
    const method = await ask(server, 'DELETE', '/tasks')
    assert.deepEqual([method.status, method.code], [404, 1202])
    assert.equal((await ask(server, 'POST', '/text-to-video/kling-9', { prompt: 'a pier' })).code, 1203)
    assert.equal((await ask(server, 'POST', '/text-to-video/kling-3.0', '{')).code, 1200)
  })

  test('costs are told once a second, in an envelope of their own', async () => {
    let now = new Date('2026-11-21T08:00:00Z')
    const server = await open({ clock: { now: () => now } })
    const costs = () => ask(server, 'GET', '/account/costs?start_time=0&end_time=1')
    assert.equal((await costs()).data.code, 0)
    assert.deepEqual([(await costs()).status, (await costs()).code], [429, 1302])
    now = new Date(now.getTime() + 1000)
    assert.equal((await costs()).code, 0)
  })
})

describe('callbacks', () => {
  const secret = 'whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI='

  test('are signed as in the example that the vendor published', () => {
    const body =
      '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
    const signature = new Webhook(secret).sign('9876543210', new Date(1781080794 * 1000), body)
    assert.equal(signature, 'v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=')
  })

  test('tell every change of a task bare, each standard in its own words', async () => {
    const receiver = await startReceiver()
    const server = await open({ webhookSecret: secret })
    await ask(server, 'POST', '/text-to-video/kling-3.0', {
      prompt: 'a pier',
      options: { callback_url: `${receiver.url}/new` },
    })
    await ask(server, 'POST', '/v1/images/generations', {
      prompt: 'a pier',
      callback_url: `${receiver.url}/legacy`,
    })
    await until(() => server.callbacks.length === 4)
    const told = (path: string) => {
      const all = receiver.received.filter((one) => one.path === path)
      for (const { body, headers } of all) new Webhook(secret).verify(body, headers as Record<string, string>)
      return all.map(({ body }) => JSON.parse(body))
    }
    assert.deepEqual(
      told('/new').map(({ status }) => status),
      ['processing', 'succeeded'],
    )
    assert.deepEqual(
      told('/legacy').map((task) => task.task_status),
      ['processing', 'succeed'],
    )
    assert.equal(told('/new')[1].code, undefined)
    assert.equal(told('/legacy')[1].task_result.images.length, 1)
  })

  test('carry a signature by each secret, and none where they are not signed', async () => {
    const receiver = await startReceiver()
    const other = 'whsec_b3RoZXJzZWNyZXRvdGhlcnNlY3JldG90aGVyc2VjcmV0'
    const server = await open({ webhookSecret: [secret, other], signsLegacyCallbacks: false })
    const callback_url = receiver.url
    await ask(server, 'POST', '/text-to-video/kling-3.0', { prompt: 'a pier', options: { callback_url } })
    await ask(server, 'POST', '/v1/images/generations', { prompt: 'a pier', callback_url })
    await until(() => server.callbacks.length === 4)
    for (const { headers, body } of receiver.received) {
      const isNew = JSON.parse(body).id !== undefined
      assert.equal(headers['webhook-signature']?.toString().split(' ').length, isNew ? 2 : undefined)
    }
  })
})
