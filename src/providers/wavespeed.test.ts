import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { startWavespeed, type WavespeedBehaviour } from '../../test/upstreams/wavespeed.ts'
import { contextOf, film, picture, text } from './fal/fixture.ts'
import type {
  InputMedia,
  Json,
  ProviderRequest,
  SubmitOutcome,
  Suspended,
  UpstreamCallback,
} from './provider.ts'
import { suspensions } from './refusal.ts'
import { createWaveSpeed, failures, submitStatuses } from './wavespeed.ts'

const apiKey = 'a-secret-key'
const webhookSecret = 'whsec_bm90IGRlY29kZWQ='
let behaviour: WavespeedBehaviour = {}
const server = await startWavespeed({
  apiKey,
  webhookSecret,
  level: 'gold',
  balance: 1_000,
  behave: () => behaviour,
})
after(() => server.stop())
const baseUrl = `${server.url}/api/v3`
let now = new Date()
const provider = createWaveSpeed({ baseUrl, apiKey, webhookSecret }, { now: () => now })
const call = () => ({ signal: AbortSignal.timeout(10_000) })

function requestOf(
  model: string,
  input: Record<string, Json>,
  options: { settings?: Record<string, string>; media?: Record<string, InputMedia[]> } = {},
): ProviderRequest {
  const { settings, media = {} } = options
  const route = { upstream: 'wavespeed', model: `kwaivgi/${model}`, ...(settings && { settings }) }
  return { jobId: 'job_1', model: { slug: 'x', capability: 'y' }, route, input, media }
}
const aRequest = () => requestOf('kling-v3.0-pro/text-to-video', text)

function submit(behave: WavespeedBehaviour = {}, request = aRequest()): Promise<SubmitOutcome> {
  behaviour = behave
  return provider.submit(request, contextOf())
}

async function accepted(behave: WavespeedBehaviour = {}): Promise<Json> {
  const outcome = await submit(behave)
  assert.equal(outcome.outcome, 'accepted', JSON.stringify(outcome))
  return (outcome as { operation: Json }).operation
}

const poll = async (operation: Json) => (await provider.poll([operation], call()))[0]
const sentBody = () => server.transcript.findLast(({ method }) => method === 'POST')?.body

test('a task is sent once and asked about until its film is there', async () => {
  const operation = await accepted({ takesMs: Number.POSITIVE_INFINITY })
  assert.deepEqual(await poll(operation), { status: 'running' })
  server.finish((operation as { id: string }).id)
  const outcome = await poll(operation)
  assert.ok(outcome?.status === 'succeeded' && outcome.outputs[0]?.type === 'video')
  assert.equal(server.transcript.filter(({ method }) => method === 'POST').length, 1)
})

const inWords = ({ scope, reason }: Suspended) =>
  Object.entries(suspensions).find(([, one]) => one.scope === scope && one.reason === reason)?.[0]

test('each status of a submit has its outcome, as the HTTP status and as the code of an answer under a 200', async () => {
  for (const [status, meaning] of Object.entries(submitStatuses)) {
    for (const refuse of [{ status: Number(status) }, { status: 200, code: Number(status) }]) {
      const outcome = await submit({ refuse })
      const said = outcome.outcome === 'suspended' ? inWords(outcome) : outcome.outcome
      assert.equal(said, meaning, JSON.stringify(refuse))
    }
  }
  for (const status of [500, 502, 503]) {
    assert.equal((await submit({ refuse: { status } })).outcome, 'unknown', String(status))
    assert.equal((await submit({ refuse: { status, code: 401 } })).outcome, 'unknown', String(status))
  }
})

test('a complaint about parameters may be none elsewhere; one about content or files stays one', async () => {
  const of = (code: number) => submit({ refuse: { status: 400, code } })
  const complaint = await of(1401)
  assert.ok(complaint.outcome === 'refused' && complaint.code === 'GENERATION_FAILED' && complaint.elsewhere)
  const content = await of(1200)
  assert.ok(
    content.outcome === 'refused' && content.code === 'CONTENT_POLICY_VIOLATION' && !content.elsewhere,
  )
  const file = await of(1402)
  assert.ok(file.outcome === 'refused' && file.code === 'INPUT_MEDIA_UNREACHABLE' && !file.elsewhere)
})

test('a submit whose answer is lost, broken or empty is unknown; one that found nobody was never sent', async () => {
  assert.equal((await submit({ lose: 'before' })).outcome, 'unknown')
  assert.equal((await submit({ lose: 'after' })).outcome, 'unknown')
  assert.equal((await submit({ crash: { status: 500 } })).outcome, 'unknown')
  server.interrupt(/text-to-video/, { status: 200, body: { code: 200, message: 'success', data: {} } })
  assert.equal((await submit()).outcome, 'unknown')
  const nobody = createWaveSpeed({ baseUrl: 'http://127.0.0.1:9', apiKey })
  assert.equal((await nobody.submit(aRequest(), contextOf())).outcome, 'unavailable')
})

test('every code of a failed task ends a job with ours for it', async () => {
  for (const [code, failure] of Object.entries(failures)) {
    const outcome = await poll(await accepted({ fail: Number(code) }))
    assert.ok(outcome?.status === 'failed', code)
    assert.equal(outcome.code, failure.code, code)
  }
})

test('a film that WaveSpeed flags as unfit is no output, and neither is none', async () => {
  const flagged = await poll(await accepted({ isFlagged: true }))
  assert.ok(flagged?.status === 'failed' && flagged.code === 'CONTENT_POLICY_VIOLATION')
  const none = await poll(await accepted({ outputs: [] }))
  assert.ok(none?.status === 'failed' && none.code === 'OUTPUT_UNAVAILABLE')
})

test('the ends that newer documents add are ends, and a status that is not known is none', async () => {
  const operation = await accepted()
  const ends = { timeout: 'PROVIDER_TIMEOUT', cancelled: 'GENERATION_FAILED', deleted: 'GENERATION_FAILED' }
  for (const [status, code] of Object.entries(ends)) {
    server.interrupt(/result$/, { status: 200, body: { code: 200, data: { status } } })
    const outcome = await poll(operation)
    assert.ok(outcome?.status === 'failed' && outcome.code === code, status)
  }
  server.interrupt(/result$/, { status: 200, body: { code: 200, data: { status: 'reviewing' } } })
  assert.deepEqual(await poll(operation), { status: 'running' })
})

test('a task that is not there is absent; too many calls and broken answers say nothing of it', async () => {
  assert.deepEqual(await poll({ id: 'deadbeef' }), { status: 'absent' })
  const operation = await accepted()
  server.interrupt(/result$/, { status: 429, headers: { 'retry-after': '3' } })
  await assert.rejects(poll(operation), { name: 'UpstreamBusy', retryAfterMs: 3_000 })
  server.interrupt(/result$/, { status: 502, body: 'bad gateway' })
  await assert.rejects(poll(operation), /nothing that can be used/)
})

test('a waiting task can be stopped; one that is being made is left alone', async () => {
  let hour = Date.now()
  const narrow = await startWavespeed({
    apiKey,
    level: 'bronze',
    balance: 1_000,
    behave: () => ({ takesMs: Number.POSITIVE_INFINITY }),
    clock: { now: () => new Date(hour) },
  })
  try {
    const own = createWaveSpeed({ baseUrl: `${narrow.url}/api/v3`, apiKey })
    const tasks: Json[] = []
    for (let count = 0; count < 3; count++) {
      const outcome = await own.submit(aRequest(), contextOf())
      assert.ok(outcome.outcome === 'accepted', JSON.stringify(outcome))
      tasks.push(outcome.operation)
      // this level may send two a minute, and has two made at once
      hour += 60 * 60_000
    }
    assert.equal(await own.cancel?.(tasks[0]!, call()), false)
    assert.equal(narrow.transcript.filter(({ method }) => method === 'DELETE').length, 0)
    assert.equal(await own.cancel?.(tasks[2]!, call()), true)
    assert.equal(narrow.transcript.filter(({ method }) => method === 'DELETE').length, 1)
  } finally {
    await narrow.stop()
  }
})

test('a lost submit is known again by its callback, which is believed by its signature alone', async () => {
  const received: UpstreamCallback[] = []
  const receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    received.push({ headers: request.headers, body: Buffer.concat(chunks) })
    response.end('{}')
    receiver.emit('received')
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  try {
    behaviour = { lose: 'after' }
    const arrived = once(receiver, 'received')
    const callbackUrl = `http://127.0.0.1:${(receiver.address() as { port: number }).port}/x?y=z`
    const outcome = await provider.submit(aRequest(), contextOf({ callbackUrl }))
    assert.equal(outcome.outcome, 'unknown')
    await arrived
    now = new Date()
    const callback = received[0]!
    const read = (change: Partial<UpstreamCallback>) =>
      provider.readCallback!({ ...callback, ...change }, aRequest(), call())
    const verdict = await read({})
    assert.ok(verdict.verdict === 'genuine' && verdict.operation !== undefined)
    assert.equal((await poll(verdict.operation))?.status, 'succeeded')
    assert.equal((await read({ body: Buffer.concat([callback.body, Buffer.from(' ')]) })).verdict, 'forged')
    assert.equal((await read({ headers: {} })).verdict, 'forged')
    const other = { ...callback.headers, 'webhook-signature': `v3,${'0'.repeat(64)}` }
    assert.equal((await read({ headers: other })).verdict, 'forged')
    now = new Date(Date.now() + 301_000)
    assert.equal((await read({})).verdict, 'forged')
    const without = createWaveSpeed({ baseUrl, apiKey })
    assert.equal((await without.readCallback!(callback, aRequest(), call())).verdict, 'unsigned')
  } finally {
    receiver.close()
  }
})

test('inputs go under the names of each model, and sound is always said where it has a price', async () => {
  const media = { image_url: [picture('/start')], end_image_url: [picture('/end')] }
  const input = {
    prompt: 'x',
    duration: '10',
    image_url: 'https://a',
    end_image_url: 'https://b',
    guidance_scale: 0.5,
  }
  await submit({}, requestOf('kling-v2.5-turbo-pro/image-to-video', input, { media }))
  assert.deepEqual(sentBody(), {
    prompt: 'x',
    duration: 10,
    image: 'https://films.example.com/start',
    last_image: 'https://films.example.com/end',
    guidance_scale: 0.5,
  })
  await submit()
  assert.deepEqual(sentBody(), { prompt: text.prompt, duration: 5, aspect_ratio: '16:9', sound: false })
  const shots = [{ prompt: 'one', duration: 2 }, { prompt: 'two' }]
  await submit(
    {},
    requestOf('kling-video-o3-std/text-to-video', { ...text, has_sound: 'true', multishot: shots }),
  )
  assert.deepEqual(sentBody(), {
    prompt: text.prompt,
    duration: 5,
    aspect_ratio: '16:9',
    sound: true,
    shot_type: 'customize',
    multi_prompt: [
      { prompt: 'one', duration: 2 },
      { prompt: 'two', duration: 3 },
    ],
  })
})

test('nothing that is asked for is dropped: what a model lacks does not fit, but for what changes nothing', () => {
  const unfit = (model: string, input: Record<string, Json>, settings?: Record<string, string>) =>
    provider.fits?.(requestOf(model, input, { ...(settings && { settings }) }))?.path
  const start = { prompt: 'x', duration: '5', image_url: 'https://a' }
  assert.equal(
    unfit('kling-v3.0-std/text-to-video', { ...text, quality: 'pro' }, { quality: 'std' }),
    'quality',
  )
  assert.equal(
    unfit('kling-v3.0-pro/text-to-video', { ...text, quality: 'pro' }, { quality: 'pro' }),
    undefined,
  )
  assert.equal(unfit('kling-v2.5-turbo-pro/text-to-video', { ...text, seed: 0 }), 'seed')
  assert.equal(
    unfit('kling-v2.6-std/image-to-video', { ...start, end_frame_url: 'https://b' }),
    'end_frame_url',
  )
  assert.equal(unfit('kling-v3.0-pro/text-to-video', { ...text, shot_type: 'intelligent' }), 'shot_type')
  assert.equal(unfit('kling-v3.0-pro/text-to-video', { ...text, shot_type: 'customize' }), undefined)
  assert.equal(unfit('kling-v2.6-std/image-to-video', { duration: '5', image_url: 'https://a' }), 'prompt')
  assert.equal(unfit('kling-v2.6-std/text-to-video', { ...text, has_sound: 'true' }), 'has_sound')
  const elements = [{ characterImages: ['https://e'] }]
  assert.equal(unfit('kling-video-o3-pro/image-to-video', { ...start, elements }), 'elements')
  const reference = { ...text, video_url: 'https://v', images: Array(5).fill('https://i') }
  assert.equal(unfit('kling-video-o3-pro/reference-to-video', reference), 'images')
  assert.equal(
    unfit('kling-video-o1-std/reference-to-video', { prompt: 'x', duration: '5', images: reference.images }),
    undefined,
  )
})

test('a film to take movement from may not be longer than the length that was ordered', async () => {
  const request = (seconds: number) =>
    requestOf(
      'kling-v3.0-std/motion-control',
      { quality: 'std', duration: '5' },
      {
        settings: { quality: 'std', orientation: 'image' },
        media: { image_url: [picture('/x')], motion_video_url: [film('/v', seconds)] },
      },
    )
  const outcome = await submit({}, request(6))
  assert.ok(outcome.outcome === 'refused' && outcome.code === 'INPUT_MEDIA_INVALID')
  assert.match(outcome.message, /^motion_video_url: /)
  assert.equal(provider.fits?.(request(5)), undefined)
})

test('the check says what the account has, and what to do if the key is wrong', async () => {
  const well = await provider.check?.(call())
  assert.ok(well?.isWell, well?.explanation)
  assert.match(well.explanation, /US dollars/)
  const wrong = await createWaveSpeed({ baseUrl, apiKey: 'no-such-key' }).check?.(call())
  assert.ok(wrong && !wrong.isWell)
  assert.match(wrong.explanation, /WAVESPEED_API_KEY/)
})

test('the key is in nothing that is kept, told or logged', async () => {
  const echo = { status: 403, body: { code: 403, message: `key ${apiKey} may not` } }
  server.interrupt(/text-to-video/, echo)
  const outcome = await submit()
  assert.ok(outcome.outcome === 'suspended' && outcome.cause instanceof Error)
  assert.match(outcome.cause.message, /may not/)
  const isCut = { status: 403, body: { code: 403, message: `${'x'.repeat(295)}${apiKey}` } }
  server.interrupt(/text-to-video/, isCut)
  const cut = await submit()
  assert.ok(cut.outcome === 'suspended' && cut.cause instanceof Error)
  assert.doesNotMatch(cut.cause.message, /xa-/)
  const told = JSON.stringify([outcome.cause.message, await accepted(), await provider.check?.(call())])
  assert.doesNotMatch(told, new RegExp(apiKey))
})

test('the tables for operators say what the adapter does', async () => {
  const page = await readFile(new URL('../../docs/upstreams.md', import.meta.url), 'utf8')
  const section = page.split(/^## /m).find((part) => part.startsWith('WaveSpeed\n')) ?? ''
  const rows = [...section.matchAll(/^\| `([a-z0-9_]+)` *\| ([^|]+?) *\|/gm)].map(([, answer, code]) => [
    answer,
    code,
  ])
  const codes = Object.entries(failures).map(([answer, { code }]) => [answer, code])
  assert.deepEqual(rows, [...Object.entries(submitStatuses), ...codes])
})
