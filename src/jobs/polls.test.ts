import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { newId } from '../ids.ts'
import { claimPolls, type DoneJob, planCollects, planPolls } from './polls.ts'

const { pool } = await cloneDatabase()
const { accountId } = await makeCustomer(pool)
const everMs = 1e12
let providers = 0

/** Jobs at an upstream of their own, due so long ago. */
async function makeJobs(count: number, dueMs: number): Promise<{ provider: string; jobIds: string[] }> {
  const provider = `upstream-${++providers}`
  const jobIds = Array.from({ length: count }, () => newId('job', new Date())).sort()
  await pool.query(
    `with made as (
       insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, provider, input, status,
         cost_micro_cents, created_at, estimated_completion_at, dispatched_at, deadline_at)
       select id, $2, 'key', 'req', 'model', 'v1', $3, '{}', 'processing', 0, now(), now(), now(), now() + interval '1 hour'
       from unnest($1::text[]) as id returning id
     ), sent as (
       insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, operation, answered_at)
       select 'att_' || id, id, 1, $3, 'model', 'here', id, 'accepted', '1', now() from made
     )
     insert into polls (job_id, provider, due_at) select id, $3, now() - $4 * interval '1 ms' from made`,
    [jobIds, accountId, provider, dueMs],
  )
  return { provider, jobIds }
}

async function claim(provider: string, lookBackMs: number): Promise<string[]> {
  const wanted = [{ provider, most: 100, batch: 10 }]
  const due = await claimPolls(pool, wanted, { processId: 'here', leaseMs: 60_000, lookBackMs })
  return due.map((job) => job.job_id).sort()
}

const doneOf = (jobId: string): DoneJob => ({
  jobId,
  attemptId: `att_${jobId}`,
  at: new Date(),
  outputs: [{ type: 'image', source: { url: `https://films.example.com/${jobId}.png` } }],
})

async function tasksOf(jobIds: string[]): Promise<string[]> {
  const { rows } = await pool.query<{ key: string }>(
    'select key from graphile_worker.jobs where key = any($1)',
    [jobIds.map((jobId) => `collect:${jobId}`)],
  )
  return rows.map(({ key }) => key).sort()
}

test('what became due before a round looks back is passed over by it, and found by one that looks at all', async () => {
  const { provider, jobIds } = await makeJobs(3, 3_600_000)
  assert.deepEqual(await claim(provider, 60_000), [])
  assert.deepEqual(await claim(provider, everMs), jobIds)
  assert.deepEqual(await claim(provider, everMs), [], 'they are taken')
})

test('of many jobs that are done each has its copy planned once, but for those that have ended', async () => {
  const { jobIds } = await makeJobs(4, 0)
  const [ended, ...alive] = jobIds
  await pool.query(
    "update jobs set status = 'failed', completed_at = now(), error_code = 'X', error_message = 'X' where id = $1",
    [ended],
  )
  await planCollects(pool, jobIds.map(doneOf))
  await planCollects(pool, jobIds.map(doneOf).reverse())
  assert.deepEqual(
    await tasksOf(jobIds),
    alive.map((jobId) => `collect:${jobId}`),
  )
  const { rows } = await pool.query(
    `select j.id, p.outputs, a.finished_at is not null as is_finished,
       (select count(*)::int from job_events e where e.job_id = j.id and kind = 'output_ready') as told
     from jobs j join polls p on p.job_id = j.id join attempts a on a.job_id = j.id where j.id = any($1) order by j.id`,
    [jobIds],
  )
  const expected = jobIds.map((id) =>
    id === ended
      ? { id, outputs: null, is_finished: false, told: 0 }
      : { id, outputs: doneOf(id).outputs, is_finished: true, told: 1 },
  )
  assert.deepEqual(rows, expected)
})

test('two processes that plan and hand over the same jobs in opposite order do not wait for each other in a ring', async () => {
  const { jobIds } = await makeJobs(300, 0)
  const next = jobIds.map((jobId) => ({ jobId, delayMs: 60_000, failures: 0, absences: 0 }))
  for (let round = 0; round < 10; round++) {
    await Promise.all([planPolls(pool, next), planPolls(pool, next.toReversed()), planPolls(pool, next)])
  }
  await Promise.all([
    planCollects(pool, jobIds.map(doneOf).reverse()),
    planPolls(pool, next),
    planCollects(pool, jobIds.map(doneOf)),
  ])
  assert.equal((await tasksOf(jobIds)).length, jobIds.length)
})
