import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKey, deactivateKey, newKey } from '../src/accounts/keys.ts'
import { changeUser } from '../src/accounts/users.ts'
import { checkInput } from '../src/catalogue/check-input.ts'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { type ApiErrorCode, apiErrors } from '../src/errors.ts'
import { setVersion, setVisibility } from '../src/policy/settings.ts'
import { hashJson, issueQuote } from '../src/pricing/quote.ts'
import { loadSigningSecret } from '../src/signing-secret.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { type Answer, startGateway } from './gateway.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'
import { listen } from './webhook-fixture.ts'

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, role: 'api' })
const customer = await makeCustomer(pool)
const seed = seedBody(textToVideo)

const call = gateway.call
const list = (key?: string) => call('GET', '/v1/jobs', key === undefined ? {} : { key })
const listWith = async (options: Partial<Parameters<typeof createKey>[1]>) =>
  list((await createKey(pool, { userId: customer.userId, mode: 'test', ...options })).key)
const submit = (body: object = seed, key = customer.key, headers: Record<string, string> = {}) =>
  call('POST', '/v1/jobs/submit', { key, body, headers })
const ofUser = async (status: 'banned' | 'inactive') => {
  const { userId, key } = await makeCustomer(pool)
  await changeUser(pool, userId, { status })
  return list(key)
}

/** A server whose database a test may cut off, or spoil. */
async function startApart() {
  const own = await cloneDatabase()
  const { username, password, pathname, searchParams } = new URL(own.url.replace('@/', '@localhost/'))
  const path = `${searchParams.get('host')}/.s.PGSQL.${searchParams.get('port')}`
  const sockets = new Set<Socket>()
  const proxy = createServer((near) => {
    const far = dial(path)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => proxy.once('listening', resolve))
  const { port } = proxy.address() as { port: number }
  const cut = () => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  }
  atEnd(cut)
  const databaseUrl = `postgres://${username}:${password}@127.0.0.1:${port}${pathname}`
  return { pool: own.pool, cut, gateway: await startGateway({ databaseUrl, role: 'api' }) }
}

/** One real request for each code of the table. */
const requests: Record<ApiErrorCode, () => Promise<Answer>> = {
  UNAUTHORIZED: () => list(),
  INVALID_API_KEY: () => list(newKey('test')),
  async API_KEY_INACTIVE() {
    const { key, keyId } = await createKey(pool, { userId: customer.userId, mode: 'test' })
    await deactivateKey(pool, keyId)
    return list(key)
  },
  API_KEY_EXPIRED: () => listWith({ expiresAt: new Date(Date.now() - 1) }),
  INVALID_SESSION: () => list('ses_nonsense'),
  INVALID_WORKER_SECRET: () => call('POST', '/callbacks/sandbox/job_1.nonsense', { body: {} }),
  IP_NOT_WHITELISTED: () => listWith({ allowedIps: ['203.0.113.0/24'] }),
  OPERATION_NOT_ALLOWED: () => listWith({ scopes: ['list_models'] }),
  FORBIDDEN: () => call('GET', '/v1/admin/price-overrides', { key: customer.key }),
  async MODEL_ACCESS_DENIED() {
    await setVisibility(pool, imageToVideo, { visibility: 'private' })
    const answer = await submit(seedBody(imageToVideo))
    await setVisibility(pool, imageToVideo, { visibility: 'public' })
    return answer
  },
  async UNAUTHORIZED_ACCESS() {
    const stranger = await makeCustomer(pool)
    const { body } = await submit(seed, stranger.key)
    return call('GET', `/v1/jobs/${body.jobId}`, { key: customer.key })
  },
  USER_BANNED: () => ofUser('banned'),
  USER_INACTIVE: () => ofUser('inactive'),
  MODEL_NOT_FOUND: () => submit({ ...seed, model: 'kling/kling-9/text-to-video' }),
  MODEL_VERSION_NOT_FOUND: () => submit({ ...seed, version: 'v9.9' }),
  JOB_NOT_FOUND: () => call('GET', '/v1/jobs/job_1', { key: customer.key }),
  async USER_NOT_FOUND() {
    const { key } = await createKey(pool, { userId: customer.userId, mode: 'test', scopes: ['admin'] })
    return call('GET', '/v1/admin/users/nobody', { key })
  },
  NOT_FOUND: () => call('GET', '/nothing/here'),
  INVALID_MODEL_SLUG: () => submit({ ...seed, model: 'Kling O1' }),
  async MODEL_VERSION_NOT_ACTIVE() {
    await setVersion(pool, textToVideo, 'v1.0', { status: 'disabled' })
    const answer = await submit({ ...seed, version: 'v1.0' })
    await setVersion(pool, textToVideo, 'v1.0', { status: null })
    return answer
  },
  INVALID_INPUT: () => submit({ ...seed, input: { ...seed.input, duration: 'long' } }),
  INVALID_WEBHOOK_URL: () => submit({ ...seed, webhookUrl: 'https://127.0.0.1/hook' }),
  async JOB_CANNOT_BE_CANCELLED() {
    const { body } = await submit()
    const cancel = () => call('POST', `/v1/jobs/${body.jobId}/cancel`, { key: customer.key })
    await cancel()
    return cancel()
  },
  VALIDATION_ERROR: () => submit({ ...seed, colour: 'red' }),
  INVALID_CONTENT_TYPE: () =>
    call('POST', '/v1/uploads/presign', {
      key: customer.key,
      body: { filename: 'x.exe', contentType: 'application/x-msdownload' },
    }),
  COST_LIMIT_EXCEEDED: () => submit({ ...seed, maxCostMicroCents: 1 }),
  async QUOTE_EXPIRED() {
    const version = loadCatalogue().models.get(textToVideo)!.versions[0]!
    const quote = {
      accountId: customer.accountId,
      modelSlug: textToVideo,
      modelVersion: version.version,
      inputHash: hashJson(checkInput(version, seed.input).input),
      costMicroCents: 1n,
      expiresAt: new Date(Date.now() - 1),
    }
    const secret = await loadSigningSecret(pool, gateway.dataDir)
    return submit({ ...seed, quoteId: issueQuote(quote, secret) })
  },
  QUOTE_MISMATCH: () => submit({ ...seed, quoteId: 'quote_1' }),
  async INSUFFICIENT_BALANCE() {
    return submit(seed, (await makeCustomer(pool, { microCents: 1n })).key)
  },
  METHOD_NOT_ALLOWED: () => call('DELETE', '/v1/jobs', { key: customer.key }),
  UNSUPPORTED_MEDIA_TYPE: () => submit(seed, customer.key, { 'content-encoding': 'gzip' }),
  PAYLOAD_TOO_LARGE: () => submit({ ...seed, input: { ...seed.input, prompt: 'x'.repeat(2_000_000) } }),
  async IDEMPOTENCY_CONFLICT() {
    const headers = { 'idempotency-key': 'order-1' }
    await submit(seed, customer.key, headers)
    return submit({ ...seed, metadata: { other: 'yes' } }, customer.key, headers)
  },
  async CONCURRENT_JOBS_EXCEEDED() {
    const { key } = await makeCustomer(pool, { concurrencyLimit: 1 })
    await submit(seed, key)
    return submit(seed, key)
  },
  async RATE_LIMIT_EXCEEDED() {
    const { key } = await createKey(pool, { userId: customer.userId, mode: 'test', requestsPerMinute: 1 })
    await submit(seed, key)
    return submit(seed, key)
  },
  async PROVIDER_UNAVAILABLE() {
    return submit(seed, (await makeCustomer(pool, { mode: 'live' })).key)
  },
  async INTERNAL_ERROR() {
    const apart = await startApart()
    const { key } = await makeCustomer(apart.pool)
    await apart.pool.query('alter table jobs rename to mislaid_jobs')
    return apart.gateway.call('GET', '/v1/jobs', { key })
  },
  async SERVICE_UNAVAILABLE() {
    const apart = await startApart()
    const { key } = await makeCustomer(apart.pool)
    apart.cut()
    return apart.gateway.call('GET', '/v1/jobs', { key })
  },
  async PUBSUB_PUBLISH_FAILED() {
    const apart = await startApart()
    const { key } = await makeCustomer(apart.pool)
    apart.cut()
    return apart.gateway.call('POST', '/v1/jobs/submit', { key, body: seed })
  },
}

const answers = new Map<string, Answer>()

for (const [code, entry] of Object.entries(apiErrors)) {
  test(`${code} is answered to a real request, in the documented form`, async () => {
    const request = requests[code as ApiErrorCode]
    assert.ok(request, 'add a request that is answered with this code')
    const { status, headers, body } = await request()
    answers.set(code, { status, headers, body })
    assert.deepEqual([status, body.error?.code], [entry.status, code], JSON.stringify(body))
    assert.deepEqual(Object.keys(body), ['success', 'error', 'requestId'])
    assert.equal(body.success, false)
    const { details, ...error } = body.error
    assert.deepEqual(Object.keys(error), ['code', 'message'])
    assert.ok(error.message.length > 10)
    assert.equal(body.requestId, headers.get('x-request-id'))
    const isPassing = status === 429 || status === 503
    assert.equal(headers.has('retry-after'), isPassing)
    if (isPassing) {
      assert.ok(Number.isInteger(details.retryAfter) && details.retryAfter > 0)
      assert.equal(headers.get('retry-after'), String(details.retryAfter))
    }
  })
}

/** The budgets are not built yet; what lacked a setting is PROVIDER_UNAVAILABLE now, as it may be set up at any time. */
const answeredNowhere = ['BUDGET_EXCEEDED', 'CONFIG_ERROR']

test("the sources have the codes of the contract's table, but for those that nothing answers", (t) => {
  const path = join(import.meta.dirname, '../../shared/contract.md')
  if (!existsSync(path)) return t.skip('the contract is not at hand')
  const rows = readFileSync(path, 'utf8').matchAll(/^\| ([A-Z_ /]+?) \| \d{3}(?: \/ \d{3})* \|/gm)
  const codes = [...rows].flatMap(([, names]) => names!.split(' / '))
  assert.deepEqual(codes.sort(), [...Object.keys(apiErrors), ...answeredNowhere].sort())
})

/** What an answer must not hold: traces, statements, names of tables, paths of the machine, other users. */
async function secrets(): Promise<RegExp[]> {
  const { rows } = await pool.query<{ text: string }>(
    `select tablename as text from pg_tables where schemaname in ('public', 'graphile_worker') and tablename like '%\\_%'
     union all select id from users union all select email from users`,
  )
  const texts = [...rows.map(({ text }) => text), gateway.dataDir, process.cwd(), 'mislaid']
  return [
    /\\n *at |\bat (async )?[\w.<>]+ \(|node_modules|\.[jt]s:\d|\bnode:/,
    /\b(select|insert into|update \w+ set|relation|column|constraint|syntax error|sqlstate|pg_\w+)\b/i,
    ...texts.map((text) => new RegExp(RegExp.escape(text), 'i')),
  ]
}

async function holdsNothing(text: string): Promise<void> {
  for (const secret of await secrets()) assert.doesNotMatch(text, secret)
}

test('no error tells of traces, statements, tables, paths or other users', async () => {
  assert.equal(answers.size, Object.keys(apiErrors).length)
  for (const { body } of answers.values()) await holdsNothing(JSON.stringify(body))
})

test('neither does the answer to a hostile request, and none of them is an INTERNAL_ERROR', async () => {
  const { key } = customer
  const hostile: Parameters<typeof call>[] = [
    ['GET', "/v1/jobs/job_1'%20or%20'1'='1", { key }],
    ['GET', "/v1/jobs?modelId=';--&cursor=x", { key }],
    ['GET', `/v1/jobs?cursor=${Buffer.from('p99999999999999999999').toString('base64url')}`, { key }],
    ['GET', '/v1/jobs?limit=1e9&limit=2&status[]=x&__proto__[a]=b', { key }],
    ['GET', '/v1/jobs/%00', { key }],
    ['GET', '/v1/jobs/%ff%fe', { key }],
    ['GET', '/files/..%2f..%2f..%2fetc%2fpasswd?expires=1&signature=x'],
    ['GET', '/files/%00?expires=9999999999&signature=%00'],
    ['GET', '/v1/uploads/..%2f..', { key }],
    ['PUT', '/v1/uploads/0?expires=1&signature=x', { body: 'x' }],
    ['POST', '/v1/jobs/submit', { key, body: '{"model":' }],
    ['POST', '/v1/jobs/submit', { key, body: '[[[[' }],
    ['POST', '/v1/jobs/submit', { key, body: { ...seed, input: { __proto__: null, prompt: { a: [] } } } }],
    ['POST', '/v1/jobs/submit', { key, body: '{"__proto__":{"a":1},"constructor":{"prototype":{}}}' }],
    ['POST', '/v1/jobs/submit', { key, body: { ...seed, webhookUrl: 'https://[::ffff:169.254.169.254]/' } }],
    ['POST', '/v1/jobs/submit', { key, body: { ...seed, quoteId: `quote_1_1_${'A'.repeat(43)}` } }],
    ['POST', '/v1/jobs/submit', { key, body: seed, headers: { 'content-type': 'text/html' } }],
    ['POST', '/v1/jobs/submit', { key, body: seed, headers: { 'idempotency-key': 'a b' } }],
    ['GET', '/v1/jobs', { key: "ses_1_key_1'--_x" }],
    ['GET', '/v1/jobs', { key: `pb_test_${'%00'.repeat(20)}` }],
    ['POST', `/callbacks/sandbox/${'..%2f'.repeat(10)}`, { body: 'x' }],
    ['POST', '/callbacks/constructor/x', { body: 'x' }],
    ['DELETE', '/v1/jobs/job_1', { key }],
    ['GET', '/v1/models/%2e%2e%2f%2e%2e', { key }],
    ['GET', '/docs/..%2f..%2fpackage.json'],
  ]
  for (const request of hostile) {
    const { status, body } = await call(...request)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    assert.ok(status >= 400 && status < 500, `${request[1]}: ${status} ${text.slice(0, 200)}`)
    await holdsNothing(text)
  }
})

test('what a file server says is not repeated in the error of a job', async () => {
  const own = await cloneDatabase()
  const working = await startGateway({ databaseUrl: own.url, allowPrivateNetwork: true })
  const { key } = await makeCustomer(own.pool)
  const origin = await listen((_, response) => response.writeHead(500).end('hunter2 at internal.example.com'))
  const body = seedBody(imageToVideo)
  const input = { ...body.input, image_url: `${origin}/a.jpg` }
  const submitted = await working.call('POST', '/v1/jobs/submit', { key, body: { ...body, input } })
  const job = await working.ended(submitted.body.jobId, key)
  assert.equal(job.error.code, 'INPUT_MEDIA_UNREACHABLE')
  assert.doesNotMatch(JSON.stringify(job), /hunter2|internal\.example/)
})
