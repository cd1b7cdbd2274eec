import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { usualTimes } from '../src/http/bodies.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { exchange, openRaw, type RawAnswer, readAnswers } from './raw-client.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'

const database = await cloneDatabase()
const customer = await makeCustomer(database.pool)
const times = { headersMs: 600, bodyMs: 700, silenceMs: 500, partingMs: 500 }
const gateway = await startGateway({ databaseUrl: database.url, role: 'api', times })
const { url } = gateway
const auth = `Host: x\r\nAuthorization: Bearer ${customer.key}\r\n`
const json = 'Content-Type: application/json\r\n'

/** An error in the documented form, with the id of its request. */
function assertDocumented(answer: RawAnswer | undefined, status: number, code: string): void {
  assert.ok(answer)
  assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(answer))
  assert.deepEqual(Object.keys(answer.body), ['success', 'error', 'requestId'])
  assert.equal(answer.body.requestId, answer.headers['x-request-id'])
}

async function presign(): Promise<URL> {
  const body = { filename: 'a.mp4', contentType: 'video/mp4' }
  const answer = await gateway.call('POST', '/v1/uploads/presign', { key: customer.key, body })
  return new URL(answer.body.data.uploadUrl)
}

test('a refused sender gets its answer, and its connection is closed soon, however it goes on sending', async () => {
  const upload = await presign()
  const heads: [string, number, string][] = [
    [`POST /v1/jobs/submit HTTP/1.1\r\nHost: x\r\n${json}`, 401, 'UNAUTHORIZED'],
    [`POST /v1/jobs/submit HTTP/1.1\r\n${auth}${json}`, 413, 'PAYLOAD_TOO_LARGE'],
    ['POST /nowhere HTTP/1.1\r\nHost: x\r\n', 404, 'NOT_FOUND'],
    [
      `PUT ${upload.pathname}?expires=1&signature=x HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\n`,
      403,
      'UNAUTHORIZED_ACCESS',
    ],
    [
      `PUT ${upload.pathname}${upload.search} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n`,
      400,
      'INVALID_CONTENT_TYPE',
    ],
  ]
  const sendEndlessly = async ([head, status, code]: (typeof heads)[number]) => {
    const client = openRaw(url, `${head}Content-Length: 104857600\r\n\r\n`)
    const chunk = Buffer.alloc(65_536)
    const drip = setInterval(() => client.socket.write(chunk), 20)
    client.socket.once('close', () => clearInterval(drip))
    await new Promise((resolve) => client.socket.once('close', resolve))
    assertDocumented(readAnswers(client.text())[0], status, code)
    assert.ok(client.closedAfterMs() < 4_000, `${head}: ${client.closedAfterMs()}`)
  }
  await Promise.all(heads.map(sendEndlessly))
})

test('a refused body that is small leaves the connection to the next request', async () => {
  const body = JSON.stringify(seedBody(textToVideo))
  const refused = `POST /v1/jobs/submit HTTP/1.1\r\nHost: x\r\n${json}Content-Length: ${body.length}\r\n\r\n${body}`
  const client = openRaw(url, refused + refused)
  await until(() => client.text().match(/HTTP\/1.1 401/g)?.length === 2)
  client.socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await client.closed
  const answers = readAnswers(client.text())
  assert.deepEqual(
    answers.map(({ status }) => status),
    [401, 401, 200],
  )
  client.socket.destroy()
})

test('headers and bodies that come too slowly are answered 408, and the connection is closed', async () => {
  const upload = await presign()
  const slow: [string, string][] = [
    ['no header at all', ''],
    ['a header that never ends', 'GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-Slow: '],
    ['a body of JSON', `POST /v1/jobs/submit HTTP/1.1\r\n${auth}${json}Content-Length: 900\r\n\r\n{`],
    [
      'a body in chunks',
      `POST /v1/jobs/estimate HTTP/1.1\r\n${auth}${json}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`,
    ],
    [
      'an upload that stops',
      `PUT ${upload.pathname}${upload.search} HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nContent-Length: 90000\r\n\r\nabcd`,
    ],
  ]
  const waitFor = async ([name, text]: (typeof slow)[number]) => {
    const client = openRaw(url, text)
    await Promise.race([client.closed, sleep(8_000)])
    assert.ok(client.closedAfterMs() < 5_000, `${name}: ${client.closedAfterMs()}`)
    assertDocumented(readAnswers(client.text())[0], 408, 'VALIDATION_ERROR')
    client.socket.destroy()
  }
  await Promise.all(slow.map(waitFor))
})

test('a body of JSON that drips in is cut off at its time, an upload that drips in is not', async () => {
  const upload = await presign()
  const drip = (text: string, byte: string) => {
    const client = openRaw(url, text)
    const timer = setInterval(() => client.socket.write(byte), 100)
    client.socket.once('close', () => clearInterval(timer))
    return client
  }
  const submit = drip(`POST /v1/jobs/submit HTTP/1.1\r\n${auth}${json}Content-Length: 900\r\n\r\n`, ' ')
  const put = drip(
    `PUT ${upload.pathname}${upload.search} HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nContent-Length: 90000\r\n\r\n`,
    'x',
  )
  await submit.closed
  assertDocumented(readAnswers(submit.text())[0], 408, 'VALIDATION_ERROR')
  await sleep(1_000)
  assert.equal(put.text(), '')
  submit.socket.destroy()
  put.socket.destroy()
})

test('who ends its own side after the request still gets the answer, also one that waits', async () => {
  const body = JSON.stringify(seedBody(textToVideo))
  const requests = [
    'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n',
    `GET /v1/jobs HTTP/1.1\r\n${auth}\r\n`,
    `POST /v1/jobs/submit HTTP/1.1\r\n${auth}${json}Prefer: wait=1\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  ]
  const all = await Promise.all(
    [...requests, requests.join('')].map(async (text) => {
      const client = openRaw(url)
      client.socket.end(text)
      await client.closed
      return readAnswers(client.text()).map(({ status }) => status)
    }),
  )
  assert.deepEqual(all, [[200], [200], [200], [200, 200, 200]])
})

test('a stream of events goes on for who only listens, and ends when the client is gone', async () => {
  const { body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: seedBody(textToVideo),
  })
  const listening = openRaw(url)
  listening.socket.end(`GET /v1/jobs/${body.jobId}/events HTTP/1.1\r\n${auth}\r\n`)
  await until(() => listening.text().includes('event:submitted'))
  await sleep(300)
  const others = await Promise.all(
    Array.from({ length: 99 }, async () => {
      const client = openRaw(url, `GET /v1/jobs/${body.jobId}/events HTTP/1.1\r\n${auth}\r\n`)
      await until(() => client.text().includes('event:submitted'))
      return client
    }),
  )
  const one = async () => {
    const abort = new AbortController()
    const headers = { authorization: `Bearer ${customer.key}` }
    const stream = await fetch(`${url}/v1/jobs/${body.jobId}/events`, { headers, signal: abort.signal })
    abort.abort()
    return stream.status
  }
  assert.equal(await one(), 429)
  others[0]!.socket.destroy()
  await until(async () => (await one()) === 200)
  await gateway.call('POST', `/v1/jobs/${body.jobId}/cancel`, { key: customer.key })
  await listening.closed
  assert.match(listening.text(), /event:cancelled/)
  for (const { socket } of [...others, listening]) socket.destroy()
})

test('who asks leave to send is refused before, or told to go on', async () => {
  const upload = await presign()
  const expect = 'Expect: 100-continue\r\n'
  const put = `PUT ${upload.pathname}${upload.search} HTTP/1.1\r\nHost: x\r\n${expect}`
  const refused: [string, number, string][] = [
    [
      `POST /v1/jobs/submit HTTP/1.1\r\nHost: x\r\n${expect}${json}Content-Length: 100\r\n\r\n`,
      401,
      'UNAUTHORIZED',
    ],
    [`${put}Content-Type: image/png\r\nContent-Length: 100\r\n\r\n`, 400, 'INVALID_CONTENT_TYPE'],
    [`${put}Content-Type: video/mp4\r\nContent-Length: 104857601\r\n\r\n`, 413, 'PAYLOAD_TOO_LARGE'],
    [
      'POST /v1/jobs/submit HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\nContent-Length: 1\r\n\r\n',
      417,
      'VALIDATION_ERROR',
    ],
  ]
  for (const [text, status, code] of refused) {
    const answer = await exchange(url, text)
    assert.doesNotMatch(answer, /100 Continue/)
    assertDocumented(readAnswers(answer)[0], status, code)
  }
  const body = JSON.stringify(seedBody(textToVideo))
  const bytes = Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41', 'latin1')
  for (const [head, content] of [
    [`POST /v1/jobs/estimate HTTP/1.1\r\n${auth}${expect}${json}`, Buffer.from(body)],
    [`${put}Content-Type: video/mp4\r\n`, bytes],
  ] as const) {
    const client = openRaw(url, `${head}Connection: close\r\nContent-Length: ${content.length}\r\n\r\n`)
    await until(() => client.text() === 'HTTP/1.1 100 Continue\r\n\r\n')
    client.socket.write(content)
    await client.closed
    assert.match(client.text(), /HTTP\/1.1 200 OK/)
    client.socket.destroy()
  }
})

test('what is no HTTP, too large or foreign is answered in the documented form, with a request id', async () => {
  const odd: [string, number, string][] = [
    ['nonsense\r\n\r\n', 400, 'VALIDATION_ERROR'],
    ['GET / HTTP/1.1\r\nHost : x\r\n\r\n', 400, 'VALIDATION_ERROR'],
    ['POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n', 400, 'VALIDATION_ERROR'],
    ['POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400, 'VALIDATION_ERROR'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'VALIDATION_ERROR'],
    [`GET / HTTP/1.1\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'PAYLOAD_TOO_LARGE'],
    [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414, 'PAYLOAD_TOO_LARGE'],
    ['CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'VALIDATION_ERROR'],
  ]
  for (const [text, status, code] of odd) {
    assertDocumented(readAnswers(await exchange(url, text))[0], status, code)
  }
})

test('a body that goes on behind its Content-Length does not cost its request the answer', async () => {
  const body = JSON.stringify(seedBody(textToVideo))
  for (const connection of ['close', 'keep-alive']) {
    const head = `POST /v1/jobs/estimate HTTP/1.1\r\n${auth}${json}Connection: ${connection}\r\n`
    const whole = await exchange(url, `${head}Content-Length: ${body.length}\r\n\r\n${body}}}`)
    assert.match(whole, /^HTTP\/1.1 200 OK/, connection)
    const cut = await exchange(url, `${head}Content-Length: ${body.length - 1}\r\n\r\n${body}`)
    assertDocumented(readAnswers(cut)[0], 400, 'VALIDATION_ERROR')
  }
})

test('HTTP/1.0 is served, without and with keep-alive', async () => {
  const once = await exchange(url, 'GET /health/live HTTP/1.0\r\n\r\n')
  assert.match(once, /^HTTP\/1.1 200 OK[\s\S]*\{"status":"ok"\}$/)
  const client = openRaw(url, 'GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
  await until(() => client.text().includes('"ok"'))
  client.socket.write('GET /health/live HTTP/1.0\r\n\r\n')
  await client.closed
  assert.equal(client.text().match(/200 OK/g)?.length, 2)
  client.socket.destroy()
})

test('an address has no more connections than it may, and one that was closed makes room', async () => {
  const few = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    settings: { maxConnectionsPerAddress: 5, maxConnections: 8 },
  })
  const open = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const client = openRaw(few.url, 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n')
      await until(() => client.text().includes('200 OK'))
      return client
    }),
  )
  const live = 'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  const answer = readAnswers(await exchange(few.url, live))[0]
  assertDocumented(answer, 429, 'RATE_LIMIT_EXCEEDED')
  assert.equal(answer?.headers['retry-after'], '5')
  open[0]!.socket.destroy()
  await until(async () => (await exchange(few.url, live)).includes('200 OK'))
  for (const { socket } of open) socket.destroy()
})

test('trusted proxies have no limit of an address, but that of all', async () => {
  const few = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    settings: { maxConnectionsPerAddress: 2, maxConnections: 6, trustedProxies: ['127.0.0.1'] },
  })
  const open = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const client = openRaw(few.url, 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n')
      await until(() => client.text().includes('200 OK'))
      return client
    }),
  )
  const answer = readAnswers(await exchange(few.url, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'))[0]
  assertDocumented(answer, 503, 'SERVICE_UNAVAILABLE')
  for (const { socket } of open) socket.destroy()
})

test('headers have seconds, bodies of JSON half a minute, uploads as long as their links', () => {
  assert.ok(usualTimes.headersMs <= 30_000 && usualTimes.bodyMs <= 60_000)
  assert.ok(usualTimes.partingMs <= 5_000)
})
