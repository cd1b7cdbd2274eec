import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { createEventSource, type EventSourceMessage } from 'eventsource-client'
import { createKey, deactivateKey } from '../src/accounts/keys.ts'
import { eventNames } from '../src/jobs/timeline.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { addEvent, addJob, complete, fail, takeUp } from './timeline-fixture.ts'
import { until } from './until.ts'

const { pool, url: databaseUrl } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl, role: 'api' })
const customer = await makeCustomer(pool, { microCents: 1_000_000_000n })

interface Open {
  status: number
  headers: Headers
  /** What has come until now. */
  text: string
  /** True once it has ended as it should, false once it broke. */
  ended: Promise<boolean>
  hangUp(): void
}

/** Reads a stream as it comes, by nothing but fetch. */
async function open(
  jobId: string,
  { key = customer.key, query = '', headers = {}, url = gateway.url } = {},
): Promise<Open> {
  const abort = new AbortController()
  const answer = await fetch(`${url}/v1/jobs/${jobId}/events${query}`, {
    headers: { authorization: `Bearer ${key}`, ...headers },
    signal: abort.signal,
  })
  const stream: Open = {
    status: answer.status,
    headers: answer.headers,
    text: '',
    ended: Promise.resolve(true),
    hangUp: () => abort.abort(),
  }
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of answer.body ?? []) stream.text += decoder.decode(chunk, { stream: true })
  }
  stream.ended = read().then(
    () => true,
    () => false,
  )
  return stream
}

interface Told {
  id: string
  event: string
  data: Record<string, unknown>
}

function toldIn(text: string): Told[] {
  return text.split('\n\n').flatMap((block) => {
    const fields = Object.fromEntries(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
    )
    return fields.data === undefined
      ? []
      : [{ id: fields.id!, event: fields.event!, data: JSON.parse(fields.data.trim()) }]
  })
}

/** All of a stream that ends. */
async function read(jobId: string, options: Parameters<typeof open>[1] = {}): Promise<Told[]> {
  const stream = await open(jobId, options)
  assert.equal(await stream.ended, true)
  assert.equal(stream.status, 200, stream.text)
  return toldIn(stream.text)
}

const short = (told: Told[]) => told.map(({ event, data }) => `${event} ${data.status} ${data.progress}`)

// Looked at by the last test: what it waits for takes 15 seconds.
const { key: otherKey, keyId: otherKeyId } = await createKey(pool, { userId: customer.userId, mode: 'test' })
const silent = await addJob(gateway, pool, customer)
const [ofGoodKey, ofDeactivatedKey] = await Promise.all([open(silent), open(silent, { key: otherKey })])
await deactivateKey(pool, otherKeyId)

test('every kind of event is told with the status that the job had, and nothing of the upstream', async () => {
  const jobId = await addJob(gateway, pool, customer, { metadata: { scene: '12' } })
  await takeUp(pool, jobId)
  const kinds = ['sent', 'unknown', 'absent', 'sent', 'refused', 'sent', 'accepted'].map(
    (k) => `attempt_${k}`,
  )
  for (const kind of [...kinds, 'held', 'output_ready', 'output_retried']) await addEvent(pool, jobId, kind)
  await fail(pool, jobId)
  await addEvent(pool, jobId, 'late_result')
  const stream = await open(jobId)
  assert.equal(await stream.ended, true)
  const told = toldIn(stream.text)
  assert.deepEqual(short(told), [
    'submitted pending 0',
    ...['processing', 'sent', 'unconfirmed', 'not_taken', 'sent', 'not_taken', 'sent', 'accepted'].map(
      (name) => `${name} processing 50`,
    ),
    ...['held', 'output_ready', 'output_retried'].map((name) => `${name} processing 50`),
    'failed failed 0',
    'late_result failed 0',
  ])
  for (const { id, event, data } of told) {
    assert.match(id, /^[1-9]\d*$/)
    assert.deepEqual([data.jobId, data.event, data.metadata], [jobId, event, { scene: '12' }])
    assert.ok(typeof data.message === 'string' && data.message.length > 10)
    assert.ok(Math.abs(Date.parse(String(data.at)) - Date.now()) < 600_000)
    assert.deepEqual(Object.keys(data), [
      ...['jobId', 'event', 'status', 'progress', 'message', 'at', 'metadata'],
    ])
  }
  const { body } = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })
  assert.equal(told.at(-2)!.data.message, body.error.message)
  assert.doesNotMatch(stream.text, /secret|sandbox/)
})

test('no proxy is let to keep events back or to change them', async () => {
  const jobId = await addJob(gateway, pool, customer)
  const stream = await open(jobId)
  assert.equal(stream.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  assert.equal(stream.headers.get('cache-control'), 'no-store, no-transform')
  assert.equal(stream.headers.get('x-accel-buffering'), 'no')
  assert.match(stream.headers.get('x-request-id') ?? '', /^req_/)
  await until(() => stream.text.startsWith('retry:2000\n\n') && toldIn(stream.text).length === 1)
  stream.hangUp()
})

/** Passes everything on to the gateway, until it cuts all lines. */
async function startRelay(): Promise<{ url: string; lines: Set<Socket>; connected: number }> {
  const relay = { url: '', lines: new Set<Socket>(), connected: 0 }
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(gateway.url).port), '127.0.0.1')
    relay.connected++
    relay.lines.add(client)
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
        relay.lines.delete(client)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => server.close())
  relay.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return relay
}

test('an independent client sees events as they happen, goes on after a broken line without gap or repeat, and stays away in the end', async () => {
  const relay = await startRelay()
  const jobId = await addJob(gateway, pool, customer)
  const seen: EventSourceMessage[] = []
  const client = createEventSource({
    url: `${relay.url}/v1/jobs/${jobId}/events`,
    headers: { authorization: `Bearer ${customer.key}` },
    onMessage: (message) => seen.push(message),
  })
  await until(() => seen.length === 1)
  await takeUp(pool, jobId)
  await addEvent(pool, jobId, 'attempt_sent')
  await until(() => seen.length === 3)
  for (const line of relay.lines) line.destroy()
  await addEvent(pool, jobId, 'attempt_accepted')
  await until(() => seen.length === 4)
  await addEvent(pool, jobId, 'output_ready')
  await complete(pool, jobId)
  await until(() => client.readyState === 'closed')
  assert.deepEqual(
    seen.map(({ event }) => event),
    ['submitted', 'processing', 'sent', 'accepted', 'output_ready', 'completed'],
  )
  assert.equal(new Set(seen.map(({ id }) => id)).size, 6)
  assert.ok(relay.connected >= 2, 'the line was not broken')
})

test('a stream goes on after the event that is named, by header or query', async () => {
  const jobId = await addJob(gateway, pool, customer)
  await takeUp(pool, jobId)
  await complete(pool, jobId)
  const all = await read(jobId)
  assert.deepEqual(short(all), ['submitted pending 0', 'processing processing 50', 'completed completed 100'])
  for (const [index, { id }] of all.slice(0, 2).entries()) {
    const rest = all.slice(index + 1)
    assert.deepEqual(await read(jobId, { headers: { 'last-event-id': id } }), rest)
    assert.deepEqual(await read(jobId, { query: `?lastEventId=${id}` }), rest)
  }
  assert.deepEqual(await read(jobId, { query: '?lastEventId=0' }), all)
  const over = await open(jobId, { headers: { 'last-event-id': all[2]!.id } })
  assert.deepEqual([over.status, await over.ended, over.text], [204, true, ''])
})

test('a client that comes back to the same address goes by the header, so that it stays away in the end', async () => {
  const jobId = await addJob(gateway, pool, customer)
  await takeUp(pool, jobId)
  await complete(pool, jobId)
  const [first, , last] = await read(jobId)
  const query = `?lastEventId=${first!.id}`
  assert.equal((await open(jobId, { query, headers: { 'last-event-id': last!.id } })).status, 204)
})

test('a late result is told to those who read again later', async () => {
  const jobId = await addJob(gateway, pool, customer)
  await takeUp(pool, jobId)
  await fail(pool, jobId)
  const last = (await read(jobId)).at(-1)!
  assert.equal(last.event, 'failed')
  await addEvent(pool, jobId, 'late_result')
  assert.deepEqual(short(await read(jobId, { query: `?lastEventId=${last.id}` })), ['late_result failed 0'])
  assert.equal((await read(jobId)).length, 4)
})

test('an id that no event has is refused, with the name of the header', async () => {
  for (const id of ['abc', '-1', '1.5', '9'.repeat(30)]) {
    const path = `/v1/jobs/${silent}/events?lastEventId=${id}`
    const { status, body } = await gateway.call('GET', path, { key: customer.key })
    assert.deepEqual([status, body.error.code], [400, 'VALIDATION_ERROR'])
    assert.match(body.error.message, /Last-Event-ID/)
  }
})

test('a job that is older than timelines tells how it stands, once, and what comes after that', async () => {
  const ended = await addJob(gateway, pool, customer, { isOlder: true })
  await takeUp(pool, ended)
  await complete(pool, ended)
  await pool.query('delete from job_events where job_id = $1', [ended])
  assert.deepEqual(short(await read(ended)), ['completed completed 100'])
  assert.equal((await open(ended, { query: '?lastEventId=0' })).status, 204)
  const pending = await addJob(gateway, pool, customer, { isOlder: true })
  const stream = await open(pending)
  await until(() => toldIn(stream.text).length === 1)
  await takeUp(pool, pending)
  await complete(pool, pending)
  assert.equal(await stream.ended, true)
  assert.deepEqual(short(toldIn(stream.text)), [
    ...['submitted pending 0', 'processing processing 50', 'completed completed 100'],
  ])
  assert.equal((await read(pending, { query: '?lastEventId=0' })).length, 2)
})

test('only who may read a job may watch it', async () => {
  const stranger = await makeCustomer(pool)
  const { key: submitter } = await createKey(pool, {
    userId: customer.userId,
    mode: 'test',
    scopes: ['submit_job'],
  })
  const refused = async (jobId: string, key: string | undefined) => {
    const { status, body } = await gateway.call('GET', `/v1/jobs/${jobId}/events`, key ? { key } : {})
    return `${status} ${body.error.code}`
  }
  assert.equal(await refused(silent, stranger.key), '403 UNAUTHORIZED_ACCESS')
  assert.equal(await refused(silent, submitter), '403 OPERATION_NOT_ALLOWED')
  assert.equal(await refused(silent, undefined), '401 UNAUTHORIZED')
  assert.equal(await refused('job_none', customer.key), '404 JOB_NOT_FOUND')
})

test('an account has 100 streams at once, and the place of one that has gone is free again', async () => {
  const many = await makeCustomer(pool)
  const jobId = await addJob(gateway, pool, many)
  const streams = await Promise.all(Array.from({ length: 100 }, () => open(jobId, { key: many.key })))
  assert.deepEqual(
    streams.filter(({ status }) => status !== 200),
    [],
  )
  const { status, body, headers } = await gateway.call('GET', `/v1/jobs/${jobId}/events`, { key: many.key })
  assert.deepEqual([status, body.error.code, headers.get('retry-after')], [429, 'RATE_LIMIT_EXCEEDED', '5'])
  assert.match(body.error.message, /100 jobs/)
  streams.pop()!.hangUp()
  const next = await until(async () => {
    const stream = await open(jobId, { key: many.key })
    return stream.status === 200 && stream
  })
  streams.push(next)
  await takeUp(pool, jobId)
  await complete(pool, jobId)
  for (const stream of streams) {
    assert.equal(await stream.ended, true)
    assert.equal(toldIn(stream.text).length, 3)
  }
})

test('streams that were asked for at once by one connection leave their places when it breaks', async () => {
  const many = await makeCustomer(pool)
  const jobId = await addJob(gateway, pool, many)
  const status = async () => {
    const stream = await open(jobId, { key: many.key })
    stream.hangUp()
    return stream.status
  }
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  const request = `GET /v1/jobs/${jobId}/events HTTP/1.1\r\nHost: filmgate\r\nx-api-key: ${many.key}\r\n\r\n`
  socket.write(request.repeat(100))
  await until(async () => {
    // the look takes a place for a moment, in which one of these may have been refused
    socket.write(request)
    return (await status()) === 429
  })
  socket.destroy()
  // also those whose answer had not begun; one that is asked for just now leaves a little later
  await until(async () => {
    const streams = await Promise.all(Array.from({ length: 100 }, () => open(jobId, { key: many.key })))
    for (const { hangUp } of streams) hangUp()
    return streams.every(({ status }) => status === 200)
  })
})

test('HEAD tells what a GET would, and holds no place', async () => {
  const many = await makeCustomer(pool)
  const jobId = await addJob(gateway, pool, many)
  for (let asked = 0; asked <= 100; asked++) {
    const { status, headers } = await fetch(`${gateway.url}/v1/jobs/${jobId}/events`, {
      method: 'HEAD',
      headers: { 'x-api-key': many.key },
    })
    assert.deepEqual([status, headers.get('content-type')], [200, 'text/event-stream; charset=utf-8'])
  }
})

test('a server that stops ends its streams as they should end, and takes no new ones', async () => {
  const other = await startGateway({ databaseUrl, role: 'api' })
  const streams = await Promise.all([1, 2, 3].map(() => open(silent, { url: other.url })))
  await until(() => streams.every(({ text }) => toldIn(text).length === 1))
  await other.stop()
  for (const { ended } of streams) assert.equal(await ended, true)
})

test('connections on which no answer is due do not hold a stop up', { timeout: 60_000 }, async () => {
  const other = await startGateway({ databaseUrl, role: 'api' })
  const ask = 'GET /health/live HTTP/1.1\r\nHost: filmgate\r\n'
  const put = 'PUT /v1/uploads/1 HTTP/1.1\r\nHost: filmgate\r\nContent-Length: 9\r\n\r\n'
  // nothing, half a request, half of a second one, and one that is refused before it has come to its end
  for (const sent of ['', ask, `${ask}\r\n${ask}`, `${put}1`]) {
    const socket = connect(Number(new URL(other.url).port), '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(sent)
    if (sent.includes('\r\n\r\n')) await once(socket, 'data')
  }
  await other.stop()
})

test('the guide names every event', async () => {
  const { body } = await gateway.call('GET', '/docs/jobs.md')
  const named = [...(body as string).matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name)
  assert.deepEqual(
    eventNames.filter((name) => !named.includes(name)),
    [],
  )
})

test('silence is told every 15 seconds, and a stream whose key was deactivated ends', async () => {
  assert.equal(await ofDeactivatedKey.ended, true)
  await until(() => ofGoodKey.text.includes('\n\n:still here\n\n'))
  assert.deepEqual(short(toldIn(ofGoodKey.text)), ['submitted pending 0'])
  ofGoodKey.hangUp()
})
