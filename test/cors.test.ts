import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey, newKey } from '../src/accounts/keys.ts'
import { routes } from '../src/http/app.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

const { pool, url } = await cloneDatabase()
const start = (corsOrigins: string[] | '*' | undefined) =>
  startGateway({ databaseUrl: url, role: 'api', settings: { corsOrigins } })
const listed = await start(['https://app.example.com', 'http://localhost:5173'])
const customer = await makeCustomer(pool)
const origin = 'https://app.example.com'

const preflight = (gateway: Gateway, path: string, method: string, from = origin) =>
  gateway.call('OPTIONS', path, {
    headers: {
      origin: from,
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
  })
const allowed = (headers: Headers) => headers.get('access-control-allow-origin')

test('a preflight is answered without a key for every operation, uploads and files', async () => {
  const declared = routes.map(({ method, path }) => [method, path.replace(/:\w+\+?/g, 'x')] as const)
  for (const [method, path] of [
    ...declared,
    ['PUT', '/v1/uploads/x?expires=1&signature=x'],
    ['GET', '/files/outputs/x.mp4'],
    ['POST', '/v1/nowhere'],
  ] as const) {
    const { status, headers, body } = await preflight(listed, path, method)
    assert.deepEqual([status, body], [204, ''], path)
    assert.equal(allowed(headers), origin)
    assert.ok(headers.get('access-control-allow-methods')!.split(', ').includes(method))
    assert.equal(headers.get('access-control-allow-headers'), 'authorization,content-type,idempotency-key')
    assert.equal(headers.get('access-control-max-age'), '600')
    assert.equal(headers.get('access-control-allow-credentials'), null)
    assert.match(headers.get('vary') ?? '', /Origin/)
  }
})

test('answers, refusals of every kind, streams and files can be read from a listed origin, and what varies says so', async () => {
  const { key } = customer
  const { body } = await listed.call('POST', '/v1/jobs/submit', { key, body: seedBody(textToVideo) })
  const limited = await createKey(pool, { userId: customer.userId, mode: 'test', requestsPerMinute: 1 })
  const job = seedBody(textToVideo)
  await listed.call('POST', '/v1/jobs/submit', { key: limited.key, body: job })
  const cancel = await listed.call('POST', `/v1/jobs/${body.jobId}/cancel`, { key })
  assert.equal(cancel.status, 200)
  for (const [method, path, status, asker, sent] of [
    ['GET', '/v1/jobs', 200, key],
    ['GET', `/v1/jobs/${body.jobId}/events`, 200, key],
    ['GET', '/v1/catalog/models', 200, undefined],
    ['GET', '/openapi.json', 200, undefined],
    ['GET', '/docs', 200, undefined],
    ['GET', '/v1/jobs', 401, undefined],
    ['GET', '/v1/jobs', 401, newKey('test')],
    ['POST', '/v1/jobs/submit', 429, limited.key, job],
    ['GET', '/v1/jobs/job_1', 404, key],
    ['GET', '/v1/nowhere', 404, key],
    ['GET', '/v1/jobs/%zz', 400, key],
    ['DELETE', '/v1/jobs', 405, key],
    ['GET', '/files/outputs/x.mp4', 403, undefined],
    ['PUT', '/v1/uploads/x', 403, undefined],
    ['POST', '/v1/jobs/submit', 400, key],
  ] as const) {
    const given = { ...(asker && { key: asker }), ...(sent && { body: sent }) }
    const answer = await listed.call(method, path, { ...given, headers: { origin } })
    assert.equal(answer.status, status, `${path} ${JSON.stringify(answer.body).slice(0, 200)}`)
    assert.equal(allowed(answer.headers), origin, path)
    assert.match(answer.headers.get('vary') ?? '', /\bOrigin\b/, path)
    assert.equal(answer.headers.get('access-control-allow-credentials'), null)
    const exposed = answer.headers.get('access-control-expose-headers') ?? ''
    for (const name of [
      'x-request-id',
      'retry-after',
      'idempotent-replayed',
      'etag',
      'content-range',
      'location',
    ]) {
      assert.ok(exposed.split(', ').includes(name), name)
    }
  }
  const catalog = await listed.call('GET', '/v1/catalog/models')
  assert.match(catalog.headers.get('vary') ?? '', /authorization.*x-api-key/)
})

test('other origins are told nothing, and served as ever', async () => {
  for (const from of [
    'https://evil.example',
    'null',
    'https://app.example.com.evil.example',
    'http://app.example.com',
  ]) {
    const answer = await listed.call('GET', '/v1/jobs', { key: customer.key, headers: { origin: from } })
    assert.deepEqual([answer.status, allowed(answer.headers)], [200, null], from)
    assert.equal(allowed((await preflight(listed, '/v1/jobs', 'GET', from)).headers), null)
  }
})

test("without the setting only the server's own origin is allowed, and with * every one", async () => {
  const [own, open] = [await start(undefined), await start('*')]
  assert.equal(allowed((await preflight(own, '/v1/jobs', 'GET', own.url)).headers), own.url)
  assert.equal(allowed((await preflight(own, '/v1/jobs', 'GET')).headers), null)
  for (const from of ['https://any.example', 'null']) {
    const { headers } = await open.call('GET', '/v1/jobs', { key: customer.key, headers: { origin: from } })
    assert.deepEqual([allowed(headers), headers.get('access-control-allow-credentials')], ['*', null])
    assert.equal(allowed((await preflight(open, '/v1/jobs', 'GET', from)).headers), '*')
  }
})
