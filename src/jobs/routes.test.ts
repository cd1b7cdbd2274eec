import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { addSentJob } from '../../test/sent-job-fixture.ts'
import { acceptAttempt } from './attempts.ts'
import { readRecords } from './routes.ts'

const { pool } = await cloneDatabase()
const customer = await makeCustomer(pool, { mode: 'live' })
const route = { upstream: 'first', model: 'their/model' }

async function sent(status: 'processing' | 'failed'): Promise<void> {
  const at = new Date()
  const job = await addSentJob(pool, customer, route)
  await acceptAttempt(pool, { ...job, at }, 'operation', 3_600_000)
  if (status === 'processing') return
  await pool.query(
    "update jobs set status = 'failed', completed_at = now(), error_code = 'GENERATION_FAILED', error_message = '' where id = $1",
    [job.jobId],
  )
}

test('however many jobs are being made, how those before them ended counts', async () => {
  for (let failed = 0; failed < 3; failed++) await sent('failed')
  for (let made = 0; made < 50; made++) await sent('processing')
  const [record] = await readRecords(pool, [{ provider: 'first', modelSlug: 'a/b/c' }])
  assert.deepEqual(record, { succeeded: 0, failed: 3 })
})
