import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEventSource, type EventSourceMessage } from 'eventsource-client'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { until } from './until.ts'

const { pool, url: databaseUrl } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl })
const { key } = await makeCustomer(pool, { microCents: 1_000_000_000n })
const model = 'google/nano-banana/text-to-image'

test('a job of the sandbox is watched from its submit to its picture', async () => {
  const body = { model, input: { prompt: 'A lighthouse' }, metadata: { scene: '7' } }
  const { body: submitted } = await gateway.call('POST', '/v1/jobs/submit', { key, body })
  const seen: EventSourceMessage[] = []
  const client = createEventSource({
    url: `${gateway.url}/v1/jobs/${submitted.jobId}/events`,
    headers: { authorization: `Bearer ${key}` },
    onMessage: (message) => seen.push(message),
  })
  await until(() => client.readyState === 'closed')
  const names = seen.map(({ event }) => event)
  const way = ['submitted', 'processing', 'sent', 'accepted', 'output_ready', 'completed']
  assert.deepEqual(names, way)
  const last = JSON.parse(seen.at(-1)!.data)
  assert.deepEqual([last.status, last.progress, last.metadata], ['completed', 100, { scene: '7' }])
  const { body: job } = await gateway.call('GET', `/v1/jobs/${submitted.jobId}`, { key })
  assert.equal(last.at, job.completedAt)
})

test('a submit that waits is answered with the picture', async () => {
  const body = { model, input: { prompt: 'A lighthouse in snow' } }
  const headers = { prefer: 'wait=60' }
  const { status, body: job } = await gateway.call('POST', '/v1/jobs/submit', { key, body, headers })
  assert.deepEqual([status, job.status], [200, 'completed'])
  const picture = await fetch(job.output)
  assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/jpeg'])
  assert.ok((await picture.arrayBuffer()).byteLength > 1_000)
})

test('a submit that waits is answered with the reason of a failure', async () => {
  const body = { model, input: { prompt: '[sandbox:fail CONTENT_POLICY_VIOLATION]' } }
  const headers = { prefer: 'wait=60' }
  const { body: job } = await gateway.call('POST', '/v1/jobs/submit', { key, body, headers })
  assert.deepEqual([job.status, job.error.code], ['failed', 'CONTENT_POLICY_VIOLATION'])
  assert.equal(job.refundedMicroCents, job.costMicroCents)
})
