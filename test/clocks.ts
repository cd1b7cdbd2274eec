import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { createKey } from '../src/accounts/keys.ts'
import { createLinks } from '../src/links.ts'
import { hashJson, issueQuote } from '../src/pricing/quote.ts'
import { loadSigningSecret } from '../src/signing-secret.ts'
import { createLocalStorage } from '../src/storage/local.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { addCompletedJob } from './outputs-fixture.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { type Shifter, startShiftedServer } from './shifted-processes.ts'
import { until } from './until.ts'
import { startKling } from './upstreams/kling.ts'
import { startReceiver } from './webhook-fixture.ts'

/** By how many hours the clocks of the two processes are off. */
export interface Apart {
  api: number
  worker: number
  shifter?: Shifter
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const fromNow = (ms: number) => new Date(Date.now() + ms)
const picture = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** An API and a worker on one database and one disk, each with a clock that is off, and a vendor whose clock is right. */
async function startApart({ api: apiHours, worker: workerHours, shifter = 'preload' }: Apart) {
  const { pool, url: databaseUrl } = await cloneDatabase()
  const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-apart-'))
  atEnd(() => rm(dataDir, { recursive: true, force: true }))
  const submits = { made: 0 }
  const kling = await startKling({
    // the first one meets a hiccup, after which nothing but the age of the job says whether to go on
    behave: () => (++submits.made === 1 ? { refuse: { code: 5001 } } : { takesMs: 200 }),
  })
  atEnd(() => kling.stop())
  const env = {
    FILMGATE_LOG_LEVEL: 'warn',
    FILMGATE_DATA_DIR: dataDir,
    FILMGATE_ALLOW_PRIVATE_NETWORK: '1',
    DATABASE_URL: databaseUrl,
    // a token by the clock, where a static key would need none
    KLING_ACCESS_KEY: kling.accessKey,
    KLING_SECRET_KEY: kling.secretKey,
    KLING_BASE_URL: kling.url,
  }
  const api = await startShiftedServer('api', { hours: apiHours, shifter, env })
  const worker = await startShiftedServer('worker', {
    hours: workerHours,
    shifter,
    env: { ...env, PUBLIC_URL: api.url },
  })
  const call = async (method: string, path: string, key: string, body?: object, headers = {}) => {
    const answer = await fetch(path.startsWith('http') ? path : api.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: answer.status, headers: answer.headers, body: await answer.json() }
  }
  return { pool, dataDir, api, worker, call, submits, customer: await makeCustomer(pool) }
}

type Servers = Awaited<ReturnType<typeof startApart>>

function isSoon(text: string, wantedMs: number): void {
  const errorMs = Date.parse(text) - Date.now() - wantedMs
  assert.ok(Math.abs(errorMs) < 20_000, `${text} is ${errorMs} ms from what it should be`)
}

const ended = ({ call }: Servers, jobId: string, key: string) =>
  until(async () => {
    const { body } = await call('GET', `/v1/jobs/${jobId}`, key)
    return !['pending', 'processing'].includes(body.status) && body
  })

const seed = seedBody(textToVideo)
/** Of a job that waits, and costs no time of a renderer. */
const waiting = { ...seed, input: { ...seed.input, prompt: 'A lake. [sandbox:pending 3600]' } }

async function submit({ call }: Servers, key: string, more: object = {}, headers = {}) {
  return call('POST', '/v1/jobs/submit', key, { ...waiting, ...more }, headers)
}

/** Says what each process's clock is, and serves all the same. */
async function saysThatItsClockIsOff({ api, worker, call, customer }: Servers, apart: Apart): Promise<void> {
  const told = (hours: number) => {
    const size = Math.abs(hours) >= 24 ? `${Math.abs(hours) / 24} d 0 h` : `${Math.abs(hours)} h 0 min`
    return `the clock of this process is ${size} ${hours > 0 ? 'ahead of' : 'behind'} the database's`
  }
  const { status, body } = await call('GET', '/health/ready', customer.key)
  assert.deepEqual([status, body.status], [200, 'degraded'])
  assert.ok(body.reasons.includes(told(apart.api)), JSON.stringify(body))
  for (const [process, hours] of [
    [api, apart.api],
    [worker, apart.worker],
  ] as const) {
    assert.equal(process.said().split(told(hours)).length, 2, process.said())
  }
}

/** A job with a webhook: dispatched at once, polled when due, told again after a failed attempt, by the right time. */
async function makesAJobAndTellsIt(servers: Servers): Promise<void> {
  const { pool, customer } = servers
  const receiver = await startReceiver({ '/hook': [500, 200] })
  const { status, body } = await submit(servers, customer.key, {
    input: { ...seed.input, prompt: 'A lake. [sandbox:pending 1]', duration: '3' },
    webhookUrl: `${receiver.url}/hook`,
  })
  assert.equal(status, 200, JSON.stringify(body))
  const job = await ended(servers, body.jobId, customer.key)
  assert.equal(job.status, 'completed', JSON.stringify(job))
  isSoon(job.createdAt, 0)
  isSoon(job.completedAt, 0)
  const { rows } = await pool.query<{ left_ms: number }>(
    'select extract(epoch from deadline_at - now())::float8 * 1000 as left_ms from jobs where id = $1',
    [body.jobId],
  )
  assert.ok(rows[0]!.left_ms > 0 && rows[0]!.left_ms < 24 * hourMs)
  await until(() => receiver.received.length === 2)
  for (const { headers, body: sent } of receiver.received) {
    // its library believes a time within five minutes of its own only
    new Webhook(customer.webhookSecret).verify(sent, headers as Record<string, string>)
  }
  const film = await fetch(job.output)
  assert.equal(film.status, 200)
  await film.arrayBuffer()
}

/** A live job whose upstream fails at first: what is young is tried again. */
async function bearsAHiccup(servers: Servers): Promise<void> {
  const { pool, call, submits } = servers
  const live = await makeCustomer(pool, { mode: 'live' })
  const { body } = await call('POST', '/v1/jobs/submit', live.key, {
    model: 'kling/kling-text2video-v26/text-to-video',
    input: { prompt: 'A lake.', duration: '5' },
  })
  const job = await ended(servers, body.jobId, live.key)
  assert.equal(job.status, 'completed', JSON.stringify(job.error ?? body))
  assert.equal(submits.made, 2)
  assert.deepEqual(await transfersOf(pool, body.jobId), { charges: 1, refunds: 0 })
  assert.deepEqual(await ledgerProblems(pool), [])
}

/** Keys, and sessions of them, end by the database's clock. */
async function endsKeysAndSessions(servers: Servers): Promise<void> {
  const { pool, call, customer } = servers
  const keyUntil = (expiresAt: Date) => createKey(pool, { userId: customer.userId, mode: 'test', expiresAt })
  const over = await keyUntil(fromNow(-minuteMs))
  const refused = await call('GET', '/v1/models', over.key)
  assert.equal(refused.body.error.code, 'API_KEY_EXPIRED')
  const good = await keyUntil(fromNow(minuteMs))
  assert.equal((await call('GET', '/v1/models', good.key)).status, 200)

  const { body: session } = await call('POST', '/v1/sessions', customer.key, { expiresInSeconds: 600 })
  isSoon(session.expiresAt, 10 * minuteMs)
  assert.equal((await call('GET', '/v1/models', session.token)).status, 200)
  await pool.query("update sessions set expires_at = now() - interval '1 minute' where id = $1", [
    session.sessionId,
  ])
  assert.equal((await call('GET', '/v1/models', session.token)).body.error.code, 'INVALID_SESSION')
}

/** A quote holds for its 15 minutes; a repeated Idempotency-Key is the same request for 24 hours. */
async function keepsQuotesAndIdempotencyKeys(servers: Servers): Promise<void> {
  const { pool, call, customer, dataDir } = servers
  const { body: estimate } = await call('POST', '/v1/jobs/estimate', customer.key, waiting)
  isSoon(estimate.quoteExpiresAt, 15 * minuteMs)
  const headers = { 'idempotency-key': 'clocks' }
  const first = await submit(servers, customer.key, { quoteId: estimate.quoteId }, headers)
  assert.equal(first.status, 200, JSON.stringify(first.body))

  const { rows } = await pool.query<{ input: object; model_version: string; cost: bigint }>(
    'select input, model_version, cost_micro_cents as cost from jobs where id = $1',
    [first.body.jobId],
  )
  const subject = {
    accountId: customer.accountId,
    modelSlug: textToVideo,
    modelVersion: rows[0]!.model_version,
    inputHash: hashJson(rows[0]!.input),
    costMicroCents: rows[0]!.cost,
  }
  const secret = await loadSigningSecret(pool, dataDir)
  for (const [leftMs, code] of [
    [minuteMs, undefined],
    [-minuteMs, 'QUOTE_EXPIRED'],
  ] as const) {
    const quoteId = issueQuote({ ...subject, expiresAt: fromNow(leftMs) }, secret)
    assert.equal((await submit(servers, customer.key, { quoteId })).body.error?.code, code)
  }

  const repeat = async (hours: number) => {
    await pool.query('update idempotency_keys set created_at = $1', [fromNow(-hours * hourMs)])
    return (await submit(servers, customer.key, { quoteId: estimate.quoteId }, headers)).body.jobId
  }
  assert.equal(await repeat(23.9), first.body.jobId)
  assert.notEqual(await repeat(24.1), first.body.jobId)
}

/** Links to put and to get a file are good for as long as they say. */
async function signsLinks(servers: Servers): Promise<void> {
  const { pool, api, call, customer, dataDir } = servers
  const asked = { filename: 'cat.png', contentType: 'image/png' }
  const { body } = await call('POST', '/v1/uploads/presign', customer.key, asked)
  const { uploadUrl, fileUrl, fileId, expiresAt } = body.data
  isSoon(expiresAt, hourMs)
  const put = (url: string) =>
    fetch(url, { method: 'PUT', headers: { 'content-type': 'image/png' }, body: new Uint8Array(picture) })
  assert.equal((await put(uploadUrl)).status, 200)
  assert.equal((await fetch(fileUrl)).status, 200)
  const { body: upload } = await call('GET', `/v1/uploads/${fileId}`, customer.key)
  assert.equal(upload.data.status, 'pending')

  const secret = await loadSigningSecret(pool, dataDir)
  const links = createLinks({ publicUrl: api.url, secret, clock: { now: () => new Date() } })
  const path = new URL(fileUrl).pathname
  for (const [leftMs, isGood] of [
    [minuteMs, true],
    [-minuteMs, false],
  ] as const) {
    const statuses = [
      (await fetch(links.signUrl(path, fromNow(leftMs)))).status,
      (await put(links.signUrl(`/v1/uploads/${fileId}`, fromNow(leftMs), 'PUT'))).status,
    ]
    assert.deepEqual(
      statuses.map((status) => status === 200),
      [isGood, isGood],
    )
  }
}

/** A window of a rate limit lasts a minute, whatever the clock of who counts. */
async function countsInWindows(servers: Servers): Promise<void> {
  const { pool, customer } = servers
  const { key } = await createKey(pool, { userId: customer.userId, mode: 'test', requestsPerMinute: 2 })
  const statuses = async (count: number) => {
    const found: number[] = []
    for (let made = 0; made < count; made++) found.push((await submit(servers, key)).status)
    return found
  }
  assert.deepEqual(await statuses(3), [200, 200, 429])
  const refused = await submit(servers, key)
  const retryAfter = Number(refused.headers.get('retry-after'))
  assert.ok(retryAfter >= 1 && retryAfter <= 60, String(retryAfter))
  await pool.query('update rate_limits set expire = $1', [Date.now() - 1])
  assert.deepEqual(await statuses(1), [200])
}

/** The sweep of a running worker: a file past its time goes, one of a job that has just ended stays. */
async function sweepsByAge({ pool, customer, dataDir }: Servers): Promise<void> {
  const storage = await createLocalStorage({ directory: join(dataDir, 'files') })
  await pool.query('update users set retention_days = 1 where id = $1', [customer.userId])
  const old = await addCompletedJob(pool, storage, customer, fromNow(-25 * hourMs))
  const young = await addCompletedJob(pool, storage, customer, fromNow(-3 * minuteMs))
  const isThere = async ({ keys }: typeof old) => (await storage.stat(keys[0])) !== undefined
  await until(async () => !(await isThere(old)))
  assert.equal(await isThere(young), true)
}

/** Starts the two processes, has them decide all that rests on time, and stops them. */
export async function decideAlike(apart: Apart, options: { isLong?: boolean } = {}): Promise<void> {
  const servers = await startApart(apart)
  try {
    await saysThatItsClockIsOff(servers, apart)
    const decisions = [
      makesAJobAndTellsIt,
      bearsAHiccup,
      endsKeysAndSessions,
      keepsQuotesAndIdempotencyKeys,
      signsLinks,
      countsInWindows,
    ]
    await Promise.all(decisions.map((decide) => decide(servers)))
    // it writes jobs that nobody was charged for
    if (options.isLong) await sweepsByAge(servers)
  } finally {
    await Promise.all([servers.api.stop(), servers.worker.stop()])
  }
}
