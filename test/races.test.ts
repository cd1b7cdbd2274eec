import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../src/clock.ts'
import { ApiError } from '../src/errors.ts'
import { beginAttempt } from '../src/jobs/attempts.ts'
import { cancelJob } from '../src/jobs/cancel.ts'
import { claimJob } from '../src/jobs/dispatch.ts'
import { failJob } from '../src/jobs/settle.ts'
import type { Provider } from '../src/providers/provider.ts'
import { freeTasksOfDead } from '../src/queue/heartbeat.ts'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'

const database = await cloneDatabase()
const { pool } = database
// no worker: the tests play its part
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const customer = await makeCustomer(pool, { microCents: 1_000_000_000n })

async function submit(): Promise<string> {
  const { body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: seedBody(textToVideo),
  })
  return body.jobId
}

const send = (jobId: string) =>
  beginAttempt(pool, jobId, {
    route: { upstream: 'nowhere', model: 'x' },
    listedCostMicroCents: undefined,
    processId: 'x',
    at: new Date(),
    timeLimitMs: 60_000,
    answerLimitMs: 60_000,
  })

for (const [state, claims] of [
  ['pending', false],
  ['processing', true],
] as const) {
  test(`of a cancel and an attempt at once exactly one wins, 100 times on ${state} jobs`, async () => {
    const jobIds = await Promise.all(Array.from({ length: 100 }, submit))
    const claim = (jobId: string) => claimJob({ pool, clock: systemClock }, jobId, 60_000)
    if (claims) await Promise.all(jobIds.map(claim))
    const balance = await balanceOf(pool, customer.accountId)
    let cancelled = 0
    for (const [index, jobId] of jobIds.entries()) {
      const cancel = () =>
        cancelJob({ pool, provider: () => undefined }, customer.accountId, jobId, new Date()).then(
          () => true,
          (error) => {
            assert.ok(error instanceof ApiError && error.code === 'JOB_CANNOT_BE_CANCELLED', String(error))
            return false
          },
        )
      const dispatch = async () => {
        // a cancel asks more of the database before it takes the lock: either must come first at times
        for (let asked = 0; asked < index % 6; asked++) await pool.query('select')
        if (!claims) await claim(jobId)
        return (await send(jobId)) !== undefined
      }
      // each of the two is first half of the time
      const [wasCancelled, wasSent] =
        index % 2 === 0
          ? await Promise.all([cancel(), dispatch()])
          : (await Promise.all([dispatch(), cancel()])).reverse()
      assert.notEqual(wasCancelled, wasSent)
      assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: wasCancelled ? 1 : 0 })
      if (wasCancelled) cancelled++
    }
    assert.ok(cancelled > 0 && cancelled < 100, `${cancelled} of 100 were cancelled`)
    assert.equal(await balanceOf(pool, customer.accountId), balance + BigInt(cancelled) * 420_000n)
  })
}

test('20 cancels of one job at once refund it once', async () => {
  const jobId = await submit()
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, () =>
      cancelJob({ pool, provider: () => undefined }, customer.accountId, jobId, new Date()),
    ),
  )
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
})

test('a job that fails twice at once is refunded once', async () => {
  const jobId = await submit()
  await claimJob({ pool, clock: systemClock }, jobId, 60_000)
  const failures = await Promise.all(
    Array.from({ length: 10 }, () => failJob(pool, jobId, { code: 'GENERATION_FAILED' }, new Date())),
  )
  assert.equal(failures.filter((failed) => failed).length, 1)
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
})

test('a cancel that waits for its account keeps no poll from being planned, which would be half a ring', async () => {
  const jobId = await submit()
  await claimJob({ pool, clock: systemClock }, jobId, 60_000)
  await pool.query(
    `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, operation, answered_at)
     values ('att_cancel', $1, 1, 'sandbox', 'x', 'x', $1, 'accepted', '1', now())`,
    [jobId],
  )
  await pool.query("insert into polls (job_id, provider, due_at) values ($1, 'sandbox', now())", [jobId])
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('select from accounts where id = $1 for update', [customer.accountId])
  const provider = { cancel: async () => true } as unknown as Provider
  const cancelling = cancelJob({ pool, provider: () => provider }, customer.accountId, jobId, new Date())
  await until(async () => {
    const { rowCount } = await pool.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    return rowCount === 1
  })
  const { rowCount } = await pool.query('select from polls where job_id = $1 for update skip locked', [jobId])
  await holder.query('rollback')
  holder.release()
  await cancelling
  assert.equal(rowCount, 1)
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
})

test('the tasks of a worker that stopped beating are freed, those of a living one are not', async () => {
  const ids = (await pool.query<{ id: string }>('select id from graphile_worker.jobs order by id limit 3'))
    .rows
  const lock = (id: string | undefined, worker: string, secondsAgo: number) =>
    pool.query(
      `update graphile_worker._private_jobs set locked_by = $2, locked_at = now() - $3 * interval '1 s' where id = $1`,
      [id, worker, secondsAgo],
    )
  await pool.query(
    `insert into processes (id, worker_ids, beat_at) values
       ('alive', '{worker-alive}', now()), ('dead', '{worker-dead}', now() - interval '16 s')`,
  )
  await lock(ids[0]?.id, 'worker-alive', 600)
  await lock(ids[1]?.id, 'worker-dead', 20)
  await lock(ids[2]?.id, 'worker-unknown', 1)
  assert.deepEqual(await freeTasksOfDead(pool, 15_000), ['worker-dead'])
  const { rows } = await pool.query<{ locked_by: string }>(
    'select distinct locked_by from graphile_worker.jobs where locked_by is not null order by 1',
  )
  assert.deepEqual(
    rows.map((row) => row.locked_by),
    ['worker-alive', 'worker-unknown'],
  )
  assert.deepEqual((await freeTasksOfDead(pool, 0)).sort(), ['worker-alive', 'worker-unknown'])
})

test('after all of this the ledger is in order', async () => {
  assert.deepEqual(await ledgerProblems(pool), [])
})
