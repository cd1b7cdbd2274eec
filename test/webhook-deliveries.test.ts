import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { pino } from 'pino'
import { createOutbound } from '../src/outbound.ts'
import { checkWebhookUrl } from '../src/webhooks/check-url.ts'
import { createDeliver } from '../src/webhooks/deliver.ts'
import { reviveWebhooks } from '../src/webhooks/deliveries.ts'
import { setWebhookSchedule, type WebhookSchedule } from '../src/webhooks/schedule.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'
import { addEndedJobs, listen, startReceiver } from './webhook-fixture.ts'

const { pool, url: databaseUrl } = await cloneDatabase()
const customer = await makeCustomer(pool)
// the tests make the attempts themselves, since nothing works off the queue
const gateway = await startGateway({ databaseUrl, role: 'api', allowPrivateNetwork: true })
const outbound = createOutbound({ allowPrivate: true })
atEnd(() => outbound.close())

const now = new Date()
const deliver = createDeliver({ pool, outbound, clock: { now: () => now } })

async function addWebhook(url: string, owner = customer) {
  const [made] = await addEndedJobs(pool, owner, url)
  return made!
}

function log(jobId: string, key = customer.key) {
  return gateway.call('GET', `/v1/jobs/${jobId}/webhook-deliveries`, { key })
}

function redeliver(jobId: string, key = customer.key) {
  return gateway.call('POST', `/v1/jobs/${jobId}/webhook-deliveries`, { key })
}

async function tasksOf(webhookId: string): Promise<{ key: string; run_at: Date; delay_seconds: number }[]> {
  const { rows } = await pool.query<{ key: string; run_at: Date; delay_seconds: number }>(
    `select key, run_at, extract(epoch from run_at - created_at)::float8 as delay_seconds
     from graphile_worker.jobs where key like $1 order by key`,
    [`%${webhookId}`],
  )
  return rows
}

/** What the queue does with the task of a key: takes it off and runs it. */
async function run(webhookId: string, isRedelivery: boolean): Promise<void> {
  await pool.query('select graphile_worker.remove_job($1)', [
    isRedelivery ? `redeliver:${webhookId}` : webhookId,
  ])
  await deliver({ webhookId, isRedelivery })
}

for (const [schedule, seconds] of [
  ['short', [1, 4, 16, 64, 256]],
  ['long', [1, 4, 16, 64, 256, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600]],
] satisfies [WebhookSchedule, number[]][]) {
  test(`on the ${schedule} schedule a webhook that is never taken is given up after ${seconds.length} retries`, async () => {
    const receiver = await startReceiver({ '/': [503] })
    const impatient = await makeCustomer(pool)
    // the long one is what users have who chose nothing
    if (schedule === 'short') await setWebhookSchedule(pool, impatient.userId, schedule)
    const { webhookId } = await addWebhook(receiver.url, impatient)
    const delays: number[] = []
    for (;;) {
      await run(webhookId, false)
      const [next] = await tasksOf(webhookId)
      if (next === undefined) break
      delays.push(next.delay_seconds)
    }
    assert.deepEqual(delays, seconds)
    const { rows } = await pool.query('select status from webhooks where id = $1', [webhookId])
    assert.equal(rows[0].status, 'failed')
    await run(webhookId, false)
    assert.equal(receiver.received.length, seconds.length + 1)
  })
}

test('the log tells every attempt, the newest first, and when the next one is made', async () => {
  const receiver = await startReceiver({ '/': [500, 200] })
  const { jobId, webhookId } = await addWebhook(receiver.url)
  await run(webhookId, false)
  const first = (await log(jobId)).body
  const [next] = await tasksOf(webhookId)
  assert.deepEqual(first, {
    deliveries: [
      {
        attempt: 1,
        webhookId,
        startedAt: now.toISOString(),
        delivered: false,
        httpStatus: 500,
        latencyMs: first.deliveries[0].latencyMs,
        error: 'The receiver answered 500.',
        response: 'answered 500',
        isRedelivery: false,
      },
    ],
    webhookStatus: 'pending',
    nextAttemptAt: next!.run_at.toISOString(),
  })
  await run(webhookId, false)
  const { deliveries, ...rest } = (await log(jobId)).body
  assert.deepEqual(rest, { webhookStatus: 'sent', nextAttemptAt: null })
  assert.deepEqual(
    deliveries.map((delivery: Record<string, unknown>) => [
      delivery.attempt,
      delivery.delivered,
      delivery.httpStatus,
      delivery.error,
      delivery.response,
    ]),
    [
      [2, true, 200, null, 'answered 200'],
      [1, false, 500, 'The receiver answered 500.', 'answered 500'],
    ],
  )
})

test('a name that is public when it is checked and private when it is delivered to is refused at connect', async () => {
  let connections = 0
  const trap = createServer(() => {
    connections += 1
  }).listen(0, '127.0.0.1')
  await once(trap, 'listening')
  atEnd(() => trap.close())
  const answers = ['93.184.216.34', '127.0.0.1']
  const strict = createOutbound({
    allowPrivate: false,
    lookup: async () => [{ address: answers.shift()!, family: 4 }],
  })
  atEnd(() => strict.close())
  const url = `https://rebind.example:${(trap.address() as AddressInfo).port}/`
  assert.equal(await checkWebhookUrl(strict, url, 'webhookUrl'), url)
  const { jobId, webhookId } = await addWebhook(url)
  await createDeliver({ pool, outbound: strict, clock: { now: () => now } })({ webhookId })
  assert.deepEqual(answers, [])
  const [delivery] = (await log(jobId)).body.deliveries
  assert.deepEqual([delivery.error, delivery.httpStatus], ['The address is not public.', null])
  assert.equal(connections, 0)
})

test('the log of a receiver that is not there tells no address and no inner error', async () => {
  const { jobId, webhookId } = await addWebhook('http://127.0.0.1:1/')
  await run(webhookId, false)
  const [delivery] = (await log(jobId)).body.deliveries
  assert.equal(delivery.error, 'The connection failed (ECONNREFUSED).')
  assert.deepEqual([delivery.httpStatus, delivery.response], [null, null])
})

test('of a long log the newest hundred attempts are shown', async () => {
  const { jobId, webhookId } = await addWebhook('http://127.0.0.1:1/')
  await pool.query(
    `insert into webhook_attempts (webhook_id, attempt, started_at, latency_ms, http_status, error, response_excerpt)
     select $1, number, now(), 1, 500, 'x', '' from generate_series(1, 130) as number`,
    [webhookId],
  )
  const { deliveries } = (await log(jobId)).body
  assert.deepEqual([deliveries.length, deliveries[0].attempt, deliveries[99].attempt], [100, 130, 31])
})

test("log and redelivery of another account's job are refused, of no job not found", async () => {
  const { jobId } = await addWebhook('http://127.0.0.1:1/')
  const stranger = await makeCustomer(pool)
  for (const call of [log, redeliver]) {
    const foreign = await call(jobId, stranger.key)
    assert.deepEqual([foreign.status, foreign.body.error.code], [403, 'UNAUTHORIZED_ACCESS'])
    const unknown = await call('job_none')
    assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'JOB_NOT_FOUND'])
  }
  assert.deepEqual(
    await pool.query('select from webhooks where redelivery_asked_at is not null').then((r) => r.rowCount),
    0,
  )
})

test('a job without a webhook, not ended or cancelled has an empty log and nothing to redeliver', async () => {
  const submit = async (webhookUrl?: string) => {
    const body = { ...seedBody(textToVideo), ...(webhookUrl && { webhookUrl }) }
    return (await gateway.call('POST', '/v1/jobs/submit', { key: customer.key, body })).body.jobId as string
  }
  const refusal = async (jobId: string) => {
    const { status, body } = await redeliver(jobId)
    assert.deepEqual([status, body.error.code], [400, 'VALIDATION_ERROR'])
    return body.error.message as string
  }
  const hooked = await submit('http://127.0.0.1:1/')
  assert.match(await refusal(hooked), /is pending and has not ended: its webhook is sent then/)
  assert.deepEqual((await log(hooked)).body, {
    deliveries: [],
    webhookStatus: 'pending',
    nextAttemptAt: null,
  })
  const bare = await submit()
  assert.match(await refusal(bare), /submitted without webhookUrl/)
  assert.deepEqual((await log(bare)).body, { deliveries: [], webhookStatus: null, nextAttemptAt: null })
  await gateway.call('POST', `/v1/jobs/${hooked}/cancel`, { key: customer.key })
  assert.match(await refusal(hooked), /was cancelled/)
})

test('a redelivery sends the same id and body, and one that fails leaves a sent webhook sent', async () => {
  const receiver = await startReceiver({ '/': [200, 500] })
  const { jobId, webhookId } = await addWebhook(receiver.url)
  await run(webhookId, false)
  const asked = await redeliver(jobId)
  assert.deepEqual([asked.status, asked.body], [200, { webhookId, status: 'pending' }])
  assert.ok(new Date((await log(jobId)).body.nextAttemptAt) <= new Date(), 'it is due at once')
  await run(webhookId, true)
  const { deliveries, ...rest } = (await log(jobId)).body
  assert.deepEqual(rest, { webhookStatus: 'sent', nextAttemptAt: null })
  assert.deepEqual(
    deliveries.map((delivery: Record<string, unknown>) => [
      delivery.attempt,
      delivery.delivered,
      delivery.isRedelivery,
    ]),
    [
      [2, false, true],
      [1, true, false],
    ],
  )
  const [first, second] = receiver.received
  assert.equal(second!.body, first!.body)
  assert.equal(second!.headers['webhook-id'], webhookId)
  assert.deepEqual(await tasksOf(webhookId), [])
})

test('a redelivery that gets through makes a failed webhook sent', async () => {
  const receiver = await startReceiver()
  const { jobId, webhookId } = await addWebhook(receiver.url)
  await pool.query("update webhooks set status = 'failed' where id = $1", [webhookId])
  await redeliver(jobId)
  await run(webhookId, true)
  assert.equal((await log(jobId)).body.webhookStatus, 'sent')
})

test('a redelivery takes nothing from the schedule of a pending webhook, and spares it what is left once it gets through', async () => {
  const receiver = await startReceiver({ '/': [500, 500, 200] })
  const { jobId, webhookId } = await addWebhook(receiver.url)
  await run(webhookId, false)
  const [planned] = await tasksOf(webhookId)
  await redeliver(jobId)
  await run(webhookId, true)
  assert.deepEqual(await tasksOf(webhookId), [planned])
  assert.equal((await log(jobId)).body.webhookStatus, 'pending')
  await redeliver(jobId)
  await run(webhookId, true)
  assert.deepEqual((await log(jobId)).body.webhookStatus, 'sent')
  await run(webhookId, false)
  assert.equal(receiver.received.length, 3)
})

test('asked for a hundred times, one redelivery waits, and none is added while it is under way', async () => {
  let held: ServerResponse | undefined
  const url = await listen((_, response) => {
    held = response
  })
  const { jobId, webhookId } = await addWebhook(url)
  const answers = await Promise.all(Array.from({ length: 100 }, () => redeliver(jobId)))
  for (const answer of answers) assert.deepEqual(answer.body, { webhookId, status: 'pending' })
  assert.deepEqual(
    (await tasksOf(webhookId)).map((task) => task.key),
    [`redeliver:${webhookId}`],
  )
  const underWay = run(webhookId, true)
  const response = await until(() => held)
  await redeliver(jobId)
  assert.deepEqual(await tasksOf(webhookId), [])
  response.end()
  await underWay
  await redeliver(jobId)
  assert.equal((await tasksOf(webhookId)).length, 1)
})

test('attempts that end together are all in the log, each with a number of its own', async () => {
  const receiver = await startReceiver({ '/': [503] })
  const { jobId, webhookId } = await addWebhook(receiver.url)
  await redeliver(jobId)
  // of another process, since one makes only two at once
  const deliverThere = createDeliver({ pool, outbound, clock: { now: () => now } })
  await Promise.all([
    deliver({ webhookId }),
    deliver({ webhookId, isRedelivery: true }),
    deliverThere({ webhookId }),
  ])
  const { deliveries } = (await log(jobId)).body
  assert.deepEqual(
    deliveries.map((delivery: { attempt: number }) => delivery.attempt),
    [3, 2, 1],
  )
  assert.equal(deliveries.filter((delivery: { isRedelivery: boolean }) => delivery.isRedelivery).length, 1)
})

test('an attempt that fails beside one that gets through leaves the webhook sent', async () => {
  const held: ServerResponse[] = []
  const url = await listen((_, response) => void held.push(response))
  const { jobId, webhookId } = await addWebhook(url)
  const failing = deliver({ webhookId })
  await until(() => held[0])
  const succeeding = deliver({ webhookId })
  await until(() => held[1])
  held[1]!.end()
  await succeeding
  held[0]!.writeHead(500).end()
  await failing
  assert.equal((await log(jobId)).body.webhookStatus, 'sent')
})

test('webhooks and redeliveries that lost their task are given one, others keep theirs', async () => {
  const lost = await addWebhook('http://127.0.0.1:1/')
  const asked = await addWebhook('http://127.0.0.1:1/')
  await pool.query("update webhooks set status = 'sent' where id = $1", [asked.webhookId])
  await redeliver(asked.jobId)
  await pool.query('select graphile_worker.remove_job($1)', [`redeliver:${asked.webhookId}`])
  const planned = await addWebhook('http://127.0.0.1:1/')
  await run(planned.webhookId, false)
  const before = await tasksOf(planned.webhookId)
  await reviveWebhooks({ pool, log: pino({ level: 'silent' }) })
  assert.deepEqual(
    (await tasksOf(lost.webhookId)).map((task) => task.key),
    [lost.webhookId],
  )
  assert.deepEqual(
    (await tasksOf(asked.webhookId)).map((task) => task.key),
    [`redeliver:${asked.webhookId}`],
  )
  assert.deepEqual(await tasksOf(planned.webhookId), before)
})
