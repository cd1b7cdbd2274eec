import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { pino } from 'pino'
import { systemClock } from '../src/clock.ts'
import { keepRefused, type RefusedRequest, sweepRefused } from '../src/requests/refused.ts'
import { atEnd } from './at-end.ts'
import { database, filmgate } from './command-line.ts'
import { makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'

const { pool } = database
// biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
const lines: any[] = []
const write = (line: string) => void lines.push(JSON.parse(line))
const gateway = await startGateway({
  databaseUrl: database.url,
  role: 'api',
  log: pino({ level: 'debug' }, { write }),
})
const customer = await makeCustomer(pool)
const port = Number(new URL(gateway.url).port)
const [debug, info] = [20, 30]

/** The lines of one request, once there are any. */
async function linesOf(requestId: string) {
  return until(() => {
    const found = lines.filter((line) => line.requestId === requestId && 'status' in line)
    return found.length > 0 && found
  })
}

const deactivated = await makeCustomer(pool)
await pool.query('update api_keys set is_active = false where id = $1', [deactivated.keyId])
const body = seedBody(textToVideo)

const kinds = [
  { name: 'a submit', method: 'POST', path: '/v1/jobs/submit', key: customer.key, body, level: debug },
  {
    name: 'a read',
    path: '/v1/jobs?limit=1&x-secret=hunter2',
    key: customer.key,
    status: 400,
    code: 'VALIDATION_ERROR',
    route: '/v1/jobs',
  },
  {
    name: 'an unknown job',
    path: '/v1/jobs/job_hunter2',
    key: customer.key,
    status: 404,
    code: 'JOB_NOT_FOUND',
    route: '/v1/jobs/:jobId',
  },
  {
    name: 'a missing key',
    path: '/v1/jobs?api_key=hunter2',
    status: 401,
    code: 'UNAUTHORIZED',
    route: '/v1/jobs',
    keyId: null,
  },
  {
    name: 'a key that is off',
    path: '/v1/jobs',
    key: deactivated.key,
    status: 401,
    code: 'API_KEY_INACTIVE',
    route: '/v1/jobs',
    keyId: deactivated.keyId,
  },
  {
    name: 'an unknown address',
    path: '/hunter2?hunter2',
    status: 404,
    code: 'NOT_FOUND',
    route: null,
    keyId: null,
  },
  {
    name: 'a wrong method',
    method: 'PATCH',
    path: '/v1/jobs',
    status: 405,
    code: 'METHOD_NOT_ALLOWED',
    route: null,
    keyId: null,
  },
  {
    name: 'a broken body',
    method: 'POST',
    path: '/v1/jobs/submit',
    key: customer.key,
    body: '{"hunter2',
    status: 400,
    code: 'VALIDATION_ERROR',
    route: '/v1/jobs/submit',
  },
  {
    name: 'another type',
    method: 'POST',
    path: '/v1/jobs/submit',
    key: customer.key,
    body: 'hunter2',
    headers: { 'content-type': 'text/plain' },
    status: 415,
    code: 'UNSUPPORTED_MEDIA_TYPE',
    route: '/v1/jobs/submit',
  },
  {
    name: 'a forged link',
    path: '/files/a?expires=1&signature=hunter2',
    status: 403,
    code: 'UNAUTHORIZED_ACCESS',
    route: '/files/*',
    keyId: null,
  },
  {
    name: 'a broken address',
    path: '/%ff?hunter2',
    status: 400,
    code: 'VALIDATION_ERROR',
    route: null,
    keyId: null,
  },
  { name: 'a health check', path: '/health/live', level: debug, keyId: null },
]

for (const { name, method = 'GET', path, status = 200, ...kind } of kinds) {
  test(`${name} is one line of the log, without query, body and key`, async () => {
    const requestId = `test-${name.replaceAll(' ', '-')}`
    const { key, body, headers } = { key: undefined, body: undefined, headers: {}, ...kind }
    const answer = await gateway.call(method, path, {
      ...(key && { key }),
      body,
      headers: { ...headers, 'x-request-id': requestId },
    })
    assert.equal(answer.status, status)
    const found = await linesOf(requestId)
    assert.equal(found.length, 1)
    const [line] = found
    const expected = { level: info, code: null, route: path, keyId: customer.keyId, ...kind }
    assert.deepEqual(
      [line.level, line.method, line.route, line.status, line.code, line.keyId, line.address],
      [expected.level, method, expected.route, status, expected.code, expected.keyId, '127.0.0.1'],
    )
    assert.ok(Number.isInteger(line.ms))
    assert.doesNotMatch(JSON.stringify(lines), /hunter2|pb_test_/)
  })
}

test('a client that hangs up before it is answered is told as 499, and not as an error of ours', async () => {
  const socket = connect(port, '127.0.0.1')
  socket.write(
    `POST /v1/jobs/submit HTTP/1.1\r\nhost: x\r\nx-request-id: test-hang-up\r\nx-api-key: ${customer.key}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
  )
  await until(async () => (await fetch(`${gateway.url}/health/live`)).ok)
  socket.destroy()
  const [line] = await linesOf('test-hang-up')
  assert.deepEqual([line.level, line.status, line.code, line.isCut], [info, 499, null, true])
})

test('what is no HTTP is one line as well, under the id that it was answered with', async () => {
  const socket = connect(port, '127.0.0.1')
  socket.end('GET / HTTP/9.9\r\n\r\n')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close')
  const [line] = await linesOf(/x-request-id: (\S+)/.exec(text)![1]!)
  assert.deepEqual([line.method, line.route, line.status, line.code], [null, null, 400, 'VALIDATION_ERROR'])
})

test('at the level info only what was refused or failed is logged', async () => {
  const written: string[] = []
  const quiet = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    log: pino({ level: 'info' }, { write: (line: string) => void written.push(line) }),
  })
  await quiet.call('GET', '/v1/jobs', { key: customer.key })
  await quiet.call('GET', '/v1/jobs')
  await until(() => written.some((line) => line.includes('UNAUTHORIZED')))
  assert.equal(written.filter((line) => line.includes('/v1/jobs')).length, 1)
})

test('the operator is shown the job that a request made, and how another was refused', async () => {
  const made = await gateway.call('POST', '/v1/jobs/submit', { key: customer.key, body })
  const { rows } = await pool.query('select request_id from jobs where id = $1', [made.body.jobId])
  const ours = rows[0].request_id
  const own = 'order-4711-of-the-client'
  const second = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body,
    headers: { 'x-request-id': own },
  })
  for (const [id, { body: job }] of [
    [ours, made],
    [own, second],
  ] as const) {
    const { stdout } = await filmgate(`request show ${id} --json`)
    const report = JSON.parse(stdout)
    assert.deepEqual(
      report.jobs.map(({ jobId, keyId, priceMicroCents }: Record<string, unknown>) => [
        jobId,
        keyId,
        priceMicroCents,
      ]),
      [[job.jobId, customer.keyId, job.costMicroCents]],
    )
    assert.deepEqual(report.refused, [])
  }
  const refused = await gateway.call('POST', '/v1/jobs/submit?token=hunter2', {
    key: customer.key,
    body: { ...body, model: 'none/at-all' },
  })
  const { requestId } = refused.body
  await until(
    async () =>
      (await pool.query('select from refused_requests where request_id = $1', [requestId])).rowCount === 1,
  )
  const { stdout } = await filmgate(`request show ${requestId}`)
  assert.match(stdout, /^code +MODEL_NOT_FOUND$/m)
  assert.match(stdout, /^request +POST \/v1\/jobs\/submit$/m)
  assert.ok(stdout.includes(customer.keyId) && stdout.includes(refused.body.error.message))
  assert.doesNotMatch(stdout, /hunter2/)
})

test('of a request of which nothing is known the operator is told so, and what is no id is refused', async () => {
  const unknown = await filmgate('request show req_000000000000000000000000')
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /nothing is known of the request req_0+/)
  assert.equal((await filmgate('request show x')).code, 2)
})

const refusal = (address: string): RefusedRequest => ({
  requestId: `flood-${address}`,
  method: 'GET',
  route: null,
  status: 404,
  code: 'NOT_FOUND',
  message: 'no \0 way',
  ms: 1,
  keyId: null,
  userId: null,
  address,
})
const kept = async (like: string) =>
  (await pool.query('select from refused_requests where request_id like $1', [like])).rowCount

test('a flood of refusals is kept in part, each address its share, and the log says how many are left out', async () => {
  const warned: object[] = []
  const refused = keepRefused({
    pool,
    clock: systemClock,
    log: { warn: (fields) => void warned.push(fields) },
  })
  for (let count = 0; count < 1_000; count++) refused.note(refusal('192.0.2.1'))
  refused.note(refusal('192.0.2.2'))
  await refused.stop()
  assert.deepEqual([await kept('flood-192.0.2.1'), await kept('flood-192.0.2.2')], [20, 1])
  assert.deepEqual(warned, [{ requests: 980 }])
})

test('while the database is away refusals are left out, and nothing else happens', async () => {
  const warned: object[] = []
  const away = { query: () => Promise.reject(new Error('away')) } as unknown as typeof pool
  const refused = keepRefused({
    pool: away,
    clock: systemClock,
    log: { warn: (fields) => void warned.push(fields) },
  })
  atEnd(refused.stop)
  refused.note(refusal('192.0.2.3'))
  await refused.stop()
  assert.equal(warned.length, 1)
})

test('only the newest refusals stay, and none for longer than a week', async () => {
  await pool.query(
    "insert into refused_requests (request_id, at, status, address) select 'many', filmgate_now(), 404, '' from generate_series(1, 50)",
  )
  await pool.query(
    "insert into refused_requests (request_id, at, status, address) values ('old', filmgate_now() - interval '8 days', 404, '')",
  )
  await sweepRefused(pool, 10)
  assert.equal(await kept('old'), 0)
  assert.equal((await pool.query('select from refused_requests')).rowCount, 9)
})
