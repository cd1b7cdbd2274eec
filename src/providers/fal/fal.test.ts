import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { type FalBehaviour, startFal } from '../../../test/upstreams/fal.ts'
import type { Json, SubmitOutcome, Suspended } from '../provider.ts'
import { suspensions } from '../refusal.ts'
import { failures, submitStatuses } from './answers.ts'
import { createFal } from './fal.ts'
import { contextOf, requestOf, text } from './fixture.ts'

const apiKey = 'an-id:a-secret'
let behaviour: FalBehaviour = {}
const server = await startFal({ apiKey, behave: () => behaviour })
after(() => server.stop())
const provider = createFal({ baseUrl: server.url, apiKey })
const call = () => ({ signal: AbortSignal.timeout(10_000) })

function submit(behave: FalBehaviour = {}, context = contextOf()): Promise<SubmitOutcome> {
  behaviour = behave
  return provider.submit(requestOf('v3/text-to-video', text), context)
}

async function accepted(behave: FalBehaviour = {}): Promise<Json> {
  const outcome = await submit(behave)
  assert.equal(outcome.outcome, 'accepted', JSON.stringify(outcome))
  return (outcome as { operation: Json }).operation
}

const asked = () => server.transcript.map(({ method, path }) => `${method} ${path}`)

test('a job is sent once and asked about until its film is there, with what fal billed for it', async () => {
  const operation = await accepted({ takesMs: Number.POSITIVE_INFINITY, billing: 2.5 })
  assert.deepEqual(await provider.poll([operation], call()), [{ status: 'running' }])
  const { requestId } = operation as { requestId: string }
  server.finish(requestId)
  const [outcome] = await provider.poll([operation], call())
  assert.ok(outcome?.status === 'succeeded')
  assert.equal(outcome.outputs[0]?.type, 'video')
  assert.deepEqual(outcome.billed, { statement: { billableUnits: '2.5' } })
  assert.equal(server.transcript.filter(({ method }) => method === 'POST').length, 1)
})

const inWords = ({ scope, reason }: Suspended) =>
  Object.entries(suspensions).find(([, one]) => one.scope === scope && one.reason === reason)?.[0]

test('each status of a submit that fal documents has its outcome, and nothing else is believed', async () => {
  for (const [status, meaning] of Object.entries(submitStatuses)) {
    const outcome = await submit({ refuse: { status: Number(status) } })
    const said = outcome.outcome === 'suspended' ? inWords(outcome) : outcome.outcome
    assert.equal(said, meaning, status)
  }
  for (const status of [500, 502, 503, 504]) {
    assert.equal((await submit({ refuse: { status } })).outcome, 'unknown', String(status))
  }
})

test('a complaint about parameters may be none elsewhere; one about content or files stays one', async () => {
  const of = (type: keyof typeof failures) => submit({ refuse: { status: 422, type: type as never } })
  const complaint = await of('feature_not_supported')
  assert.ok(complaint.outcome === 'refused' && complaint.code === 'GENERATION_FAILED' && complaint.elsewhere)
  const content = await of('content_policy_violation')
  assert.ok(
    content.outcome === 'refused' && content.code === 'CONTENT_POLICY_VIOLATION' && !content.elsewhere,
  )
  const file = await of('file_download_error')
  assert.ok(file.outcome === 'refused' && file.code === 'INPUT_MEDIA_UNREACHABLE' && !file.elsewhere)
})

test('a submit whose answer is lost, broken or empty is unknown; one that found nobody was never sent', async () => {
  assert.equal((await submit({ lose: 'before' })).outcome, 'unknown')
  assert.equal((await submit({ lose: 'after' })).outcome, 'unknown')
  assert.equal((await submit({ crash: { status: 500 } })).outcome, 'unknown')
  server.interrupt(/text-to-video/, { status: 200, body: { status: 'IN_QUEUE' } })
  assert.equal((await submit()).outcome, 'unknown')
  const nobody = createFal({ baseUrl: 'http://127.0.0.1:9', apiKey })
  assert.equal((await nobody.submit(requestOf('v3/text-to-video', text), contextOf())).outcome, 'unavailable')
})

test('every failure that fal names ends a job with the code for it', async () => {
  for (const [type, { code }] of Object.entries(failures)) {
    const operation = await accepted({ fail: type as never })
    const [outcome] = await provider.poll([operation], call())
    assert.ok(outcome?.status === 'failed', `${type}: ${JSON.stringify(outcome)}`)
    assert.equal(outcome.code, code, type)
  }
})

test('what may be trouble of the way is no failure of the job', async () => {
  const operation = await accepted()
  const result = /requests\/[^/]+$/
  for (const answer of [
    { status: 400, body: { detail: 'Request is still in progress' } },
    { status: 500, body: 'oops' },
    { status: 404, body: { detail: 'Not found' } },
    { status: 403, body: { detail: 'Forbidden', error_type: 'forbidden' } },
  ]) {
    server.interrupt(result, answer)
    await assert.rejects(provider.poll([operation], call()), /nothing that can be used/)
  }
  server.interrupt(result, { status: 202, body: { status: 'IN_PROGRESS' } })
  assert.deepEqual(await provider.poll([operation], call()), [{ status: 'running' }])
  server.interrupt(/status$/, { status: 429, headers: { 'retry-after': '7' } })
  await assert.rejects(provider.poll([operation], call()), { name: 'UpstreamBusy', retryAfterMs: 7_000 })
  assert.equal((await provider.poll([operation], call()))[0]?.status, 'succeeded')
})

test('a result without a film is no film', async () => {
  const operation = await accepted({ outputs: { seed: 1 } })
  const [outcome] = await provider.poll([operation], call())
  assert.ok(outcome?.status === 'failed' && outcome.code === 'OUTPUT_UNAVAILABLE')
})

test('a job that fal does not have is absent, and one without an answer keeps no other waiting', async () => {
  const there = await accepted()
  const gone = { requestId: '00000000-0000-4000-8000-000000000000', app: 'fal-ai/kling-video' }
  assert.deepEqual(await provider.poll([gone], call()), [{ status: 'absent' }])
  const { requestId } = there as { requestId: string }
  const silent = await accepted()
  server.interrupt(new RegExp((silent as { requestId: string }).requestId), 'cut')
  const [first, second] = await provider.poll([there, silent], call())
  assert.equal(first?.status, 'succeeded', requestId)
  assert.equal(second?.status, 'running')
})

test('the key goes to no host that an answer names', async () => {
  const hostile = await startFal({ apiKey, claimedOrigin: 'https://evil.example.com' })
  try {
    const own = createFal({ baseUrl: hostile.url, apiKey })
    const outcome = await own.submit(requestOf('v3/text-to-video', text), contextOf())
    assert.ok(outcome.outcome === 'accepted')
    assert.doesNotMatch(JSON.stringify(outcome), /evil/)
    assert.equal((await own.poll([outcome.operation], call()))[0]?.status, 'succeeded')
  } finally {
    await hostile.stop()
  }
})

test("fal's own word for where a job is asked about counts, and may not lead out of its place", async () => {
  const answer = (path: string) => ({
    status: 200,
    body: { request_id: 'abc', response_url: `${server.url}${path}/requests/abc` },
  })
  server.interrupt(/text-to-video/, answer('/fal-ai/elsewhere'))
  assert.deepEqual(await accepted(), { requestId: 'abc', app: 'fal-ai/elsewhere' })
  for (const path of ['', '/a', '/a/../..', '/a/b/c/d', '/a/%2e%2e', '/a/b?c=']) {
    server.interrupt(/text-to-video/, answer(path))
    assert.deepEqual(await accepted(), { requestId: 'abc', app: 'fal-ai/kling-video' }, path)
  }
})

test('a job in the queue can be stopped; one that is being made is not even asked to stop', async () => {
  const narrow = await startFal({
    apiKey,
    concurrency: 1,
    behave: () => ({ takesMs: Number.POSITIVE_INFINITY }),
  })
  try {
    const own = createFal({ baseUrl: narrow.url, apiKey })
    const send = async () => {
      const outcome = await own.submit(requestOf('v3/text-to-video', text), contextOf())
      return (outcome as { operation: Json }).operation
    }
    const [running, queued] = [await send(), await send()]
    assert.equal(await own.cancel?.(running, call()), false)
    assert.equal(narrow.transcript.filter(({ method }) => method === 'PUT').length, 0)
    assert.equal(await own.cancel?.(queued, call()), true)
    const [outcome] = await own.poll([queued], call())
    assert.equal(outcome?.status, 'failed')
  } finally {
    await narrow.stop()
  }
})

test('a cancellation that fal has only taken note of is none', async () => {
  const operation = await accepted({ takesMs: Number.POSITIVE_INFINITY })
  const waiting = { status: 202, body: { status: 'IN_QUEUE', queue_position: 3 } }
  server.interrupt(/status$/, waiting, 2)
  server.interrupt(/cancel$/, { status: 202, body: { status: 'CANCELLATION_REQUESTED' } })
  assert.equal(await provider.cancel?.(operation, call()), false)
})

test('the check says whether the key is good, and what to do if not', async () => {
  const well = await provider.check?.(call())
  assert.ok(well?.isWell, well?.explanation)
  const wrong = await createFal({ baseUrl: server.url, apiKey: 'no:such' }).check?.(call())
  assert.ok(wrong && !wrong.isWell)
  assert.match(wrong.explanation, /FAL_API_KEY/)
  const nobody = await createFal({ baseUrl: 'http://127.0.0.1:9', apiKey }).check?.(call())
  assert.match(nobody?.explanation ?? '', /FAL_BASE_URL/)
})

test('no half of the key is in what is kept, told or logged', async () => {
  const echo = { status: 403, body: { detail: `Key ${apiKey} of an-id is locked: a-secret` } }
  server.interrupt(/text-to-video/, echo)
  const outcome = await submit()
  assert.ok(outcome.outcome === 'suspended' && outcome.cause instanceof Error)
  assert.match(outcome.cause.message, /locked/)
  server.interrupt(/text-to-video/, { status: 403, body: { detail: `${'x'.repeat(296)}a-secret` } })
  const cut = await submit()
  assert.ok(cut.outcome === 'suspended' && cut.cause instanceof Error)
  assert.doesNotMatch(cut.cause.message, /xa-/)
  server.interrupt(/pricing/, echo)
  const check = await provider.check?.(call())
  const operation = await accepted()
  assert.doesNotMatch(outcome.cause.message + JSON.stringify([check, operation, asked()]), /an-id|a-secret/)
})

test('the tables for operators say what the adapter does', async () => {
  const page = await readFile(new URL('../../../docs/upstreams.md', import.meta.url), 'utf8')
  const section = page.split(/^## /m).find((part) => part.startsWith('fal\n')) ?? ''
  const rows = [...section.matchAll(/^\| `([a-z0-9_]+)` *\| ([^|]+?) *\|/gm)].map(([, answer, code]) => [
    answer,
    code,
  ])
  const codes = Object.entries(failures).map(([answer, { code }]) => [answer, code])
  assert.deepEqual(rows, [...Object.entries(submitStatuses), ...codes])
})
