import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { createKey, deactivateKey, newKey } from '../src/accounts/keys.ts'
import { credit } from '../src/ledger/ledger.ts'
import { balanceOf, cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const customer = await makeCustomer(database.pool)
const { userId } = customer

const keyWith = async (options: Partial<Parameters<typeof createKey>[1]>) =>
  (await createKey(database.pool, { userId, mode: 'test', ...options })).key
const list = (headers: Record<string, string>) => gateway.call('GET', '/v1/jobs', { headers })

/** Every keyed operation, with a body where it takes one. */
const operations: [method: string, path: string, scope: string, body?: unknown][] = [
  ['POST', '/v1/jobs/submit', 'submit_job', seedBody(textToVideo)],
  ['POST', '/v1/jobs/estimate', 'check_status', { model: textToVideo }],
  ['GET', '/v1/jobs', 'check_status'],
  ['GET', '/v1/jobs/job_1', 'check_status'],
  ['POST', '/v1/jobs/job_1/cancel', 'submit_job'],
  ['POST', '/v1/uploads/presign', 'submit_job', { filename: 'x.png', contentType: 'image/png' }],
  ['GET', '/v1/uploads/00000000-0000-4000-8000-000000000000', 'submit_job'],
]

test('a key is taken from either header, whatever the case of the scheme', async () => {
  const { key } = customer
  for (const headers of [
    { authorization: `Bearer ${key}` },
    { authorization: `bearer  ${key} ` },
    { 'x-api-key': key },
    { 'X-API-Key': ` ${key} ` },
    { authorization: 'Basic dTpw', 'x-api-key': key },
  ]) {
    assert.equal((await list(headers)).status, 200, JSON.stringify(Object.keys(headers)))
  }
})

test('without a key every operation is UNAUTHORIZED', async () => {
  for (const [method, path, , body] of operations) {
    const answer = await gateway.call(method, path, { body })
    assert.equal(answer.status, 401, path)
    assert.equal(answer.body.error.code, 'UNAUTHORIZED')
    assert.equal(answer.body.requestId, answer.headers.get('x-request-id'))
  }
  for (const headers of [
    { authorization: 'Bearer ' },
    { 'x-api-key': '' },
    { authorization: 'Basic dTpw' },
  ]) {
    assert.equal((await list(headers)).body.error.code, 'UNAUTHORIZED')
  }
})

test('no cache keeps what is for a key, nor its refusal', async () => {
  for (const [method, path, , body] of [
    ...operations,
    ['POST', '/v1/sessions'],
    ['GET', '/v1/models'],
  ] as const) {
    for (const headers of [{ 'x-api-key': customer.key }, {}]) {
      const answer = await gateway.call(method, path, { body, headers })
      assert.equal(answer.headers.get('cache-control'), 'no-store', `${path} ${answer.status}`)
    }
  }
})

test('an operation needs its scope, and no other', async () => {
  const keys = {
    submit_job: await keyWith({ scopes: ['submit_job'] }),
    check_status: await keyWith({ scopes: ['check_status'] }),
    list_models: await keyWith({ scopes: ['list_models'] }),
  }
  for (const [method, path, needed, body] of operations) {
    for (const [scope, key] of Object.entries(keys)) {
      const answer = await gateway.call(method, path, { key, body })
      assert.equal(
        answer.body.error?.code === 'OPERATION_NOT_ALLOWED',
        scope !== needed,
        `${path} with ${scope}`,
      )
    }
  }
})

test('every refusal has its status and code', async () => {
  const inactive = await createKey(database.pool, { userId, mode: 'test' })
  await deactivateKey(database.pool, inactive.keyId)
  const [banned, sleeping] = [await makeCustomer(database.pool), await makeCustomer(database.pool)]
  await database.pool.query("update users set status = 'banned' where id = $1", [banned.userId])
  await database.pool.query("update users set status = 'inactive' where id = $1", [sleeping.userId])
  for (const [key, status, code] of [
    ['pb_test_nonsense', 401, 'INVALID_API_KEY'],
    [newKey('test'), 401, 'INVALID_API_KEY'],
    [inactive.key, 401, 'API_KEY_INACTIVE'],
    [await keyWith({ expiresAt: new Date(Date.now() - 1) }), 401, 'API_KEY_EXPIRED'],
    [await keyWith({ allowedIps: ['203.0.113.0/24'] }), 403, 'IP_NOT_WHITELISTED'],
    [await keyWith({ scopes: ['list_models'] }), 403, 'OPERATION_NOT_ALLOWED'],
    [banned.key, 403, 'USER_BANNED'],
    [sleeping.key, 403, 'USER_INACTIVE'],
  ] as const) {
    const answer = await gateway.call('GET', '/v1/jobs', { key })
    assert.equal(answer.status, status, code)
    assert.equal(answer.body.error.code, code)
    assert.ok(!JSON.stringify(answer.body).includes(key), 'the key is repeated')
  }
  const local = await keyWith({ allowedIps: ['127.0.0.0/8', '::1'] })
  assert.equal((await gateway.call('GET', '/v1/jobs', { key: local })).status, 200)
})

test('an address that a client claims in a header does not count', async () => {
  const key = await keyWith({ allowedIps: ['203.0.113.7'] })
  const { body } = await gateway.call('GET', '/v1/jobs', {
    key,
    headers: { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.7', 'x-real-ip': '203.0.113.7' },
  })
  assert.equal(body.error.code, 'IP_NOT_WHITELISTED')
})

test('allowed addresses work behind a trusted proxy, by the nearest hop that is none of the proxies', async () => {
  const behind = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    settings: { trustedProxies: ['::ffff:127.0.0.1', '10.0.0.0/8'] },
  })
  const key = await keyWith({ allowedIps: ['::ffff:203.0.113.7'] })
  const from = async (forwardedFor: string) => {
    const headers = { 'x-forwarded-for': forwardedFor, forwarded: 'for=203.0.113.7' }
    return (await behind.call('GET', '/v1/jobs', { key, headers })).body.error?.code
  }
  for (const header of ['203.0.113.7', '198.51.100.9, 203.0.113.7:4711, 10.1.1.1', '::ffff:203.0.113.7']) {
    assert.equal(await from(header), undefined, header)
  }
  for (const header of [
    '198.51.100.9',
    '203.0.113.7, 198.51.100.9',
    '203.0.113.7, unknown',
    '',
    '127.0.0.1',
  ]) {
    assert.equal(await from(header), 'IP_NOT_WHITELISTED', header)
  }
  const socket = connect(Number(new URL(behind.url).port), '127.0.0.1')
  const lines = [
    'x-forwarded-for: 203.0.113.7',
    'X-Forwarded-For: 10.1.1.1',
    `x-api-key: ${key}`,
    'connection: close',
  ]
  socket.write(`GET /v1/jobs HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n`)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  assert.match(answer, /^HTTP\/1.1 200 /)
})

test('a key may make so many requests a minute from an address; who sends bad keys is limited, and others from there are not', async () => {
  const limited = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    settings: { requestsPerMinute: 5, trustedProxies: ['127.0.0.1'] },
  })
  const [first, second] = [await keyWith({}), await keyWith({})]
  const ask = (key: string | undefined, address = '203.0.113.7', path = '/v1/jobs') =>
    limited.call('GET', path, { ...(key && { key }), headers: { 'x-forwarded-for': address } })
  for (let count = 0; count < 5; count++) assert.equal((await ask(first)).status, 200)
  const refused = await ask(first)
  assert.deepEqual([refused.status, refused.body.error.code], [429, 'RATE_LIMIT_EXCEEDED'])
  const seconds = Number(refused.headers.get('retry-after'))
  assert.ok(seconds >= 1 && seconds <= 60 && refused.body.error.details.retryAfter === seconds)
  assert.equal((await ask(first, '203.0.113.8')).status, 200)
  for (let count = 0; count < 5; count++) assert.equal((await ask(newKey('test'))).status, 401)
  for (const key of [newKey('test'), 'pb_test_nonsense', 'ses_x', undefined]) {
    assert.equal((await ask(key)).status, 429)
  }
  assert.equal((await ask(undefined, '203.0.113.7', '/v1/catalog/models')).status, 429)
  assert.equal((await ask(second)).status, 200)
  assert.equal((await ask(newKey('test'), '203.0.113.8')).status, 401)
})

test('a bad key is refused before the body has come', async () => {
  const { hostname, port } = new URL(gateway.url)
  for (const path of ['/v1/jobs/submit', '/v1/jobs/estimate', '/v1/uploads/presign']) {
    const socket = connect(Number(port), hostname)
    // of the announced body not one byte is ever sent
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${newKey('test')}\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n`,
    )
    const [answer] = await socket.take(1).toArray()
    socket.destroy()
    assert.match(String(answer), /^HTTP\/1\.1 401 /)
    assert.match(String(answer), /INVALID_API_KEY/)
  }
})

test('a bad key is told even if the body is malformed as well', async () => {
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key: newKey('test'), body: '{"model":' })
  assert.equal(answer.body.error.code, 'INVALID_API_KEY')
})

test("another account's job can be neither read nor cancelled, and is not listed", async () => {
  const submitted = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: seedBody(textToVideo),
  })
  const { jobId } = submitted.body
  const balance = await balanceOf(database.pool, customer.accountId)
  const stranger = await makeCustomer(database.pool)
  // the same user's live key is another account as well
  const live = await keyWith({ mode: 'live' })
  for (const key of [stranger.key, live]) {
    for (const [method, path] of [
      ['GET', `/v1/jobs/${jobId}`],
      ['POST', `/v1/jobs/${jobId}/cancel`],
    ] as const) {
      const answer = await gateway.call(method, path, { key })
      assert.equal(answer.status, 403, path)
      assert.equal(answer.body.error.code, 'UNAUTHORIZED_ACCESS')
      assert.ok(!JSON.stringify(answer.body).includes('Tokyo'))
    }
    assert.deepEqual((await gateway.call('GET', '/v1/jobs', { key })).body.jobs, [])
  }
  assert.equal(await balanceOf(database.pool, customer.accountId), balance)
  const second = await keyWith({})
  assert.equal((await gateway.call('GET', `/v1/jobs/${jobId}`, { key: second })).body.status, 'pending')
})

test("an Idempotency-Key of another account, or of the other mode, is nobody else's", async () => {
  const headers = { 'idempotency-key': 'shared-1' }
  const body = seedBody(textToVideo)
  const stranger = await makeCustomer(database.pool)
  const first = await gateway.call('POST', '/v1/jobs/submit', { key: customer.key, body, headers })
  const second = await gateway.call('POST', '/v1/jobs/submit', { key: stranger.key, body, headers })
  assert.equal(second.status, 200)
  assert.notEqual(second.body.jobId, first.body.jobId)
  await credit(database.pool, { userId, mode: 'live' }, 1_000_000n, undefined)
  const live = await keyWith({ mode: 'live' })
  const third = await gateway.call('POST', '/v1/jobs/submit', { key: live, body, headers })
  assert.equal(third.headers.get('idempotent-replayed'), null)
})

test('an answer carries the request id that was sent, if it is a sane one', async () => {
  const sent = 'my-request.0001'
  const kept = await gateway.call('GET', '/v1/jobs', { headers: { 'x-request-id': sent } })
  assert.equal(kept.headers.get('x-request-id'), sent)
  assert.equal(kept.body.requestId, sent)
  for (const odd of ['short', 'x'.repeat(129), 'with space 123', '<script>alert(1)</script>']) {
    const answer = await gateway.call('GET', '/v1/jobs', { headers: { 'x-request-id': odd } })
    assert.match(answer.body.requestId, /^req_[0-9a-z]+$/)
  }
})

test('what the database cannot hold, or no route can take, is refused as the contract says', async () => {
  const seed = seedBody(textToVideo)
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  const requests: [method: string, path: string, body?: unknown][] = [
    ['GET', '/v1/jobs/job_%00'],
    ['POST', '/v1/jobs/job_%00/cancel'],
    ['GET', '/v1/jobs?modelId=%00'],
    ['GET', '/v1/jobs?metadata%5B%00%5D=x'],
    ['GET', '/v1/jobs?metadata%5Ba%5D=%00'],
    ['GET', '/v1/jobs/%E0%A4%A'],
    ['POST', '/v1/jobs/submit', { ...seed, metadata: { a: '\0' } }],
    ['POST', '/v1/jobs/submit', { ...seed, metadata: { a: '\ud800' } }],
    ['POST', '/v1/jobs/submit', { ...seed, metadata: { '\0': 'a' } }],
    ['POST', '/v1/jobs/submit', { ...seed, metadata: { 'a\nb': { deep: true } } }],
    ['POST', '/v1/jobs/submit', { ...seed, metadata: { ['x'.repeat(41)]: 'a' } }],
    ['POST', '/v1/jobs/submit', { ...seed, metadata: { '': 'a' } }],
    ['POST', '/v1/jobs/submit', { ...seed, webhookUrl: 'https://example.com/\0' }],
    ['POST', '/v1/jobs/submit', `{"model":"${textToVideo}","input":{"prompt":${deep}}}`],
    ['POST', '/v1/jobs/estimate', `{"model":"${textToVideo}","input":{"prompt":${deep}}}`],
    ['POST', '/v1/jobs/submit', `{"model":"${textToVideo}","input":{"prompt":"x","__proto__":{"a":1}}}`],
  ]
  for (const [method, path, body] of requests) {
    const answer = await gateway.call(method, path, { key: customer.key, body })
    const about = `${path} ${JSON.stringify(body)?.slice(0, 200)}`
    assert.equal(answer.status, 400, about)
    assert.equal(answer.body.success, false, about)
    assert.match(answer.body.error.code, /^(VALIDATION_ERROR|INVALID_INPUT)$/, about)
    assert.equal(answer.body.requestId, answer.headers.get('x-request-id'), about)
  }
  const unknown = await gateway.call('GET', '/v1/nothing?key=secret')
  assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'NOT_FOUND'])
  assert.ok(!JSON.stringify(unknown.body).includes('secret'))
})
