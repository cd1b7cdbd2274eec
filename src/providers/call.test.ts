import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { listen } from '../../test/webhook-fixture.ts'
import { CallFailed, callUpstream, retryAfterMs, submitFailure } from './call.ts'

const signal = AbortSignal.timeout(60_000)

const upstream = await listen((request, response) => {
  const [path, rest = ''] = request.url!.slice(1).split('?')
  if (path === 'json') response.setHeader('retry-after', '3').end('{"id":"7"}')
  else if (path === 'text') response.writeHead(502).end('<html>Bad gateway</html>')
  else if (path === 'huge') response.end(`"${'x'.repeat(Number(rest))}"`)
  else if (path === 'redirect') response.writeHead(307, { location: '/json' }).end('{}')
  else if (path === 'reset') request.socket.resetAndDestroy()
  else if (path === 'cut') {
    response.writeHead(200, { 'content-length': 100 }).write('{"id":')
    setTimeout(() => response.destroy(), 20)
  } else if (path === 'echo') {
    response.setHeader('content-type', 'application/json')
    request.pipe(response)
  }
})

const get = (path: string) => callUpstream({ url: `${upstream}/${path}`, method: 'GET', signal })

async function failureOf(work: Promise<unknown>): Promise<CallFailed> {
  const error = await work.then(
    () => assert.fail('it was answered'),
    (error) => error,
  )
  assert.ok(error instanceof CallFailed, String(error))
  return error
}

test('an answer comes with status, headers, JSON and what Retry-After asks for', async () => {
  const { status, headers, json, retryAfterMs } = await get('json')
  assert.deepEqual([status, headers['retry-after'], json, retryAfterMs], [200, '3', { id: '7' }, 3000])
})

test('a body is sent as JSON', async () => {
  const body = { prompt: 'a lake', seconds: 5 }
  const { json } = await callUpstream({ url: `${upstream}/echo`, method: 'POST', body, signal })
  assert.deepEqual(json, body)
})

test('an answer that is no JSON keeps its status', async () => {
  const { status, json } = await get('text')
  assert.deepEqual([status, json], [502, undefined])
})

test('an answer that is too long is not held in memory and keeps its status', async () => {
  assert.equal((await get('huge?30000000')).json, undefined)
  assert.equal((await get('huge?1100000')).json, undefined)
  assert.equal((await get('huge?1000000')).json, 'x'.repeat(1_000_000))
})

test('no redirect is followed', async () => {
  assert.equal((await get('redirect')).status, 307)
})

test('what was never sent is told from what may have arrived', async () => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as { port: number }
  closed.close()
  await once(closed, 'close')
  for (const url of [`http://127.0.0.1:${port}/?key=s3cret`, 'http://upstream.invalid/?key=s3cret']) {
    const failure = await failureOf(callUpstream({ url, method: 'POST', body: {}, signal }))
    assert.equal(failure.neverSent, true, failure.message)
    assert.doesNotMatch(JSON.stringify([failure.message, failure.stack, failure]), /s3cret/)
    assert.equal(submitFailure(failure).outcome, 'unavailable')
  }
  for (const path of ['reset', 'cut']) {
    const failure = await failureOf(get(path))
    assert.equal(failure.neverSent, false, failure.message)
    assert.equal(submitFailure(failure).outcome, 'unknown')
  }
})

test('a call ends when its signal says so, and may have been sent', async () => {
  const abort = new AbortController()
  const call = callUpstream({ url: `${upstream}/silence`, method: 'GET', signal: abort.signal })
  setTimeout(() => abort.abort(), 20)
  assert.equal((await failureOf(call)).neverSent, false)
})

test('Retry-After is seconds, or a date by the clock of who sent it, and never asks for hours', () => {
  const date = 'Sat, 21 Nov 2026 10:00:00 GMT'
  assert.equal(retryAfterMs({}), undefined)
  assert.equal(retryAfterMs({ 'retry-after': 'soon' }), undefined)
  assert.equal(retryAfterMs({ 'retry-after': '7' }), 7_000)
  assert.equal(retryAfterMs({ 'retry-after': 'Sat, 21 Nov 2026 10:00:09 GMT', date }), 9_000)
  assert.equal(retryAfterMs({ 'retry-after': 'Sat, 21 Nov 2026 09:00:00 GMT', date }), 0)
  assert.equal(retryAfterMs({ 'retry-after': '86400' }), 600_000)
})
