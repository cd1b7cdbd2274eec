import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { startGateway } from '../../test/gateway.ts'
import { addJob, takeUp } from '../../test/timeline-fixture.ts'
import { addTask } from '../queue/tasks.ts'
import { bearSetBack } from './set-back.ts'

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, role: 'api' })
const customer = await makeCustomer(pool)
const log = pino({ level: 'silent' })

/** How long each thing waits from now, in seconds. */
async function waits(jobId: string): Promise<Record<string, number>> {
  const { rows } = await pool.query(
    `select extract(epoch from (select due_at from polls where job_id = $1) - now())::int as poll,
       extract(epoch from (select open_until from upstreams where name = 'kling') - now())::int as circuit,
       extract(epoch from (select retry_at from upstream_closures) - now())::int as suspension,
       extract(epoch from (select beat_at from processes where id = 'dead') - now())::int as beat,
       extract(epoch from (select run_at from graphile_worker.jobs where key = 'collect:' || $1) - now())::int as task,
       extract(epoch from (select deadline_at from jobs where id = $1) - now())::int as deadline`,
    [jobId],
  )
  return rows[0]
}

test('where the database clock was set back by an hour nothing waits an hour longer, and no job ends sooner', async () => {
  const jobId = await addJob(gateway, pool, customer)
  await takeUp(pool, jobId)
  await pool.query("update jobs set deadline_at = now() + interval '10 minutes' where id = $1", [jobId])
  await pool.query(
    "insert into polls (job_id, provider, due_at) values ($1, 'kling', now() + interval '1 hour 10 s')",
    [jobId],
  )
  await pool.query(
    "insert into upstreams (name, failures, open_until) values ('kling', 5, now() + interval '1 hour 20 s')",
  )
  await pool.query(
    `insert into upstream_closures (upstream, model, reason, cause, retry_at)
     values ('kling', '', 'key', '401', now() + interval '1 hour 1 minute')`,
  )
  await pool.query(
    "insert into processes (id, worker_ids, beat_at) values ('dead', '{}', now() + interval '1 hour -20 s')",
  )
  await addTask(pool, 'collect', { jobId }, { key: `collect:${jobId}`, delayMs: 3_605_000 })
  const before = await waits(jobId)
  // a clock that goes on, and a second process that looks a moment later
  assert.equal(await bearSetBack({ pool, log }), 0)
  await pool.query("update clock_seen set at = now() + interval '20 s'")
  assert.equal(await bearSetBack({ pool, log }), 0)
  assert.deepEqual(await waits(jobId), before)
  await pool.query("update clock_seen set at = now() + interval '1 hour'")
  const found = await Promise.all([1, 2, 3].map(() => bearSetBack({ pool, log })))
  assert.deepEqual(found.filter((ms) => ms > 0).length, 1)
  const after = await waits(jobId)
  const expected = { poll: 10, circuit: 20, suspension: 60, beat: -20, task: 5, deadline: 600 }
  for (const [name, seconds] of Object.entries(expected)) {
    assert.ok(Math.abs(after[name]! - seconds) <= 3, `${name}: ${after[name]} s, not ${seconds}`)
  }
})
