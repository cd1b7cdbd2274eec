import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { systemClock } from '../src/clock.ts'
import { createLinks } from '../src/links.ts'
import type { CallbackVerdict, Provider } from '../src/providers/provider.ts'
import { loadSigningSecret } from '../src/signing-secret.ts'
import { cloneDatabase, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { addSentJob } from './sent-job-fixture.ts'
import { until } from './until.ts'
import { listen } from './webhook-fixture.ts'

const picture = createCanvas(64, 64).toBuffer('image/png')
const films = await listen((_request, response) => response.end(picture))

/** What is to be said of a callback, and what was: its headers and its bytes as they came. */
let verdict: CallbackVerdict = { verdict: 'unsigned' }
const read: { header: unknown; body: Buffer }[] = []

/** Loses the answer to every submit, and can't be asked whether it has the job. */
const deaf: Provider = {
  name: 'deaf',
  pollBatch: 1,
  pollDelayMs: () => 50,
  timeLimitMs: () => 3_600_000,
  submit: async () => ({ outcome: 'unknown', cause: new Error('reset') }),
  poll: async (operations) =>
    operations.map((operation) => {
      assert.equal(operation, 'op')
      return { status: 'succeeded', outputs: [{ type: 'image', source: { url: `${films}/x.png` } }] }
    }),
  async readCallback({ headers, body }) {
    read.push({ header: headers['x-signature'], body })
    return verdict
  },
}

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, allowPrivateNetwork: true, upstreams: [deaf] })
const customer = await makeCustomer(pool)
const payer = await makeCustomer(pool, { mode: 'live' })
const links = createLinks({
  publicUrl: gateway.url,
  secret: await loadSigningSecret(pool, gateway.dataDir),
  clock: systemClock,
})

async function submit(magic: string, { key } = customer): Promise<string> {
  const { input } = seedBody(textToVideo)
  const body = { model: textToVideo, input: { ...input, duration: '3', prompt: `a lake ${magic}` } }
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body.jobId
}

const callBack = (jobId: string, body: unknown = { status: 'done' }) =>
  gateway.call('POST', links.callbackUrl('sandbox', jobId), { body })
const received = async (jobId: string, body?: unknown) => {
  const answer = await callBack(jobId, body)
  assert.deepEqual([answer.status, answer.body], [200, { received: true }])
}
const statusOf = async (jobId: string) =>
  (await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })).body.status
const tasksOf = async (jobId: string) => {
  const { rows } = await pool.query(
    "select t.identifier, j.payload, j.run_at from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id where payload ->> 'jobId' = $1",
    [jobId],
  )
  return rows
}

/** Puts a job's poll off by an hour, between two polls: none is under way that would plan the next one. */
const putOff = (jobId: string) =>
  until(async () => {
    const { rowCount } = await pool.query(
      "update polls set due_at = now() + interval '1 hour' where job_id = $1 and due_at < now() + interval '5 s'",
      [jobId],
    )
    return rowCount === 1
  })

test('a callback has a job asked about at once that would have waited for an hour, and ends it once', async () => {
  const jobId = await submit('[sandbox:processing 1]')
  await putOff(jobId)
  await received(jobId)
  assert.equal((await gateway.ended(jobId, customer.key)).status, 'completed')
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 0 })
  // late and repeated ones find nothing to do
  await Promise.all([received(jobId), received(jobId), received(jobId)])
  assert.equal(await statusOf(jobId), 'completed')
  assert.equal((await pool.query('select from polls where job_id = $1', [jobId])).rowCount, 0)
  // the task that ended the job is there a moment longer than the job is under way
  await until(async () => (await tasksOf(jobId)).length === 0)
})

test('what a callback says is not believed: the upstream is asked, and the next poll planned', async () => {
  const jobId = await submit('[sandbox:processing 300]')
  await putOff(jobId)
  await received(jobId, { status: 'failed', jobId, output: 'https://evil.example.com/x.mp4' })
  await until(async () => {
    const { rowCount } = await pool.query(
      "select from polls where job_id = $1 and asked > 1 and due_at between now() and now() + interval '5 s'",
      [jobId],
    )
    return rowCount === 1
  })
  assert.equal(await statusOf(jobId), 'processing')
})

test('a callback for a job that has not been sent yet, or is none at all, changes nothing', async () => {
  const jobId = await submit('[sandbox:pending 60]')
  // the dispatch that put the job off is over, and only the one that waits is left
  const before = await until(async () => {
    const found = await tasksOf(jobId)
    return found.length === 1 && found[0].run_at > new Date(Date.now() + 30_000) && found
  })
  await received(jobId)
  assert.equal(await statusOf(jobId), 'pending')
  assert.deepEqual(await tasksOf(jobId), before)
  await received('job_0123456789')
  assert.deepEqual(await tasksOf('job_0123456789'), [])
})

test('a token of another job, upstream or secret is INVALID_WORKER_SECRET, an unknown upstream NOT_FOUND', async () => {
  const forge = createLinks({ publicUrl: gateway.url, secret: 'another', clock: systemClock })
  const [one, other] = ['job_1', 'job_2'].map((jobId) => links.callbackUrl('sandbox', jobId)) as [
    string,
    string,
  ]
  const ofOther = other.split('.').at(-1)
  for (const wrong of [
    one.replace(/\.[\w-]{43}$/, `.${ofOther}`),
    one.replace(/.$/, ''),
    `${one}A`,
    `${gateway.url}/callbacks/sandbox/x`,
    forge.callbackUrl('sandbox', 'job_1'),
    links.callbackUrl('acme', 'job_1').replace('/acme/', '/sandbox/'),
  ]) {
    const { status, body } = await gateway.call('POST', wrong, { body: {} })
    assert.deepEqual([status, body.error?.code], [401, 'INVALID_WORKER_SECRET'], wrong)
  }
  const unknown = await gateway.call('POST', links.callbackUrl('acme', 'job_1'), { body: {} })
  assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'NOT_FOUND'])
})

test('a callback takes a body of any type, or none, up to 1 MB', async () => {
  const target = links.callbackUrl('sandbox', 'job_1')
  for (const [body, type] of [
    ['', 'application/json'],
    ['{"broken', 'application/json'],
    ['a=b', 'application/x-www-form-urlencoded'],
    ['x'.repeat(1_048_576), 'text/plain'],
  ] as const) {
    const answer = await gateway.call('POST', target, { body, headers: { 'content-type': type } })
    assert.equal(answer.status, 200, type)
  }
  assert.equal((await gateway.call('POST', target)).status, 200)
  const large = await gateway.call('POST', target, { body: 'x'.repeat(1_048_577) })
  assert.deepEqual([large.status, large.body.error.code], [413, 'PAYLOAD_TOO_LARGE'])
})

test('a wrong token is refused before the body has come', async () => {
  const answer = await new Promise<number | undefined>((resolve, reject) => {
    const sent = request(
      `${gateway.url}/callbacks/sandbox/x`,
      { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': '60000' } },
      (response) => {
        resolve(response.statusCode)
        sent.destroy()
      },
    )
    sent.on('error', reject)
    // of the announced body not one byte is ever sent
    sent.flushHeaders()
  })
  assert.equal(answer, 401)
})

test('a job whose answer was lost is finished by the callback that proves where it is, charged once', async () => {
  const jobId = await submit('', payer)
  await until(async () => {
    const { rowCount } = await pool.query("select from attempts where job_id = $1 and status = 'unknown'", [
      jobId,
    ])
    return rowCount === 1
  })
  const target = links.callbackUrl('deaf', jobId)
  // neither JSON nor text
  const body = Buffer.from([0x7b, 0xff, 0x00, 0x0a])
  const call = (headers = {}) => gateway.call('POST', target, { body, headers })
  verdict = { verdict: 'forged', cause: 'no key fits' }
  const forged = await call()
  assert.deepEqual([forged.status, forged.body.error.code], [401, 'INVALID_WORKER_SECRET'])
  verdict = { verdict: 'unsigned' }
  assert.equal((await call()).status, 200)
  assert.equal((await gateway.call('GET', `/v1/jobs/${jobId}`, { key: payer.key })).body.status, 'processing')
  verdict = { verdict: 'genuine', operation: 'op' }
  const genuine = await call({ 'x-signature': 'theirs', 'content-type': 'application/json' })
  assert.deepEqual([genuine.status, genuine.body], [200, { received: true }])
  assert.deepEqual(read.at(-1), { header: 'theirs', body })
  assert.equal((await gateway.ended(jobId, payer.key)).status, 'completed')
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 0 })
})

test('a callback that comes while its job is being sent is asked for again', async () => {
  const { jobId } = await addSentJob(pool, payer, { upstream: 'deaf', model: 'theirs' })
  verdict = { verdict: 'genuine', operation: 'op' }
  const answer = await gateway.call('POST', links.callbackUrl('deaf', jobId), { body: {} })
  assert.deepEqual([answer.status, answer.body], [503, { received: false }])
  assert.ok(Number(answer.headers.get('retry-after')) > 0)
})
