import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { validateWebhook } from 'replicate'
import { Webhook } from 'standardwebhooks'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'
import { type Received, startReceiver } from './webhook-fixture.ts'

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, allowPrivateNetwork: true })
const customer = await makeCustomer(database.pool, { microCents: 100_000_000n })

async function submit(webhookUrl: string, prompt: string, metadata?: Record<string, string>) {
  const seed = seedBody(textToVideo)
  const body = {
    ...seed,
    input: { ...seed.input, duration: '3', prompt },
    webhookUrl,
    ...(metadata && { metadata }),
  }
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key: customer.key, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as { jobId: string; requestId: string }
}

/** Checks both signatures as receivers do: over the raw body, and over one that was parsed and written again. */
async function verify({ headers, body }: Received): Promise<void> {
  const standard = headers as Record<string, string>
  new Webhook(customer.webhookSecret).verify(body, standard)
  const isValid = await validateWebhook({
    id: standard['webhook-id']!,
    timestamp: standard['webhook-timestamp']!,
    signature: standard['webhook-signature']!,
    body,
    secret: customer.webhookSecret,
  })
  assert.ok(isValid)
  const timestamp = headers['x-pixelbyte-timestamp']
  for (const text of [body, JSON.stringify(JSON.parse(body))]) {
    const signature = createHmac('sha256', customer.webhookSecret)
      .update(`${timestamp}.${text}`)
      .digest('hex')
    assert.equal(headers['x-pixelbyte-signature'], `sha256=${signature}`)
  }
  assert.ok(Math.abs(Number(timestamp) - Date.now() / 1000) < 60)
}

test('a completed and a failed job each tell their webhook once, signed in both schemes', async () => {
  const receiver = await startReceiver({})
  const good = await submit(`${receiver.url}/good`, 'a calm lake', { order: '42' })
  const bad = await submit(`${receiver.url}/bad`, 'a lake [sandbox:fail CONTENT_POLICY_VIOLATION]')
  await gateway.ended(good.jobId, customer.key)
  await gateway.ended(bad.jobId, customer.key)
  const [completed, failed] = await Promise.all(
    ['/good', '/bad'].map((path) => until(() => receiver.received.find((entry) => entry.path === path))),
  )
  for (const entry of [completed!, failed!]) await verify(entry)

  const success = JSON.parse(completed!.body)
  assert.deepEqual(Object.keys(success), [
    'jobId',
    'requestId',
    'status',
    'output',
    'completedAt',
    'metadata',
  ])
  assert.equal(success.jobId, good.jobId)
  assert.equal(success.requestId, good.requestId)
  assert.equal(success.status, 'completed')
  assert.equal((await fetch(success.output.videoUrl)).status, 200)
  assert.equal(success.output.outputs[0].type, 'video')
  assert.deepEqual(success.output.metadata, { width: 1280, height: 720, format: 'mp4', durationSeconds: 3 })
  assert.deepEqual(success.metadata, { order: '42' })

  const failure = JSON.parse(failed!.body)
  assert.deepEqual(Object.keys(failure), ['jobId', 'requestId', 'status', 'error', 'completedAt'])
  assert.equal(failure.error.code, 'CONTENT_POLICY_VIOLATION')
  assert.match(failure.error.message, /refunded/)

  const status = async (jobId: string) =>
    (await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })).body.webhookStatus
  await until(async () => (await status(good.jobId)) === 'sent' && (await status(bad.jobId)) === 'sent')
  assert.equal(receiver.received.length, 2)
})

test('a failed delivery is tried again with the same id and body and a fresh signature; a redirect counts as failed', async () => {
  const receiver = await startReceiver({ '/flaky': [500, 302, 204] })
  const { jobId } = await submit(`${receiver.url}/flaky`, 'a lake [sandbox:fail GENERATION_FAILED]')
  await gateway.ended(jobId, customer.key)
  const attempts = await until(() => receiver.received.length === 3 && receiver.received)
  assert.deepEqual(
    attempts.map((entry) => entry.path),
    ['/flaky', '/flaky', '/flaky'],
  )
  for (const entry of attempts) await verify(entry)
  assert.equal(new Set(attempts.map((entry) => entry.headers['webhook-id'])).size, 1)
  assert.equal(new Set(attempts.map((entry) => entry.body)).size, 1)
  assert.equal(new Set(attempts.map((entry) => entry.headers['webhook-timestamp'])).size, 3)
  const { rows } = await until(async () => {
    const found = await database.pool.query(
      `select t.attempt, t.http_status, t.response_excerpt, w.status from webhook_attempts t
       join webhooks w on w.id = t.webhook_id where w.job_id = $1 order by t.attempt`,
      [jobId],
    )
    return found.rows.length === 3 && found
  })
  assert.deepEqual(
    rows.map((row) => row.http_status),
    [500, 302, 204],
  )
  assert.equal(rows[0].response_excerpt, 'answered 500')
  assert.equal(rows[0].status, 'sent')
})
