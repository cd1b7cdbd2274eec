import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { addSentJob } from '../../test/sent-job-fixture.ts'
import { acceptAttempt } from './attempts.ts'
import { readUpstreams } from './operator-upstreams.ts'

const { pool } = await cloneDatabase()
const customer = await makeCustomer(pool, { mode: 'live' })

/** A job for 350,000 that the upstream has taken, for this price by its list. */
async function taken(upstream: string, listed: number | null) {
  const job = await addSentJob(pool, customer, { upstream, model: 'their/model' })
  await acceptAttempt(pool, { ...job, at: new Date() }, 'operation', 3_600_000)
  await pool.query('update jobs set cost_micro_cents = 350000 where id = $1', [job.jobId])
  await pool.query('update attempts set listed_cost_micro_cents = $2 where id = $1', [job.attemptId, listed])
  return job
}

async function complete({ jobId, attemptId }: { jobId: string; attemptId: string }): Promise<void> {
  await pool.query("update jobs set status = 'completed', completed_at = now() where id = $1", [jobId])
  await pool.query('update attempts set finished_at = now() where id = $1', [attemptId])
}

async function today(upstream: string) {
  const [standing] = await readUpstreams(pool, [upstream])
  const { costMicroCents, ofUnknownCost, chargedMicroCents, marginMicroCents } = standing!.today
  return [costMicroCents, ofUnknownCost, chargedMicroCents, marginMicroCents]
}

test('what a job that is being made costs is spent, and no loss', async () => {
  await taken('first', 300_000)
  assert.deepEqual(await today('first'), [300_000, 0, 0, 0])
  await complete(await taken('first', 300_000))
  assert.deepEqual(await today('first'), [600_000, 0, 350_000, 50_000])
})

test('a job of which nobody knows what it cost is no gain', async () => {
  await complete(await taken('second', null))
  assert.deepEqual(await today('second'), [0, 1, 350_000, 0])
})

test('what an upstream has billed for a job that failed is a loss', async () => {
  const { jobId, attemptId } = await taken('third', 300_000)
  await pool.query(
    "update jobs set status = 'failed', completed_at = now(), error_code = 'GENERATION_FAILED', error_message = '' where id = $1",
    [jobId],
  )
  assert.deepEqual(await today('third'), [0, 0, 0, 0])
  await pool.query('update attempts set billed_micro_cents = 20000 where id = $1', [attemptId])
  assert.deepEqual(await today('third'), [20_000, 0, 0, -20_000])
})
