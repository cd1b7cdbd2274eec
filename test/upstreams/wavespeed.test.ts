import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Client } from 'wavespeed'
import { atEnd } from '../at-end.ts'
import { until } from '../until.ts'
import { startReceiver } from '../webhook-fixture.ts'
import { startWavespeed, type Wavespeed, type WavespeedOptions } from './wavespeed.ts'

const text = 'kwaivgi/kling-v3.0-pro/text-to-video'
const image = 'kwaivgi/kling-v3.0-std/image-to-video'
const forEver = Number.POSITIVE_INFINITY
const picture = await readFile(new URL('../../docs/images/tokyo.jpg', import.meta.url))

async function start(options: WavespeedOptions = {}): Promise<Wavespeed> {
  const wavespeed = await startWavespeed(options)
  atEnd(wavespeed.stop)
  return wavespeed
}

interface Prediction {
  id: string
  status: string
  code?: number
  error: string
  outputs: string[]
  has_nsfw_contents: boolean[]
  urls: { get: string }
}

function ask({ url, apiKey }: Wavespeed, path: string, method = 'GET', body?: object, headers: object = {}) {
  return fetch(new URL(path, `${url}/api/v3/`), {
    method,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

async function dataOf<T = Prediction>(asked: Promise<Response>): Promise<T> {
  const { code, data } = (await (await asked).json()) as { code: number; data: T }
  assert.equal(code, 200)
  return data
}

const submit = (wavespeed: Wavespeed, body: object = { prompt: 'a cat' }, model = text) =>
  dataOf(ask(wavespeed, model, 'POST', body))
const poll = (wavespeed: Wavespeed, { id }: { id: string }) =>
  dataOf(ask(wavespeed, `predictions/${id}/result`))

for (const enableSyncMode of [false, true]) {
  const how = enableSyncMode ? 'in one request' : 'by polling'
  test(`WaveSpeed's own client brings a film of text to its end ${how}`, async () => {
    const wavespeed = await start()
    const client = new Client(wavespeed.apiKey, { baseUrl: wavespeed.url })
    const { outputs } = await client.run(text, { prompt: 'a cat' }, { pollInterval: 0.01, enableSyncMode })
    const film = await fetch(outputs[0])
    assert.equal(film.headers.get('content-type'), 'video/mp4')
    assert.ok((await film.arrayBuffer()).byteLength > 1_000)
    assert.equal(wavespeed.tasks.size, 1)
  })
}

test("WaveSpeed's own client reads a failed task as such", async () => {
  const wavespeed = await start({ behave: () => ({ fail: 1200 }) })
  const client = new Client(wavespeed.apiKey, { baseUrl: wavespeed.url })
  const { outputs, detail } = await client.runNoThrow(text, { prompt: 'a cat' }, { pollInterval: 0.01 })
  assert.equal(outputs, null)
  assert.equal(detail.status, 'failed')
  assert.match(String(detail.error), /Content moderation/)
})

test('a film of an uploaded picture comes to its end', async () => {
  const wavespeed = await start()
  const form = new FormData()
  form.append('file', new File([picture], 'tokyo.jpg', { type: 'image/jpeg' }))
  const { url, apiKey } = wavespeed
  const headers = { authorization: `Bearer ${apiKey}` }
  const { download_url } = await dataOf<{ download_url: string }>(
    fetch(`${url}/api/v3/media/upload/binary`, { method: 'POST', headers, body: form }),
  )
  const client = new Client(apiKey, { baseUrl: url })
  const { outputs } = await client.run(image, { image: download_url }, { pollInterval: 0.01 })
  assert.match(outputs[0], /\.mp4$/)
})

const edit = 'kwaivgi/kling-video-o3-pro/reference-to-video'
const video = 'https://example.com/a.mp4'
const wrongs: [string, string, object, RegExp][] = [
  ['an unknown field', text, { prompt: 'a cat', generate_audio: true }, /generate_audio/],
  ['a length in text', text, { prompt: 'a cat', duration: '5' }, /duration/],
  ['a length out of range', text, { prompt: 'a cat', duration: 16 }, /duration/],
  ['two kinds of prompt', text, { prompt: 'a', multi_prompt: [{ prompt: 'b', duration: 3 }] }, /oneOf/],
  ['no picture', image, { prompt: 'a cat' }, /image/],
  ['a picture that is no URL', image, { image: 'data:image/png;base64,AAAA' }, /image/],
  ['sound with a film to refer to', edit, { prompt: 'a cat', video, sound: true }, /sound/],
  ['the URL of the webhook in the body', text, { prompt: 'a cat', webhook_url: video }, /webhook_url/],
]

for (const [what, model, body, message] of wrongs) {
  test(`${what} is refused and nothing is made`, async () => {
    const wavespeed = await start()
    const response = await ask(wavespeed, model, 'POST', body)
    assert.equal(response.status, 400)
    const answer = (await response.json()) as { code: number; message: string }
    assert.equal(answer.code, 400)
    assert.match(answer.message, message)
    assert.equal(wavespeed.tasks.size, 0)
  })
}

test('a key under another word is refused', async () => {
  const wavespeed = await start()
  const headers = { authorization: `Key ${wavespeed.apiKey}` }
  assert.equal((await ask(wavespeed, text, 'POST', { prompt: 'a cat' }, headers)).status, 401)
})

for (const path of ['kwaivgi/kling-v9', 'predictions/none', 'predictions/none/result']) {
  test(`${path} is not found`, async () => {
    const wavespeed = await start()
    const response = await ask(wavespeed, path, path.startsWith('p') ? 'GET' : 'POST')
    assert.equal(response.status, 404)
    assert.equal(((await response.json()) as { code: number }).code, 404)
  })
}

test('a parameter that would be passed over is refused', async () => {
  const wavespeed = await start()
  const response = await ask(wavespeed, `${text}?fal_webhook=https%3A%2F%2Fexample.com`, 'POST', {
    prompt: 'a',
  })
  assert.equal(response.status, 400)
})

test('an error can come under a 200', async () => {
  const wavespeed = await start({ behave: () => ({ refuse: { status: 200, code: 500, message: 'Busy' } }) })
  const response = await ask(wavespeed, text, 'POST', { prompt: 'a cat' })
  assert.equal(response.status, 200)
  assert.deepEqual(await response.json(), { code: 500, message: 'Busy' })
  assert.equal(wavespeed.tasks.size, 0)
})

test('both addresses of a prediction tell the same, and so does the one of the answer', async () => {
  const wavespeed = await start()
  const { id, status, urls } = await submit(wavespeed)
  assert.equal(status, 'created')
  const [one, other, told] = await Promise.all(
    [`predictions/${id}`, `predictions/${id}/result`, urls.get].map((path) => dataOf(ask(wavespeed, path))),
  )
  assert.equal(one?.status, 'completed')
  assert.deepEqual(other, one)
  assert.deepEqual(told, one)
})

test('what is above the concurrency of a level waits as created', async () => {
  let now = Date.now()
  const clock = { now: () => new Date(now) }
  const wavespeed = await start({ clock, level: 'bronze', behave: () => ({ takesMs: forEver }) })
  const first = await submit(wavespeed)
  const second = await submit(wavespeed)
  now += 61_000
  const third = await submit(wavespeed)
  const statuses = async () =>
    Promise.all([first, second, third].map(async (task) => (await poll(wavespeed, task)).status))
  assert.deepEqual(await statuses(), ['processing', 'processing', 'created'])
  wavespeed.finish(first.id)
  assert.deepEqual(await statuses(), ['completed', 'processing', 'processing'])
})

test('more in a minute than a level allows are refused until it is over', async () => {
  let now = Date.now()
  const clock = { now: () => new Date(now) }
  const wavespeed = await start({ clock, level: 'bronze' })
  await submit(wavespeed)
  await submit(wavespeed)
  const refused = await ask(wavespeed, text, 'POST', { prompt: 'a cat' })
  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('retry-after'), '60')
  now += 61_000
  assert.equal((await submit(wavespeed)).status, 'created')
})

for (const status of [402, 403] as const) {
  test(`what costs more than is left is refused with ${status}`, async () => {
    const wavespeed = await start({ balance: 0.5, outOfCreditStatus: status })
    const body = { image: 'https://example.com/a.png', duration: 10 }
    assert.equal((await ask(wavespeed, image, 'POST', body)).status, status)
    assert.equal(wavespeed.tasks.size, 0)
  })
}

test('the balance falls by the price of a film and is given back for a failed one', async () => {
  const wavespeed = await start({
    balance: 10,
    behave: ({ body }) => ({ ...(body.seed === 1 && { fail: 5000 }) }),
  })
  const body = { image: 'https://example.com/a.png', sound: true }
  const left = async () => (await dataOf<{ balance: number }>(ask(wavespeed, 'balance'))).balance.toFixed(3)
  await poll(wavespeed, await submit(wavespeed, body, image))
  assert.equal(await left(), '9.370')
  await poll(wavespeed, await submit(wavespeed, { ...body, seed: 1 }, image))
  assert.equal(await left(), '9.370')
})

test('a failed task is a success of HTTP with a code of its own', async () => {
  const wavespeed = await start({ behave: () => ({ fail: 1200 }) })
  const { status, code, error, outputs } = await poll(wavespeed, await submit(wavespeed))
  assert.deepEqual([status, code, error, outputs], ['failed', 1200, 'Content moderation failed', []])
})

test('a task can end in the newer states, without a code', async () => {
  const wavespeed = await start({ behave: () => ({ fail: { status: 'timeout', error: 'Too slow' } }) })
  const { status, code, error } = await poll(wavespeed, await submit(wavespeed))
  assert.deepEqual([status, code, error], ['timeout', undefined, 'Too slow'])
})

test('a flagged film comes with its flag', async () => {
  const wavespeed = await start({ behave: () => ({ isFlagged: true }) })
  const { outputs, has_nsfw_contents } = await poll(wavespeed, await submit(wavespeed))
  assert.equal(outputs.length, 1)
  assert.deepEqual(has_nsfw_contents, [true])
})

test('a picture is fetched, and fails the task if it is none', async () => {
  const wavespeed = await start()
  const { url } = await startReceiver()
  const codeFor = async (at: string) =>
    (await poll(wavespeed, await submit(wavespeed, { image: at }, image))).code
  assert.equal(await codeFor('http://127.0.0.1:1/a.png'), 1402)
  assert.equal(await codeFor(`${url}/text`), 1401)
})

test('a deleted task stops, and what it would have cost is given back', async () => {
  const wavespeed = await start({ balance: 1, behave: () => ({ takesMs: forEver, billing: 0.4 }) })
  const task = await submit(wavespeed)
  assert.equal((await dataOf(ask(wavespeed, `predictions/${task.id}`, 'DELETE'))).status, 'deleted')
  assert.equal((await poll(wavespeed, task)).status, 'deleted')
  assert.equal(wavespeed.balance, 1)
})

test('a task may go on in spite of its deletion', async () => {
  const wavespeed = await start({ behave: () => ({ takesMs: forEver, ignoresDelete: true }) })
  const task = await submit(wavespeed)
  await ask(wavespeed, `predictions/${task.id}`, 'DELETE')
  assert.equal((await poll(wavespeed, task)).status, 'processing')
  wavespeed.finish(task.id)
  assert.equal((await poll(wavespeed, task)).status, 'completed')
})

test('deleting what has ended removes the record and leaves the film', async () => {
  const wavespeed = await start()
  const { id, outputs } = await poll(wavespeed, await submit(wavespeed))
  await ask(wavespeed, `predictions/${id}`, 'DELETE')
  assert.equal((await ask(wavespeed, `predictions/${id}`)).status, 404)
  assert.equal((await fetch(outputs[0]!)).status, 200)
  assert.deepEqual([...wavespeed.tasks.keys()], [id])
})

test('an answer can be lost before or after the task is made', async () => {
  const fates = ['before', 'after'] as const
  const wavespeed = await start({ behave: ({ body }) => ({ lose: fates[Number(body.prompt)]! }) })
  await assert.rejects(ask(wavespeed, text, 'POST', { prompt: '0' }))
  assert.equal(wavespeed.tasks.size, 0)
  await assert.rejects(ask(wavespeed, text, 'POST', { prompt: '1' }))
  assert.equal(wavespeed.tasks.size, 1)
})

test('an error can hide that the task was made', async () => {
  const wavespeed = await start({ behave: () => ({ crash: { status: 500 } }) })
  assert.equal((await ask(wavespeed, text, 'POST', { prompt: 'a cat' })).status, 500)
  assert.equal(wavespeed.tasks.size, 1)
})

test('a webhook is the prediction without envelope, signed with the text of the secret, repeated until it is taken', async () => {
  const wavespeed = await start()
  const { url, received } = await startReceiver({ '/hook': [500, 200] })
  const path = `${text}?webhook=${encodeURIComponent(`${url}/hook`)}`
  const { id } = await dataOf(ask(wavespeed, path, 'POST', { prompt: 'a cat' }))
  await until(() => received.length === 2)
  const { headers, body } = received[1]!
  const { secret } = await dataOf<{ secret: string }>(ask(wavespeed, 'webhook/secret'))
  assert.match(secret, /^whsec_/)
  const hmac = createHmac('sha256', secret.slice('whsec_'.length))
  const signed = hmac.update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('hex')
  assert.equal(headers['webhook-signature'], `v3,${signed}`)
  assert.equal(headers['webhook-id'], received[0]!.headers['webhook-id'])
  const told = JSON.parse(body)
  assert.deepEqual([told.id, told.status, told.input.prompt], [id, 'completed', 'a cat'])
})

test('a webhook tells of a failure', async () => {
  const wavespeed = await start({ webhookSecret: null, behave: () => ({ fail: 1405 }) })
  const { url, received } = await startReceiver()
  await ask(wavespeed, `${text}?webhook=${encodeURIComponent(url)}`, 'POST', { prompt: 'a cat' })
  const { headers, body } = await until(() => received[0])
  const { status, code } = JSON.parse(body)
  assert.deepEqual([status, code, headers['webhook-signature']], ['failed', 1405, undefined])
})
