import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { createFalClient, ValidationError } from '@fal-ai/client'
import { atEnd } from '../at-end.ts'
import { until } from '../until.ts'
import { startReceiver } from '../webhook-fixture.ts'
import { type Fal, type FalOptions, startFal } from './fal.ts'

const v3 = 'fal-ai/kling-video/v3/pro/text-to-video'
const picture = await readFile(new URL('../../docs/images/tokyo.jpg', import.meta.url))

async function start(options: FalOptions = {}): Promise<Fal> {
  const fal = await startFal(options)
  atEnd(fal.stop)
  return fal
}

/** fal's own client; all that it says to fal's hosts goes to the server. */
function clientOf({ url, apiKey }: Fal) {
  return createFalClient({
    credentials: apiKey,
    fetch: (input, init) =>
      fetch(String(input).replace(/^https:\/\/(queue\.fal\.run|rest\.fal\.ai)/, url), init),
  })
}

interface Submitted {
  request_id: string
  status_url: string
  response_url: string
  cancel_url: string
}

function ask({ url, apiKey }: Fal, path: string, method = 'GET', body?: object, headers: object = {}) {
  return fetch(new URL(path, url), {
    method,
    headers: { authorization: `Key ${apiKey}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

async function submit(fal: Fal, body: object = { prompt: 'a cat' }, endpoint = v3): Promise<Submitted> {
  const response = await ask(fal, `/${endpoint}`, 'POST', body)
  assert.equal(response.status, 200)
  return (await response.json()) as Submitted
}

async function outcomeOf(fal: Fal, submitted: Submitted) {
  const status = await ask(fal, submitted.status_url)
  const result = await ask(fal, submitted.response_url)
  return {
    status: await status.json(),
    code: result.status,
    headers: result.headers,
    body: await result.json(),
  }
}

test("fal's own client brings a film of text to its end", async () => {
  const fal = await start()
  const { data, requestId } = await clientOf(fal).subscribe(v3, {
    input: { prompt: 'a cat' },
    pollInterval: 1,
  })
  const film = await fetch(data.video.url)
  assert.equal(film.headers.get('content-type'), 'video/mp4')
  assert.equal((await film.arrayBuffer()).byteLength, data.video.file_size)
  assert.deepEqual([...fal.tasks.keys()], [requestId])
})

test("fal's own client uploads a picture and brings a film of it to its end", async () => {
  const fal = await start()
  const input = { prompt: 'rain', start_image_url: new Blob([picture], { type: 'image/jpeg' }) }
  const { data } = await clientOf(fal).subscribe('fal-ai/kling-video/v3/pro/image-to-video', {
    input: input as never,
    pollInterval: 1,
  })
  assert.match(data.video.url, /\/output\.mp4$/)
})

test("fal's own client reads a refused input as such", async () => {
  const fal = await start()
  const refused = clientOf(fal).subscribe(v3, { input: { prompt: 'a cat', duration: '2' as never } })
  await assert.rejects(refused, (error) => error instanceof ValidationError && error.status === 422)
})

const wrongs: [string, string, object, (string | number)[], string][] = [
  ['an unknown field', v3, { prompt: 'a cat', seed: 1 }, ['body', 'seed'], 'extra_forbidden'],
  ['a length out of range', v3, { prompt: 'a cat', duration: '16' }, ['body', 'duration'], 'literal_error'],
  ['a number for a text', v3, { prompt: 'a cat', duration: 5 }, ['body', 'duration'], 'literal_error'],
  ['too great a number', v3, { prompt: 'a cat', cfg_scale: 2 }, ['body', 'cfg_scale'], 'less_than_equal'],
  ['no prompt', v3, {}, ['body'], 'value_error'],
  ['two kinds of prompt', v3, { prompt: 'a', multi_prompt: [{ prompt: 'b' }] }, ['body'], 'value_error'],
  [
    'no picture',
    'fal-ai/kling-video/v3/pro/image-to-video',
    { prompt: 'a cat' },
    ['body', 'start_image_url'],
    'missing',
  ],
  [
    'a picture by the name of another endpoint',
    'fal-ai/kling-video/o3/pro/image-to-video',
    { prompt: 'a cat', start_image_url: 'https://example.com/a.png' },
    ['body', 'start_image_url'],
    'extra_forbidden',
  ],
  [
    'an unknown field of an element',
    'fal-ai/kling-video/o1/reference-to-video',
    {
      prompt: 'a cat',
      elements: [
        {
          frontal_image_url: 'https://example.com/a.png',
          reference_image_urls: ['https://example.com/b.png'],
          name: 'x',
        },
      ],
    },
    ['body', 'elements', 0, 'name'],
    'extra_forbidden',
  ],
]

for (const [what, endpoint, body, loc, type] of wrongs) {
  test(`${what} is refused at submit and nothing is made`, async () => {
    const fal = await start()
    const response = await ask(fal, `/${endpoint}`, 'POST', body)
    assert.equal(response.status, 422)
    const { detail } = (await response.json()) as { detail: { loc: unknown; type: string }[] }
    const problem = detail.find((one) => one.type === type)
    assert.deepEqual(problem?.loc, loc)
    assert.equal(fal.tasks.size, 0)
  })
}

test('more pictures and elements than an edit takes together are refused', async () => {
  const fal = await start()
  const url = 'https://example.com/a.png'
  const element = { frontal_image_url: url, reference_image_urls: [url] }
  const edit = 'fal-ai/kling-video/o1/video-to-video/edit'
  const bodyOf = (images: number) => ({
    prompt: 'a cat',
    video_url: 'https://example.com/a.mp4',
    image_urls: Array(images).fill(url),
    elements: [element, element],
  })
  assert.equal((await ask(fal, `/${edit}`, 'POST', bodyOf(3))).status, 422)
  assert.equal((await ask(fal, `/${edit}`, 'POST', bodyOf(2))).status, 200)
})

test('what is wrong with an input may show in the result only', async () => {
  const fal = await start({ validatesAt: 'run' })
  const { status, code, body } = await outcomeOf(fal, await submit(fal, { prompt: 'a cat', seed: 1 }))
  assert.equal(status.status, 'COMPLETED')
  assert.equal(code, 422)
  assert.equal(body.detail[0].type, 'extra_forbidden')
})

test('a key under another word is refused', async () => {
  const fal = await start()
  const headers = { authorization: `Bearer ${fal.apiKey}` }
  assert.equal((await ask(fal, `/${v3}`, 'POST', { prompt: 'a cat' }, headers)).status, 401)
  assert.equal(fal.tasks.size, 0)
})

for (const [what, path, headers] of [
  ['a webhook that is not https', `/${v3}?fal_webhook=http%3A%2F%2Fexample.com`, {}],
  ['a misspelt webhook', `/${v3}?webhook=https%3A%2F%2Fexample.com`, {}],
  ['an unknown priority', `/${v3}`, { 'x-fal-queue-priority': 'high' }],
  ['a body that is not called JSON', `/${v3}`, { 'content-type': 'text/plain' }],
] as const) {
  test(`${what} is refused`, async () => {
    const fal = await start()
    const response = await ask(fal, path, 'POST', { prompt: 'a cat' }, headers)
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('x-fal-error-type'), 'bad_request')
    assert.equal(fal.tasks.size, 0)
  })
}

for (const status of [401, 403, 404, 410, 429]) {
  test(`a submit refused with ${status} makes nothing`, async () => {
    const fal = await start({ behave: () => ({ refuse: { status, headers: { 'retry-after': '1' } } }) })
    const response = await ask(fal, `/${v3}`, 'POST', { prompt: 'a cat' })
    assert.equal(response.status, status)
    assert.equal(response.headers.get('retry-after'), '1')
    assert.equal(typeof ((await response.json()) as { detail: unknown }).detail, 'string')
    assert.equal(fal.tasks.size, 0)
  })
}

test('an application that does not exist is not found', async () => {
  const fal = await start()
  assert.equal(
    (await ask(fal, '/fal-ai/kling-video/v9/text-to-video', 'POST', { prompt: 'a cat' })).status,
    404,
  )
})

test('requests live under the first two segments only', async () => {
  const fal = await start()
  const { request_id: id, status_url, response_url, cancel_url } = await submit(fal)
  const base = `${fal.url}/fal-ai/kling-video/requests/${id}`
  assert.deepEqual([response_url, status_url, cancel_url], [base, `${base}/status`, `${base}/cancel`])
  assert.equal((await ask(fal, status_url)).status, 200)
  assert.equal((await ask(fal, `/${v3}/requests/${id}/status`)).status, 404)
  assert.equal((await ask(fal, `/fal-ai/flux/requests/${id}/status`)).status, 404)
})

test('answers can name a hostile origin, and the films stay here', async () => {
  const fal = await start({ claimedOrigin: 'http://169.254.169.254' })
  const submitted = await submit(fal)
  assert.equal(new URL(submitted.status_url).origin, 'http://169.254.169.254')
  const result = await ask(fal, new URL(submitted.response_url).pathname)
  assert.equal(new URL(((await result.json()) as { video: { url: string } }).video.url).origin, fal.url)
})

test('a request waits in line, works, and ends', async () => {
  const fal = await start({ concurrency: 1, behave: () => ({ takesMs: Number.POSITIVE_INFINITY }) })
  const first = await submit(fal)
  const second = await submit(fal)
  const third = await submit(fal)
  const statusOf = async ({ status_url }: Submitted) => {
    const response = await ask(fal, status_url)
    const { status, queue_position } = (await response.json()) as { status: string; queue_position?: number }
    return [response.status, status, queue_position]
  }
  assert.deepEqual(await statusOf(first), [202, 'IN_PROGRESS', undefined])
  assert.deepEqual(await statusOf(second), [202, 'IN_QUEUE', 0])
  assert.deepEqual(await statusOf(third), [202, 'IN_QUEUE', 1])
  assert.equal((await ask(fal, first.response_url)).status, 400)
  fal.finish(first.request_id)
  assert.deepEqual(await statusOf(first), [200, 'COMPLETED', undefined])
  assert.deepEqual(await statusOf(second), [202, 'IN_PROGRESS', undefined])
})

test('a request that has no turn in the time its sender allows is given up', async () => {
  let now = Date.now()
  const clock = { now: () => new Date(now) }
  const fal = await start({ clock, concurrency: 1, behave: () => ({ takesMs: 60_000 }) })
  await submit(fal)
  const response = await ask(fal, `/${v3}`, 'POST', { prompt: 'a cat' }, { 'x-fal-request-timeout': '5' })
  const late = (await response.json()) as Submitted
  now += 6_000
  const { status, code, headers } = await outcomeOf(fal, late)
  assert.equal(status.error_type, 'request_timeout')
  assert.equal(code, 504)
  assert.equal(headers.get('x-fal-request-timeout-type'), 'user')
})

test('a failure of the model is a completed request with its own status', async () => {
  const fal = await start({ behave: () => ({ fail: 'content_policy_violation' }) })
  const { status, code, headers, body } = await outcomeOf(fal, await submit(fal))
  assert.equal(status.status, 'COMPLETED')
  assert.equal(status.error_type, 'content_policy_violation')
  assert.equal(code, 422)
  assert.equal(headers.get('x-fal-retryable'), 'false')
  assert.equal(body.detail[0].type, 'content_policy_violation')
})

test('a failure around the model is a completed request with an error type', async () => {
  const fal = await start({ behave: () => ({ fail: 'runner_disconnected' }) })
  const { code, headers, body } = await outcomeOf(fal, await submit(fal))
  assert.equal(code, 503)
  assert.equal(headers.get('x-fal-error-type'), 'runner_disconnected')
  assert.equal(body.error_type, 'runner_disconnected')
})

test('a picture is fetched, and fails the request if it is none', async () => {
  const fal = await start()
  const { url } = await startReceiver()
  const endpoint = 'fal-ai/kling-video/v3/pro/image-to-video'
  const typeFor = async (image: string) => {
    const { code, body } = await outcomeOf(
      fal,
      await submit(fal, { prompt: 'a', start_image_url: image }, endpoint),
    )
    return [code, body.detail?.[0].type, body.detail?.[0].loc]
  }
  assert.deepEqual(await typeFor(`${url}/text`), [422, 'image_load_error', ['body', 'start_image_url']])
  assert.deepEqual(await typeFor('http://127.0.0.1:1/a.png'), [
    422,
    'file_download_error',
    ['body', 'start_image_url'],
  ])
  assert.deepEqual(await typeFor(`data:image/jpeg;base64,${picture.toString('base64')}`), [
    200,
    undefined,
    undefined,
  ])
})

test('a film that is too short for an edit fails the request', async () => {
  const fal = await start()
  const { body: made } = await outcomeOf(fal, await submit(fal))
  const edit = 'fal-ai/kling-video/o3/pro/video-to-video/edit'
  const { body } = await outcomeOf(fal, await submit(fal, { prompt: 'a', video_url: made.video.url }, edit))
  assert.equal(body.detail[0].type, 'video_duration_too_short')
})

test('a cancelled request is a completed one without a result', async () => {
  const fal = await start({ behave: () => ({ takesMs: Number.POSITIVE_INFINITY }) })
  const submitted = await submit(fal)
  const cancel = await ask(fal, submitted.cancel_url, 'PUT')
  assert.equal(cancel.status, 202)
  assert.deepEqual(await cancel.json(), { status: 'CANCELLATION_REQUESTED' })
  const { status, code } = await outcomeOf(fal, submitted)
  assert.equal(status.status, 'COMPLETED')
  assert.equal(code, 499)
  const again = await ask(fal, submitted.cancel_url, 'PUT')
  assert.equal(again.status, 400)
  assert.deepEqual(await again.json(), { status: 'ALREADY_COMPLETED' })
})

test('a runner that is at work may go on after a cancel', async () => {
  const fal = await start({ behave: () => ({ takesMs: Number.POSITIVE_INFINITY, ignoresCancel: true }) })
  const submitted = await submit(fal)
  assert.equal((await ask(fal, submitted.cancel_url, 'PUT')).status, 202)
  fal.finish(submitted.request_id)
  assert.equal((await outcomeOf(fal, submitted)).code, 200)
})

test('a cancel of what is not there is not found', async () => {
  const fal = await start()
  const answer = await ask(fal, '/fal-ai/kling-video/requests/none/cancel', 'PUT')
  assert.equal(answer.status, 404)
  assert.equal(((await answer.json()) as { status: string }).status, 'NOT_FOUND')
})

test('an answer can be lost before or after the request is made', async () => {
  const fates = ['before', 'after'] as const
  const fal = await start({ behave: ({ body }) => ({ lose: fates[Number(body.prompt)]! }) })
  await assert.rejects(ask(fal, `/${v3}`, 'POST', { prompt: '0' }))
  assert.equal(fal.tasks.size, 0)
  await assert.rejects(ask(fal, `/${v3}`, 'POST', { prompt: '1' }))
  assert.equal(fal.tasks.size, 1)
  assert.deepEqual(
    fal.transcript.map(({ status }) => status),
    [0, 0],
  )
})

test('an error can hide that the request was made', async () => {
  const fal = await start({ behave: () => ({ crash: { status: 500, type: 'internal_error' } }) })
  assert.equal((await ask(fal, `/${v3}`, 'POST', { prompt: 'a cat' })).status, 500)
  assert.equal(fal.tasks.size, 1)
})

test('a question can be answered with something else, once', async () => {
  const fal = await start()
  const { status_url } = await submit(fal)
  fal.interrupt(/\/status/, { status: 502, body: { detail: 'Bad Gateway' } })
  assert.equal((await ask(fal, status_url)).status, 502)
  assert.equal((await ask(fal, status_url)).status, 200)
})

test('a webhook is signed by a key of the list, over what was sent, and repeated until it is taken', async () => {
  const fal = await start()
  const { url, received } = await startReceiver({ '/hook': [500, 200] })
  await ask(fal, `/${v3}?fal_webhook=${encodeURIComponent(`${url}/hook`)}`, 'POST', { prompt: 'a cat' })
  await until(() => received.length === 2)
  const { headers, body } = received[1]!
  const { keys } = (await (await fetch(`${fal.url}/.well-known/jwks.json`)).json()) as { keys: JsonWebKey[] }
  const header = (name: string) => String(headers[`x-fal-webhook-${name}`])
  const digest = createHash('sha256').update(body).digest('hex')
  const message = `${header('request-id')}\n${header('user-id')}\n${header('timestamp')}\n${digest}`
  const isRight = (key: JsonWebKey) =>
    verify(
      null,
      Buffer.from(message),
      createPublicKey({ key: key as Record<string, string>, format: 'jwk' }),
      Buffer.from(header('signature'), 'hex'),
    )
  assert.deepEqual(keys.map(isRight), [true])
  const told = JSON.parse(body)
  assert.equal(told.status, 'OK')
  assert.match(told.payload.video.url, /\.mp4$/)
  assert.ok(fal.tasks.has(told.request_id))
})

test('a webhook tells of a failure with its details', async () => {
  const fal = await start({ behave: () => ({ fail: { type: 'no_media_generated', text: 'Nothing came.' } }) })
  const { url, received } = await startReceiver()
  await ask(fal, `/${v3}?fal_webhook=${encodeURIComponent(`${url}/hook`)}`, 'POST', { prompt: 'a cat' })
  const { body } = await until(() => received[0])
  const told = JSON.parse(body)
  assert.equal(told.status, 'ERROR')
  assert.equal(told.error, 'Nothing came.')
  assert.equal(told.payload.detail[0].type, 'no_media_generated')
})

test('a result names the units that it is billed with, at the price that the platform tells', async () => {
  const fal = await start()
  const body = { prompt: 'a cat', duration: '10', generate_audio: false }
  const { headers } = await outcomeOf(fal, await submit(fal, body))
  const answer = await ask(fal, `/v1/models/pricing?endpoint_id=${v3}`)
  const { prices } = (await answer.json()) as { prices: { endpoint_id: string; unit_price: number }[] }
  assert.equal(prices[0]!.endpoint_id, v3)
  const dollars = Number(headers.get('x-fal-billable-units')) * prices[0]!.unit_price
  assert.equal(dollars.toFixed(4), '1.1200')
})
