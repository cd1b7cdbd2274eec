import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Provider } from '../src/providers/provider.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

test('a process that was asleep since it began to write an attempt down does not send it', async (t) => {
  const { pool, url: databaseUrl } = await cloneDatabase()
  const now = performance.now.bind(performance)
  let sleptMs = 0
  t.mock.method(performance, 'now', () => now() + sleptMs)
  let limitsAsked = 0
  const sent: string[] = []
  const provider: Provider = {
    name: 'drowsy',
    pollBatch: 1,
    pollDelayMs: () => 50,
    timeLimitMs() {
      // asked when the job is claimed, and when its attempt is written down
      if (++limitsAsked === 2) sleptMs += 20_000
      return 600_000
    },
    async submit({ jobId }) {
      sent.push(jobId)
      return { outcome: 'accepted', operation: jobId }
    },
    poll: async () => [{ status: 'failed', code: 'GENERATION_FAILED', message: 'It is done.' }],
  }
  const gateway = await startGateway({ databaseUrl, upstreams: [provider] })
  const { key } = await makeCustomer(pool, { mode: 'live' })
  const { body } = await gateway.call('POST', '/v1/jobs/submit', { key, body: seedBody(textToVideo) })
  await gateway.ended(body.jobId, key)
  const { rows } = await pool.query('select status, cause from attempts order by number')
  assert.deepEqual(
    rows.map(({ status }) => status),
    ['refused', 'accepted'],
  )
  assert.match(rows[0].cause, /slept/)
  assert.equal(sent.length, 1)
})
