// Kling's server, driven by a client that we did not write. It knows the legacy standard only.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { KlingAPI } from 'kling-api'
import type { Exchange, KlingServer } from './kling.ts'
import { open } from './kling-fixture.ts'

const picture = fileURLToPath(new URL('../../docs/images/tokyo.jpg', import.meta.url))
const patience = { interval: 1, showSpinner: false }
const film = { prompt: 'a pier', model_name: 'kling-v2-6' } as const

/** It makes its tokens of the keys. It takes no address without TLS, so its axios is told ours after it was made. */
function connect({ url, accessKey, secretKey }: KlingServer, secret = secretKey): KlingAPI {
  const kling = new KlingAPI({ accessKey, secretKey: secret })
  kling.client.defaults.baseURL = url
  return kling
}

/** A server whose clock is a second later at each look, so that a client has to ask more than once. */
async function openSlow(): Promise<KlingServer> {
  let now = Date.now()
  function tick(): Date {
    now += 1000
    return new Date(now)
  }
  return await open({ clock: { now: tick }, behave: () => ({ takesMs: 30_000 }) })
}

interface Named {
  data: { task_id: string }
}
type Films = Awaited<ReturnType<KlingAPI['queryTextToVideoTask']>>
type Pictures = Awaited<ReturnType<KlingAPI['queryImageGenTask']>>

/** Waits as the client does and fetches the one film; answers its id. */
async function bringsFilm(
  kling: KlingAPI,
  { data }: Named,
  ask: (id: string) => Promise<Films>,
): Promise<string> {
  const { data: task } = await kling.waitForVideoResult(data.task_id, ask, patience)
  const [{ id, url, duration } = assert.fail('no film'), ...others] = task.task_result?.videos ?? []
  assert.deepEqual([task.task_status, duration, others], ['succeed', '5', []])
  const response = await fetch(url)
  assert.equal(response.headers.get('content-type'), 'video/mp4')
  assert.equal(Buffer.from(await response.arrayBuffer()).toString('latin1', 4, 8), 'ftyp')
  return id
}

async function bringsPictures(
  kling: KlingAPI,
  { data }: Named,
  ask: (id: string) => Promise<Pictures>,
): Promise<void> {
  const { data: task } = await kling.waitForImageResult(data.task_id, ask, patience)
  const pictures = task.task_result?.images ?? []
  assert.deepEqual(
    pictures.map(({ index }) => index),
    [0, 1],
  )
  for (const { url } of pictures) assert.equal((await fetch(url)).headers.get('content-type'), 'image/png')
}

function askedFor({ transcript }: KlingServer, method: string, path: RegExp): Exchange[] {
  return transcript.filter((one) => one.method === method && path.test(one.path))
}

test("another's client brings a film of text to its end, asking with a token that it made", async () => {
  const server = await openSlow()
  const kling = connect(server)
  const made = await kling.textToVideo({ ...film, external_task_id: 'job-1', aspect_ratio: '9:16' })
  assert.equal(made.data.task_info?.external_task_id, 'job-1')
  await bringsFilm(kling, made, (id) => kling.queryTextToVideoTask(id))
  assert.equal(askedFor(server, 'POST', /^\/v1\/videos\/text2video$/).length, 1)
  const asked = askedFor(server, 'GET', /^\/v1\/videos\/text2video\/\d+$/)
  assert.ok(asked.length > 1, `asked ${asked.length} times`)
  assert.equal(asked[0]!.headers.authorization, `Bearer ${kling.getToken()}`)
})

test("another's client brings a film of a picture on its disk to its end", async () => {
  const server = await openSlow()
  const kling = connect(server)
  const made = await kling.imageToVideo({ ...film, image: picture, mode: 'pro' })
  await bringsFilm(kling, made, (id) => kling.queryImageToVideoTask(id))
  assert.equal(askedFor(server, 'POST', /^\/v1\/videos\/image2video$/).length, 1)
  assert.ok(askedFor(server, 'GET', /^\/v1\/videos\/image2video\/\d+$/).length > 1)
})

test("another's client brings a film of the omni model to its end", async () => {
  const kling = connect(await open())
  const images = [{ image_url: picture, type: 'first_frame' as const }, { image_url: picture }]
  const made = await kling.omniVideo({ prompt: '<<<image_2>>> walks', image_list: images, duration: '5' })
  await bringsFilm(kling, made, (id) => kling.queryOmniVideoTask(id))
})

test("another's client makes a film of several pictures, and one that goes on from it", async () => {
  const kling = connect(await open())
  const images = [{ image: picture }, { image: picture }]
  const made = await kling.multiImageToVideo({ prompt: 'a pier', image_list: images })
  const id = await bringsFilm(kling, made, (task) => kling.queryMultiImageToVideoTask(task))
  const longer = await kling.extendVideo({ video_id: id, prompt: 'the tide comes' })
  await bringsFilm(kling, longer, (task) => kling.queryExtendVideoTask(task))
})

test("another's client brings pictures to their end", async () => {
  const kling = connect(await open())
  const made = await kling.generateImage({ prompt: 'a pier', model_name: 'kling-v2-1', n: 2 })
  await bringsPictures(kling, made, (id) => kling.queryImageGenTask(id))
})

test("another's client brings pictures of the omni model to their end", async () => {
  const kling = connect(await open())
  const made = await kling.omniImage({
    prompt: '<<<image_1>>> at night',
    image_list: [{ image: picture }],
    n: 2,
  })
  await bringsPictures(kling, made, (id) => kling.queryOmniImageTask(id))
})

test("another's client is refused with a token of another secret, and nothing is made", async () => {
  const server = await open()
  const kling = connect(server, 'some-other-secret-of-32-characters')
  await assert.rejects(kling.textToVideo(film), { name: 'KlingAPIError', code: 1000, httpStatus: 401 })
  assert.equal(server.tasks.size, 0)
})

test("another's client reads a name that was used before as refused", async () => {
  const server = await open()
  const kling = connect(server)
  await kling.textToVideo({ ...film, external_task_id: 'job-1' })
  const again = kling.textToVideo({ ...film, external_task_id: 'job-1' })
  await assert.rejects(again, { name: 'KlingAPIError', code: 1201, message: /already exists/ })
  assert.equal(server.tasks.size, 1)
})

test("another's client reads a failed task as such, with its reason", async () => {
  const kling = connect(await open({ behave: () => ({ fail: 'not a pier' }) }))
  const { data } = await kling.textToVideo(film)
  const waiting = kling.waitForVideoResult(data.task_id, undefined, patience)
  await assert.rejects(waiting, { name: 'KlingAPIError', message: 'not a pier' })
})

test("another's client reads what is left of a pack", async () => {
  const pack = { resource_pack_name: 'films', remaining_quantity: 7 }
  const kling = connect(await open({ packs: { resource_pack_subscribe_infos: [pack] } }))
  const { data } = await kling.getAccountInfo(Date.now() - 1000, Date.now())
  assert.deepEqual(data.resource_pack_subscribe_infos, [pack])
})
