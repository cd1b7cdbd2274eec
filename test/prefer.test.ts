import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readPreferences } from '../src/http/prefer.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { type Answer, startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { complete, fail, takeUp } from './timeline-fixture.ts'
import { until } from './until.ts'

const { pool, url: databaseUrl } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl, role: 'api' })

const rich = () => makeCustomer(pool, { microCents: 1_000_000_000n })
const submit = (key: string, headers: Record<string, string>, server = gateway): Promise<Answer> =>
  server.call('POST', '/v1/jobs/submit', { key, body: seedBody(textToVideo), headers })
const plainFields = ['jobId', 'requestId', 'status', 'estimatedCompletionTime', 'costMicroCents']

/** The customer's only job, once it is there. */
async function jobOf({ accountId }: { accountId: bigint }): Promise<string> {
  return until(async () => {
    const { rows } = await pool.query<{ id: string }>('select id from jobs where account_id = $1', [
      accountId,
    ])
    return rows[0]?.id
  })
}

test('preferences are read as RFC 7240 says, and what is malformed is ignored', () => {
  const read: [string | string[] | undefined, object][] = [
    [undefined, {}],
    ['', {}],
    ['wait=60', { waitSeconds: 60 }],
    ['WAIT = 5', { waitSeconds: 5 }],
    ['wait="7"', { waitSeconds: 7 }],
    ['wait=0', { waitSeconds: 0 }],
    ['wait=3600', { waitSeconds: 60 }],
    ['wait=99999999999999999999999', { waitSeconds: 60 }],
    ['wait=10; foo="a,b"; bar', { waitSeconds: 10 }],
    ['return=minimal, handling=lenient;x="wait=3", wait=4', { waitSeconds: 4 }],
    ['respond-async, wait=8', { waitSeconds: 8, respondAsync: true }],
    ['Respond-Async', { respondAsync: true }],
    [['return=minimal', 'wait=9'], { waitSeconds: 9 }],
    ['wait=5, wait=6', { waitSeconds: 5 }],
    ['wait=x, wait=6', {}],
    ...[
      'wait',
      'wait=',
      'wait=-1',
      'wait=1.5',
      'wait=1 2',
      'wait=1e1',
      'wait="5',
      'awaits=5',
      'x="wait=5',
    ].map((text): [string, object] => [text, {}]),
  ]
  for (const [header, expected] of read) assert.deepEqual(readPreferences(header), expected, String(header))
})

test('a header of nothing but spaces costs no more than its length', { timeout: 60_000 }, () => {
  const spaces = ' '.repeat(500_000)
  for (const text of [`a${spaces}b`, `a=${spaces}"b`, `a${spaces}=${spaces}"`, '"'.repeat(500_000)])
    assert.deepEqual(readPreferences(text), {})
})

test('a job that completes while its submit waits is answered with all that get shows', async () => {
  const customer = await rich()
  const waiting = submit(customer.key, { prefer: 'wait=60' })
  const jobId = await jobOf(customer)
  await takeUp(pool, jobId)
  await complete(pool, jobId)
  const { status, body, headers } = await waiting
  assert.deepEqual([status, headers.get('preference-applied')], [200, 'wait=60'])
  const { body: shown } = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })
  const { requestId, estimatedCompletionTime, output, outputs, ...rest } = body
  assert.equal(shown.status, 'completed')
  assert.match(output, /\/files\/outputs\/one\.jpg/)
  assert.equal(outputs[0].url, output)
  assert.deepEqual(
    rest,
    Object.fromEntries(Object.entries(shown).filter(([name]) => !/^outputs?$/.test(name))),
  )
  assert.equal(requestId, headers.get('x-request-id'))
  assert.ok(Date.parse(estimatedCompletionTime))
})

test('a job that fails or is cancelled meanwhile is answered with its refund', async () => {
  const [failing, cancelling] = await Promise.all([rich(), rich()])
  const waiting = [failing, cancelling].map(({ key }) => submit(key, { prefer: 'respond-async, wait=60' }))
  const jobId = await jobOf(failing)
  await takeUp(pool, jobId)
  await fail(pool, jobId)
  await gateway.call('POST', `/v1/jobs/${await jobOf(cancelling)}/cancel`, { key: cancelling.key })
  const [failed, cancelled] = await Promise.all(waiting)
  assert.deepEqual([failed!.body.status, failed!.body.error.code], ['failed', 'GENERATION_FAILED'])
  assert.equal(failed!.body.refundedMicroCents, failed!.body.costMicroCents)
  assert.equal(cancelled!.body.status, 'cancelled')
  assert.equal(cancelled!.body.refundedMicroCents, cancelled!.body.costMicroCents)
})

test('where the job has not ended in time the answer is the plain one, with the status by then', async () => {
  const [pending, processing] = await Promise.all([rich(), rich()])
  const waiting = [pending, processing].map(({ key }) => submit(key, { prefer: 'wait=2' }))
  await takeUp(pool, await jobOf(processing))
  const answers = await Promise.all(waiting)
  for (const [index, { status, body, headers }] of answers.entries()) {
    assert.deepEqual([status, headers.get('preference-applied')], [200, 'wait=2'])
    assert.deepEqual(Object.keys(body), plainFields)
    assert.equal(body.status, ['pending', 'processing'][index])
  }
})

test('without the preference, or with one to respond at once, the answer does not wait', async () => {
  const { key } = await rich()
  const expected = { 'respond-async': 'respond-async', 'wait=soon': null, 'return=minimal': null }
  for (const [prefer, applied] of Object.entries(expected)) {
    const { body, headers } = await submit(key, { prefer })
    assert.deepEqual([body.status, headers.get('preference-applied')], ['pending', applied])
    assert.deepEqual(Object.keys(body), plainFields)
  }
})

test('a request that is refused is refused at once, whatever it prefers', async () => {
  const { key } = await makeCustomer(pool, { microCents: 0n })
  const { status, body, headers } = await submit(key, { prefer: 'wait=60' })
  assert.deepEqual([status, body.error.code], [402, 'INSUFFICIENT_BALANCE'])
  assert.equal(headers.get('preference-applied'), null)
})

test('a request that comes again with its Idempotency-Key waits for the same job, and finds one that has ended at once', async () => {
  const customer = await rich()
  const headers = { 'idempotency-key': 'scene-1' }
  const first = await submit(customer.key, headers)
  const waiting = submit(customer.key, { ...headers, prefer: 'wait=60' })
  await takeUp(pool, first.body.jobId)
  await complete(pool, first.body.jobId)
  for (const answer of [await waiting, await submit(customer.key, { ...headers, prefer: 'wait=60' })]) {
    assert.deepEqual([answer.body.jobId, answer.body.status], [first.body.jobId, 'completed'])
    assert.equal(answer.body.requestId, first.body.requestId)
    assert.equal(answer.headers.get('idempotent-replayed'), 'true')
  }
  // of a job that is older than timelines, too
  await pool.query('delete from job_events where job_id = $1', [first.body.jobId])
  const later = await submit(customer.key, { ...headers, prefer: 'wait=60' })
  assert.equal(later.body.status, 'completed')
})

test('who hangs up while waiting loses nothing', async () => {
  const customer = await rich()
  const abort = new AbortController()
  const headers = {
    authorization: `Bearer ${customer.key}`,
    'content-type': 'application/json',
    'idempotency-key': 'scene-2',
    prefer: 'wait=60',
  }
  const body = JSON.stringify(seedBody(textToVideo))
  const request = { method: 'POST', headers, body, signal: abort.signal }
  const waiting = fetch(`${gateway.url}/v1/jobs/submit`, request)
  const jobId = await jobOf(customer)
  abort.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  await takeUp(pool, jobId)
  await complete(pool, jobId)
  const again = await submit(customer.key, { 'idempotency-key': 'scene-2', prefer: 'wait=60' })
  assert.deepEqual([again.body.jobId, again.body.status], [jobId, 'completed'])
})

test('a hundred that wait take no connection from others; those beyond are answered without waiting', async () => {
  const customer = await rich()
  const answered: Awaited<ReturnType<typeof submit>>[] = []
  const waiting = Array.from({ length: 110 }, async () => {
    answered.push(await submit(customer.key, { prefer: 'wait=60' }))
  })
  await until(() => answered.length === 10)
  for (const { headers, body } of answered) {
    assert.deepEqual([headers.get('preference-applied'), body.status], [null, 'pending'])
  }
  const { rows: jobs } = await pool.query<{ id: string }>('select id from jobs where account_id = $1', [
    customer.accountId,
  ])
  assert.equal(jobs.length, 110)
  for (const { id } of jobs) await takeUp(pool, id)
  for (const { id } of jobs) await complete(pool, id)
  await Promise.all(waiting)
  for (const { body } of answered.slice(10)) assert.equal(body.status, 'completed')
})

test('a server that stops answers those who wait, with the status by then', { timeout: 30_000 }, async () => {
  const other = await startGateway({ databaseUrl, role: 'api' })
  const [waitingLong, customer] = await Promise.all([rich(), rich()])
  const waiting = [
    submit(waitingLong.key, { prefer: 'wait=60' }, other),
    submit(customer.key, { prefer: 'wait=60' }, other),
  ]
  await jobOf(waitingLong)
  await takeUp(pool, await jobOf(customer))
  await other.stop()
  const [pending, processing] = await Promise.all(waiting)
  assert.deepEqual([pending!.status, pending!.body.status], [200, 'pending'])
  assert.deepEqual([processing!.status, processing!.body.status], [200, 'processing'])
})
