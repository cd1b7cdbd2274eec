import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { startGateway } from '../../test/gateway.ts'
import { addJob, takeUp } from '../../test/timeline-fixture.ts'
import { addEndedJobs } from '../../test/webhook-fixture.ts'
import { loadCatalogue } from '../catalogue/load.ts'
import { addTask } from '../queue/tasks.ts'
import { addDelivery } from '../webhooks/deliver.ts'
import { noteTrouble } from './life.ts'
import { findStuckJobs } from './stuck.ts'

const { pool, url } = await cloneDatabase()
// no worker: the tests make what a worker would leave behind
const gateway = await startGateway({
  databaseUrl: url,
  role: 'api',
  settings: { upstreams: { kling: { apiKey: 'a-key' }, fal: { apiKey: 'a-key' } }, whenSuspended: 'hold' },
})
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
const catalogue = loadCatalogue()
const beat = () =>
  pool.query(
    `insert into processes (id, worker_ids, beat_at) values ('worker', '{}', now())
     on conflict (id) do update set beat_at = now()`,
  )

const routeModel = async (jobId: string) => {
  const { rows } = await pool.query<{ model_slug: string }>('select model_slug from jobs where id = $1', [
    jobId,
  ])
  const { routes } = catalogue.models.get(rows[0]!.model_slug)!.versions.at(-1)!
  return routes.find(({ upstream }) => upstream === 'kling')!.model
}

/** A live job that was taken up, with an attempt of this status at Kling. */
async function withAttempt(
  status: string,
  more: { cause?: string; processId?: string } = {},
): Promise<string> {
  const jobId = await addJob(gateway, pool, customer)
  await takeUp(pool, jobId)
  await pool.query(
    "update jobs set deadline_at = now() + interval '1 hour', provider = 'kling' where id = $1",
    [jobId],
  )
  await pool.query(
    `insert into attempts (id, job_id, number, provider, model_slug, route, process_id, idempotency_key, status, cause,
       operation, answered_at)
     values ('att_' || $1, $1, 1, 'kling', 'x', jsonb_build_object('upstream', 'kling', 'model', $5::text), $4, $1,
       $2::attempt_status, $3, case when $2 = 'accepted' then '1'::jsonb end, case when $2 <> 'sending' then now() end)`,
    [jobId, status, more.cause ?? null, more.processId ?? 'worker', await routeModel(jobId)],
  )
  if (status === 'accepted') {
    await pool.query(
      "insert into polls (job_id, provider, due_at) values ($1, 'kling', now() + interval '1 minute')",
      [jobId],
    )
  }
  return jobId
}

async function causeOf(jobId: string): Promise<string | undefined> {
  await beat()
  const stuck = await findStuckJobs(pool, catalogue, { limit: 1_000 })
  const found = stuck.find((job) => job.jobId === jobId)
  assert.ok(found === undefined || found.remedy.length > 5)
  return found?.cause
}

const change = (table: string, set: string, jobId: string) =>
  pool.query(`update ${table} set ${set} where ${table === 'jobs' ? 'id' : 'job_id'} = $1`, [jobId])

test('a job that is new, or is being sent or made, is not stuck', async () => {
  for (const make of [
    () => addJob(gateway, pool, customer),
    () => withAttempt('accepted'),
    () => withAttempt('sending'),
  ]) {
    assert.equal(await causeOf(await make()), undefined)
  }
})

test('a job whose upstreams are all suspended is stuck at once, with what each has said', async () => {
  const pending = await addJob(gateway, pool, customer)
  const refused = await withAttempt('refused', { cause: 'Kling answered 401' })
  await pool.query(
    `insert into upstream_closures (upstream, model, reason, cause, retry_at)
     values ('kling', '', 'key', 'Kling answered 401', now() + interval '1 hour'),
       ('fal', '', 'credit', 'fal answered 402', now() + interval '1 hour')`,
  )
  for (const jobId of [pending, refused]) {
    const cause = await causeOf(jobId)
    assert.match(cause!, /kling: suspended, takes no jobs: Kling answered 401/)
    assert.match(cause!, /fal: suspended, takes no jobs: fal answered 402/)
    assert.match(cause!, /wavespeed is not set up on any running server/)
  }
  await pool.query('delete from upstream_closures')
})

test('a job whose upstreams are busy or out of order is stuck, with the last answer', async () => {
  const jobId = await withAttempt('refused', { cause: '429 slow down' })
  await pool.query(
    `insert into upstreams (name, failures, busy_until, open_until)
     values ('kling', 0, now() + interval '1 minute', null), ('fal', 5, null, now() + interval '1 minute')`,
  )
  const cause = await causeOf(jobId)
  assert.match(cause!, /kling: out of order or busy: asked again in \d+ s \(429 slow down\)/)
  assert.match(cause!, /fal: out of order or busy: asked again in \d+ s;/)
  const accepted = await withAttempt('accepted')
  await change('attempts', "provider = 'fal'", accepted)
  await change('polls', "provider = 'fal'", accepted)
  await change('jobs', "provider = 'fal'", accepted)
  assert.match((await causeOf(accepted))!, /fal has it, and has failed to answer 5 times in a row/)
  await pool.query('delete from upstreams')
  assert.match((await causeOf(jobId))!, /kling did not take it: 429 slow down/)
})

/** What is left behind of a job, and the cause that an operator reads. */
const states: [name: string, make: () => Promise<string>, cause: RegExp][] = [
  [
    'of unknown outcome',
    () => withAttempt('unknown', { cause: 'reset' }),
    /nobody knows whether kling has it.*reset/,
  ],
  [
    'whose sender has died',
    () => withAttempt('sending', { processId: 'dead' }),
    /the process that was sending it to kling is gone/,
  ],
  [
    'whose upstream no server has any more',
    async () => {
      const jobId = await withAttempt('accepted')
      await change('jobs', "provider = 'wavespeed'", jobId)
      await change('polls', "provider = 'wavespeed'", jobId)
      return jobId
    },
    /wavespeed has it, but no running server has wavespeed set up/,
  ],
  [
    'whose upstream gives no answer',
    async () => {
      const jobId = await withAttempt('accepted')
      await change('polls', 'failures = 3', jobId)
      return jobId
    },
    /kling has it, and gave no answer about it, 3 times/,
  ],
  [
    'whose result can not be copied',
    async () => {
      const jobId = await withAttempt('accepted')
      await change('polls', "outputs = '[]', output_failures = 2", jobId)
      await pool.query(
        "select graphile_worker.add_job('collect', json_build_object('jobId', $1::text), job_key => 'collect:' || $1)",
        [jobId],
      )
      return jobId
    },
    /its result could not be copied: 2 times/,
  ],
  [
    'whose result finds no room',
    async () => {
      const jobId = await withAttempt('accepted')
      await change('polls', "outputs = '[]'", jobId)
      await noteTrouble(pool, jobId, 'ENOSPC: no space left on device')
      await addTask(pool, 'collect', { jobId }, { key: `collect:${jobId}` })
      return jobId
    },
    /its result could not be copied: ENOSPC: no space left on device/,
  ],
  [
    'that our own disk keeps from being sent',
    async () => {
      const jobId = await addJob(gateway, pool, customer)
      await noteTrouble(pool, jobId, 'the disk of a is nearly full')
      return jobId
    },
    /it could not be sent: the disk of a is nearly full/,
  ],
  [
    'that our own disk keeps from being made',
    async () => {
      const jobId = await withAttempt('accepted')
      await noteTrouble(pool, jobId, 'the disk of a is nearly full')
      return jobId
    },
    /kling has it, but the disk of a is nearly full/,
  ],
  [
    'that nobody asks about',
    async () => {
      const jobId = await withAttempt('accepted')
      await change('polls', "due_at = now() - interval '5 minutes'", jobId)
      return jobId
    },
    /nobody asks kling about it/,
  ],
  [
    'that is made for much longer than usual, as by a sandbox whose renders fail again and again',
    async () => {
      const jobId = await withAttempt('accepted')
      await change('attempts', "answered_at = now() - interval '3 hours'", jobId)
      return jobId
    },
    /kling has been making it for 180 minutes/,
  ],
  [
    'whose task is lost',
    async () => {
      const jobId = await addJob(gateway, pool, customer)
      await change('jobs', "created_at = now() - interval '2 minutes'", jobId)
      await pool.query("select graphile_worker.remove_job('dispatch:' || $1)", [jobId])
      return jobId
    },
    /the task that sends it was lost/,
  ],
  [
    'whose model has left the catalogue',
    async () => {
      const jobId = await addJob(gateway, pool, customer)
      await change('jobs', "model_slug = 'gone/gone/gone'", jobId)
      return jobId
    },
    /the catalogue has no gone\/gone\/gone v1\.0 any more/,
  ],
  [
    'whose input files can not be had yet',
    async () => {
      const jobId = await addJob(gateway, pool, customer)
      await takeUp(pool, jobId)
      await change(
        'jobs',
        "dispatched_at = now() - interval '2 minutes', deadline_at = now() + interval '1 hour'",
        jobId,
      )
      return jobId
    },
    /waits for its turn to fetch input files/,
  ],
  [
    'that has been in line for long',
    async () => {
      const jobId = await addJob(gateway, pool, customer)
      await change('jobs', "created_at = now() - interval '1 hour'", jobId)
      return jobId
    },
    /it has waited in line for 60 minutes/,
  ],
  [
    'whose time is over',
    async () => {
      const jobId = await withAttempt('accepted')
      await change(
        'jobs',
        "dispatched_at = now() - interval '2 hours', deadline_at = now() - interval '1 s'",
        jobId,
      )
      return jobId
    },
    /its time is over/,
  ],
]
for (const [name, make, cause] of states) {
  test(`a job ${name} is stuck, and the cause says so`, async () => {
    assert.match((await causeOf(await make())) ?? 'not stuck', cause)
  })
}

test('a job whose webhook can not be delivered is listed behind the others, without the secrets of its address', async () => {
  const url = 'https://user:secret@hooks.example.com/secret?token=secret'
  const [tried, given, sent] = await addEndedJobs(pool, customer, url, { count: 3 })
  for (const [{ webhookId }, error, status] of [
    [tried!, 'answered 500', 'pending'],
    [given!, 'the host does not resolve', 'failed'],
    [sent!, null, 'sent'],
  ] as const) {
    await pool.query('update webhooks set status = $2 where id = $1', [webhookId, status])
    await pool.query(
      `insert into webhook_attempts (webhook_id, attempt, started_at, latency_ms, error) values ($1, 3, now(), 5, $2)`,
      [webhookId, error],
    )
    if (status === 'pending') await addDelivery(pool, webhookId, { isRedelivery: false, delayMs: 60_000 })
  }
  const failed = 'it has ended, but its webhook could not be delivered to hooks.example.com, 3 times:'
  assert.equal(await causeOf(tried!.jobId), `${failed} answered 500`)
  assert.equal(await causeOf(given!.jobId), `${failed} the host does not resolve; it was given up`)
  assert.equal(await causeOf(sent!.jobId), undefined)
  await pool.query("update jobs set completed_at = now() - interval '25 hours' where id = $1", [given!.jobId])
  assert.equal(await causeOf(given!.jobId), undefined)
  const processing = await findStuckJobs(pool, catalogue, { limit: 1_000, status: 'processing' })
  assert.ok(!processing.some(({ jobId }) => jobId === tried!.jobId))
})

test('without a worker every job that is not quite new is stuck for that', async () => {
  const jobId = await addJob(gateway, pool, customer)
  await change('jobs', "created_at = now() - interval '20 s'", jobId)
  assert.equal(await causeOf(jobId), undefined)
  await pool.query('delete from processes')
  const stuck = await findStuckJobs(pool, catalogue, { limit: 1_000 })
  assert.equal(stuck.find((job) => job.jobId === jobId)?.cause, 'no worker runs on this database')
})
