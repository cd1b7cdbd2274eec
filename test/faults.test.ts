import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCanvas } from '@napi-rs/canvas'
import type pg from 'pg'
import { pino } from 'pino'
import { createAuthenticate } from '../src/accounts/authenticate.ts'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { systemClock } from '../src/clock.ts'
import { createPool, markDatabaseError } from '../src/db.ts'
import { ApiError } from '../src/errors.ts'
import { acceptJob } from '../src/jobs/accept.ts'
import { collectJob } from '../src/jobs/collect.ts'
import type { JobContext } from '../src/jobs/context.ts'
import { restMs, toRun } from '../src/jobs/cut-offs.ts'
import { claimJob, dispatchJob } from '../src/jobs/dispatch.ts'
import { estimateJob } from '../src/jobs/estimate.ts'
import { createIdempotency } from '../src/jobs/idempotency.ts'
import { createGetJob } from '../src/jobs/read.ts'
import { failJob } from '../src/jobs/settle.ts'
import { findStuckJobs } from '../src/jobs/stuck.ts'
import { createSubmit } from '../src/jobs/submit.ts'
import { reviveJobs } from '../src/jobs/sweep.ts'
import type { Submission } from '../src/jobs/write-batch.ts'
import { createMedia } from '../src/media/media.ts'
import { createOutbound } from '../src/outbound.ts'
import { createPolicySource } from '../src/policy/policy.ts'
import type { Provider } from '../src/providers/provider.ts'
import { freeTasksOfDead, startHeartbeat } from '../src/queue/heartbeat.ts'
import { startRunner } from '../src/queue/runner.ts'
import { addTask } from '../src/queue/tasks.ts'
import { atEnd } from './at-end.ts'
import {
  balanceOf,
  type Customer,
  cloneDatabase,
  ledgerProblems,
  makeCustomer,
  transfersOf,
} from './database.ts'
import { startGateway } from './gateway.ts'
import { routesTo } from './routes-fixture.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'
import { listen } from './webhook-fixture.ts'

const database = await cloneDatabase()
const { pool, submitPool } = database
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const getJob = createGetJob(pool)
const log = pino({ level: 'silent' })
const cost = 420_000n

function submission(customer: Customer, idempotency?: Submission['idempotency']): Submission {
  const now = new Date()
  return {
    jobId: `job_${crypto.randomUUID().replaceAll('-', '')}`,
    accountId: customer.accountId,
    apiKeyId: customer.keyId,
    requestId: 'req_test',
    modelSlug: textToVideo,
    modelVersion: 'v1.0',
    provider: 'sandbox',
    input: seedBody(textToVideo).input,
    metadata: undefined,
    webhookUrl: undefined,
    costMicroCents: cost,
    priceBasis: 'list',
    routes: null,
    limits: [],
    createdAt: now,
    estimatedCompletionAt: now,
    idempotency,
  }
}

const connectionReset = () =>
  markDatabaseError(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }))

/** The pool, but for the answers to the first `times` commits, which get lost on the way. */
function losingCommits(times: number, isExecuted: boolean): pg.Pool {
  let left = times
  return {
    async connect() {
      const client = await submitPool.connect()
      return {
        query: async (...asked: [string]) => {
          if (asked[0] !== 'commit' || left === 0) return client.query(...asked)
          left--
          await client.query(isExecuted ? 'commit' : 'rollback')
          throw connectionReset()
        },
        release: (error?: Error) => client.release(error),
      }
    },
  } as unknown as pg.Pool
}

test('a job of a process that was asleep is new, and its key good for a day', async () => {
  const customer = await makeCustomer(pool)
  const hashes = { requestHash: Buffer.alloc(32), completedHash: null, basis: null }
  const hoursAgo = new Date(Date.now() - 6 * 3_600_000)
  const job = { ...submission(customer, { key: 'order', ...hashes }), createdAt: hoursAgo }
  await createSubmit(submitPool, log)(job)
  const { rows } = await pool.query(
    `select now() - j.created_at < interval '15 s' as is_new, now() - k.created_at < interval '15 s' as is_key_new
     from jobs j join idempotency_keys k on k.job_id = j.id where j.id = $1`,
    [job.jobId],
  )
  assert.deepEqual(rows, [{ is_new: true, is_key_new: true }])
})

test('a submit whose commit was answered by silence is found again, and charged once', async () => {
  const customer = await makeCustomer(pool)
  const job = submission(customer)
  const accepted = await createSubmit(losingCommits(2, true), log)(job)
  assert.equal(accepted.jobId, job.jobId)
  assert.deepEqual(await transfersOf(pool, job.jobId), { charges: 1, refunds: 0 })
  assert.equal(await balanceOf(pool, customer.accountId), 10_000_000n - cost)
})

test('a submit whose commit did not happen is written by the next attempt, once', async () => {
  const customer = await makeCustomer(pool)
  const job = submission(customer)
  await createSubmit(losingCommits(1, false), log)(job)
  assert.deepEqual(await transfersOf(pool, job.jobId), { charges: 1, refunds: 0 })
})

test('a commit that is still under way is waited for, and found when it lands', async () => {
  const customer = await makeCustomer(pool)
  const job = submission(customer)
  const zombie = await submitPool.connect()
  const hasty = createPool(
    { connectionString: database.url },
    { max: 2, onError() {}, isHasty: true, isPipelined: true },
  )
  atEnd(() => hasty.end())
  let isFirst = true
  // the first transaction's connection is cut off, but lives on in the database with its lock
  const cutOff = {
    async connect() {
      if (!isFirst) return hasty.connect()
      isFirst = false
      return {
        query: async (...asked: [string]) => {
          if (asked[0] === 'commit') throw connectionReset()
          return zombie.query(...asked)
        },
        release() {},
      }
    },
    query: (...asked: [string]) => hasty.query(...asked),
  } as unknown as pg.Pool
  const submitting = createSubmit(cutOff, log)(job)
  await sleep(4_000)
  await zombie.query('commit')
  zombie.release()
  // it was waited for, and found
  assert.equal((await submitting).jobId, job.jobId)
  assert.deepEqual(await transfersOf(pool, job.jobId), { charges: 1, refunds: 0 })
})

test('a write that cannot even be sent keeps its whole transaction from being committed', async () => {
  const customer = await makeCustomer(pool)
  const job = { ...submission(customer), input: { broken: 1n } }
  await assert.rejects(createSubmit(submitPool, log)(job), { code: 'INTERNAL_ERROR' })
  const text = {
    toPostgres: () => {
      throw new Error('it has no text')
    },
  }
  const strange = { ...submission(customer), requestId: text as unknown as string }
  await assert.rejects(createSubmit(submitPool, log)(strange), { code: 'INTERNAL_ERROR' })
  assert.equal(await balanceOf(pool, customer.accountId), 10_000_000n)
  assert.deepEqual(await transfersOf(pool, job.jobId), { charges: 0, refunds: 0 })
  assert.deepEqual(await transfersOf(pool, strange.jobId), { charges: 0, refunds: 0 })
})

test('without a database a submit is refused with 503, and nothing is written', async () => {
  const gone = createPool({ host: '127.0.0.1', port: 1, database: 'none' }, { max: 1, onError() {} })
  atEnd(() => gone.end())
  const customer = await makeCustomer(pool)
  await assert.rejects(createSubmit(gone, log)(submission(customer)), (error) => {
    assert.ok(error instanceof ApiError)
    assert.equal(error.code, 'PUBSUB_PUBLISH_FAILED')
    assert.match(error.message, /nothing was charged/)
    return true
  })
})

test('a row that cannot be written is refused alone: the others of its batch go through', async () => {
  const customer = await makeCustomer(pool)
  const submit = createSubmit(submitPool, log)
  const bad = { ...submission(customer), metadata: { broken: '\0' } }
  const jobs = [submission(customer), bad, submission(customer)]
  const results = await Promise.allSettled(jobs.map(submit))
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.equal(await balanceOf(pool, customer.accountId), 10_000_000n - 2n * cost)
})

test('an account whose row is held for long does not hold up the submits of others', async () => {
  const [held, free] = [await makeCustomer(pool), await makeCustomer(pool)]
  const hasty = createPool(
    { connectionString: database.url },
    { max: 4, onError() {}, isHasty: true, isPipelined: true },
  )
  atEnd(() => hasty.end())
  const submit = createSubmit(hasty, log)
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('select from accounts where id = $1 for update', [held.accountId])
  const [stuck, through] = await Promise.allSettled([submit(submission(held)), submit(submission(free))])
  await holder.query('rollback')
  holder.release()
  assert.equal(through.status, 'fulfilled')
  assert.ok(stuck.status === 'rejected' && stuck.reason.code === 'PUBSUB_PUBLISH_FAILED')
  assert.equal(await balanceOf(pool, held.accountId), 10_000_000n)
  await submit(submission(held))
})

test('a request that comes again with its key is replayed even when its quote is over', async () => {
  const customer = await makeCustomer(pool)
  const policies = createPolicySource(pool, systemClock)
  const authenticate = createAuthenticate(pool, policies, systemClock)
  const caller = await authenticate(customer.key, 'submit_job', '127.0.0.1')
  let now = new Date()
  const provider = { name: 'sandbox' } as Provider
  const outbound = createOutbound({ allowPrivate: true })
  atEnd(() => outbound.close())
  const context = {
    catalogue: loadCatalogue(),
    clock: { now: () => now },
    outbound,
    ownFile: () => undefined,
    sampleFile: () => undefined,
    submit: createSubmit(submitPool, log),
    idempotency: createIdempotency(pool),
    minMargin: undefined,
    quoteSecret: 'secret',
    expectations: { completionMs: () => 60_000 },
    candidates: routesTo(provider).candidates,
    whenSuspended: 'refuse' as const,
    probes: { take: async () => true, release: async () => {} },
  }
  const seed = seedBody(textToVideo)
  const { quote } = estimateJob(context, caller, seed)
  const request = { ...seed, quoteId: quote!.quoteId }
  const sent = { body: request, read: () => request }
  const options = { requestId: 'req_1', idempotencyKey: 'order-7' }
  const first = await acceptJob(context, caller, sent, options)
  now = new Date(now.getTime() + 16 * 60_000)
  const again = await acceptJob(context, caller, sent, { ...options, requestId: 'req_2' })
  assert.deepEqual(again, { ...first, replayed: true })
  await assert.rejects(acceptJob(context, caller, sent, { ...options, idempotencyKey: 'order-8' }), {
    code: 'QUOTE_EXPIRED',
  })
  assert.equal(await balanceOf(pool, customer.accountId), 10_000_000n - cost)
})

/** A pool as the queue has it: with pg's own types. */
function openQueuePool(): pg.Pool {
  const queuePool = createPool({ connectionString: database.url }, { max: 6, onError() {}, isForQueue: true })
  atEnd(() => queuePool.end())
  return queuePool
}

test('a task that throws is tried again, and the process goes on', async () => {
  const runs: number[] = []
  const runner = await startRunner(
    openQueuePool(),
    {
      deliver_webhook: async (_payload, { attempts }) => {
        runs.push(attempts)
        if (attempts < 2) throw new Error('a passing fault')
      },
    },
    { concurrency: 2, log },
  )
  await addTask(pool, 'deliver_webhook', { webhookId: 'msg_throws' }, { key: 'throws' })
  await until(() => runs.length === 2)
  assert.deepEqual(runs, [1, 2])
  await until(async () => {
    const { rows } = await pool.query("select from graphile_worker.jobs where key = 'throws'")
    return rows.length === 0
  })
  await runner.stop()
})

test('the heartbeat vouches for a task that runs for long, and no longer once its process has stopped', async () => {
  const release = Promise.withResolvers<void>()
  let runs = 0
  const runner = await startRunner(
    openQueuePool(),
    {
      deliver_webhook: async () => {
        runs++
        await release.promise
      },
    },
    { concurrency: 2, log },
  )
  const heartbeat = await startHeartbeat(pool, 'test-process', runner.workerIds, log)
  await addTask(pool, 'deliver_webhook', { webhookId: 'msg_long' }, { key: 'long' })
  await until(() => runs === 1)
  await pool.query(
    "update graphile_worker._private_jobs set locked_at = now() - interval '1 hour' where key = 'long'",
  )
  await heartbeat.beat()
  assert.deepEqual(await freeTasksOfDead(pool, 15_000), [])
  await sleep(500)
  assert.equal(runs, 1)
  await pool.query("update processes set beat_at = now() - interval '1 minute' where id = 'test-process'")
  assert.deepEqual(await freeTasksOfDead(pool, 15_000), runner.workerIds())
  release.resolve()
  await runner.stop()
  await heartbeat.stop()
})

test('tasks run on after the database has cut every connection of the queue', async () => {
  const done: string[] = []
  const queuePool = openQueuePool()
  const runner = await startRunner(
    queuePool,
    { deliver_webhook: async ({ webhookId }) => void done.push(webhookId) },
    { concurrency: 4, log },
  )
  // if this fails, the file ends all the same
  atEnd(() => runner.stop())
  for (let round = 0; round < 3; round++) {
    const before = done.length
    await addTask(pool, 'deliver_webhook', { webhookId: `msg_${round}` })
    await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and query ilike '%graphile_worker%'`,
    )
    // that one may have been taken by a connection that was cut before it could say so: it comes back in an hour
    await until(async () => {
      if (done.length === before) await addTask(pool, 'deliver_webhook', { webhookId: `msg_${round}` })
      return done.length > before
    })
  }
  await runner.stop()
})

test('tasks run on after the writes that take two of them off the queue have failed at once', async () => {
  const done: string[] = []
  const runner = await startRunner(
    openQueuePool(),
    {
      deliver_webhook: async ({ webhookId }) => {
        done.push(webhookId)
        // apart, or both would be taken off by one write
        if (webhookId === 'msg_refused_2') await sleep(100)
      },
    },
    { concurrency: 2, log },
  )
  atEnd(() => runner.stop())
  const [first] = runner.workerIds()
  const lock = 7_001
  const holder = await pool.connect()
  await holder.query('select pg_advisory_lock($1)', [lock])
  await pool.query(
    `create function refuse_together() returns trigger language plpgsql
       as $$ begin perform pg_advisory_xact_lock_shared(${lock}); raise 'no'; end $$;
     create trigger refuse before delete on graphile_worker._private_jobs
       for each row when (old.key like 'refused-%') execute function refuse_together()`,
  )
  const name = 'deliver_webhook'
  await addTask(pool, name, { webhookId: 'msg_refused_1' }, { key: 'refused-1' })
  await addTask(pool, name, { webhookId: 'msg_refused_2' }, { key: 'refused-2' })
  const waiting = "select from pg_locks where locktype = 'advisory' and objid = $1 and not granted"
  await until(async () => (await pool.query(waiting, [lock])).rowCount === 2)
  await holder.query('select pg_advisory_unlock($1)', [lock])
  holder.release()
  await until(() => runner.workerIds().some((id) => id !== first))
  await addTask(pool, name, { webhookId: 'msg_after' })
  await until(() => done.includes('msg_after'))
  await pool.query(
    'drop trigger refuse on graphile_worker._private_jobs; drop function refuse_together; delete from graphile_worker._private_jobs',
  )
  await runner.stop()
})

test('tasks run on after the first question of the queue has failed', async () => {
  const done: string[] = []
  await pool.query(
    `create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
     create trigger refuse before insert on graphile_worker._private_tasks execute function refuse();
     delete from graphile_worker._private_tasks where identifier = 'discard'`,
  )
  const runner = await startRunner(
    openQueuePool(),
    { discard: async ({ jobId }) => void done.push(jobId) },
    { concurrency: 2, log },
  )
  atEnd(() => runner.stop())
  await sleep(300)
  await pool.query('drop trigger refuse on graphile_worker._private_tasks; drop function refuse')
  await addTask(pool, 'discard', { jobId: 'job_after' })
  await until(() => done.length > 0)
  await runner.stop()
})

test('a runner that is stopped while it starts again ends', async () => {
  const runner = await startRunner(
    openQueuePool(),
    { deliver_webhook: async () => {} },
    { concurrency: 1, log },
  )
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and query ilike '%graphile_worker%'`,
  )
  await sleep(900)
  await runner.stop()
  assert.deepEqual(runner.workerIds(), [])
})

// what the job's verbs need of their context where no provider is set up
const context = {
  pool,
  clock: { now: () => new Date() },
  log,
  catalogue: loadCatalogue(),
  candidates: () => [],
  provider: () => undefined,
  providers: [],
} as unknown as JobContext

async function tasksOf(jobId: string): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select t.identifier as name from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
     where payload ->> 'jobId' = $1 and attempts < max_attempts order by 1`,
    [jobId],
  )
  return rows.map((row) => row.name)
}

test('a job that lost its task is given one, whatever it had: pending, claimed, or with its output waiting', async () => {
  const customer = await makeCustomer(pool)
  const submit = createSubmit(submitPool, log)
  const [pending, claimed, done] = [submission(customer), submission(customer), submission(customer)]
  await Promise.all([submit(pending), submit(claimed), submit(done)])
  await claimJob(context, claimed.jobId, 0)
  await claimJob(context, done.jobId, 60_000)
  await pool.query(
    "insert into polls (job_id, provider, due_at, outputs) values ($1, 'sandbox', now(), '[]')",
    [done.jobId],
  )
  const jobIds = [pending.jobId, claimed.jobId, done.jobId]
  await pool.query(
    "update graphile_worker._private_jobs set attempts = max_attempts where payload ->> 'jobId' = any($1)",
    [jobIds],
  )
  await pool.query("update jobs set created_at = now() - interval '2 minutes' where id = any($1)", [jobIds])
  await reviveJobs(context)
  assert.deepEqual(await tasksOf(pending.jobId), ['dispatch'])
  assert.deepEqual(await tasksOf(claimed.jobId), ['dispatch'])
  assert.deepEqual(await tasksOf(done.jobId), ['collect'])
  // and no second one
  await reviveJobs(context)
  assert.deepEqual(await tasksOf(pending.jobId), ['dispatch'])
})

test('a job at an upstream that is not set up any more ends with its refund when its time is over', async () => {
  const customer = await makeCustomer(pool)
  const job = submission(customer)
  await createSubmit(submitPool, log)(job)
  await claimJob(context, job.jobId, 0)
  await pool.query("insert into polls (job_id, provider, due_at) values ($1, 'gone', now())", [job.jobId])
  await pool.query("update jobs set deadline_at = now() - interval '2 minutes' where id = $1", [job.jobId])
  await reviveJobs(context)
  assert.equal((await getJob(customer.accountId, job.jobId)).error?.code, 'PROVIDER_TIMEOUT')
  assert.deepEqual(await transfersOf(pool, job.jobId), { charges: 1, refunds: 1 })
})

test('a job whose dispatch keeps killing its process runs apart from others, and is given up after an hour', async () => {
  const customer = await makeCustomer(pool)
  const deadly = submission(customer)
  await createSubmit(submitPool, log)(deadly)
  const waiting = async () => {
    const { rows } = await pool.query<{ cut_offs: number; wait_s: number }>(
      `select (payload ->> 'cutOffs')::int as cut_offs, extract(epoch from run_at - now())::float8 as wait_s
       from graphile_worker._private_jobs where key = 'dispatch:' || $1`,
      [deadly.jobId],
    )
    return rows[0]!
  }
  // it was among those that a process died with, for the ninth time: that says nothing about it
  await dispatchJob(context, deadly.jobId, toRun(undefined, 10))
  assert.equal((await getJob(customer.accountId, deadly.jobId)).status, 'pending')
  const { cut_offs: cutOffs, wait_s: waitS } = await waiting()
  assert.equal(cutOffs, 9)
  assert.ok(waitS > 60 && waitS <= 900, `${waitS} s`)
  // it is run when that is over, and waits again where it is cut off again
  assert.equal(restMs(toRun(cutOffs, 1)), 0)
  await dispatchJob(context, deadly.jobId, toRun(cutOffs, 2))
  assert.equal((await waiting()).cut_offs, 10)
  await pool.query("update jobs set created_at = now() - interval '61 minutes' where id = $1", [deadly.jobId])
  await dispatchJob(context, deadly.jobId, toRun(10, 1))
  assert.equal((await getJob(customer.accountId, deadly.jobId)).error?.code, 'PROVIDER_UNAVAILABLE')
  assert.deepEqual(await transfersOf(pool, deadly.jobId), { charges: 1, refunds: 1 })
})

test('a result whose copying keeps killing its process is copied apart from others, and given up in the end', async () => {
  const customer = await makeCustomer(pool)
  const deadly = submission(customer)
  await createSubmit(submitPool, log)(deadly)
  await claimJob(context, deadly.jobId, 60_000)
  await pool.query(`insert into polls (job_id, provider, due_at, outputs) values ($1, 'gone', now(), '[]')`, [
    deadly.jobId,
  ])
  await collectJob(context, deadly.jobId, toRun(undefined, 10))
  assert.ok((await tasksOf(deadly.jobId)).includes('collect'))
  assert.equal((await getJob(customer.accountId, deadly.jobId)).status, 'processing')
  await pool.query("update jobs set deadline_at = now() - interval '61 minutes' where id = $1", [
    deadly.jobId,
  ])
  await collectJob(context, deadly.jobId, toRun(9, 1))
  assert.equal((await getJob(customer.accountId, deadly.jobId)).error?.code, 'OUTPUT_UNAVAILABLE')
  assert.deepEqual(await transfersOf(pool, deadly.jobId), { charges: 1, refunds: 1 })
})

test('what of our own keeps a job is told by the list of stuck jobs, until it is mended', async () => {
  const customer = await makeCustomer(pool)
  const job = submission(customer)
  await createSubmit(submitPool, log)(job)
  const causeOf = async () =>
    (await findStuckJobs(pool, context.catalogue, { limit: 100 })).find(({ jobId }) => jobId === job.jobId)
      ?.cause
  let room: string | undefined = 'the disk is full'
  const provider: Provider = {
    name: 'test',
    pollBatch: 1,
    timeLimitMs: () => 60_000,
    admit: () => (room === undefined ? 0 : 5_000),
    trouble: () => room,
    submit: async () => ({ outcome: 'accepted', operation: 1 }),
    poll: async () => [{ status: 'running' }],
  }
  const own = { ...context, ...routesTo(provider), nextPollMs: () => 60_000, processId: 'a-worker' }
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))
  const beating = await startHeartbeat(pool, 'a-worker', () => [], log)
  try {
    const [gone, there] = [
      { ...own, temporaryDirectory: join(folder, 'gone') },
      { ...own, temporaryDirectory: folder },
    ]
    await dispatchJob(gone, job.jobId)
    assert.equal(await causeOf(), 'it could not be sent: the disk is full')
    room = undefined
    await dispatchJob(gone, job.jobId)
    assert.match((await causeOf())!, /^it could not be sent: ENOENT/)
    await dispatchJob(there, job.jobId)
    assert.equal((await getJob(customer.accountId, job.jobId)).status, 'processing')
    const { rows } = await pool.query('select trouble from jobs where id = $1', [job.jobId])
    assert.deepEqual(rows, [{ trouble: null }])

    await pool.query('update polls set outputs = $2 where job_id = $1', [
      job.jobId,
      JSON.stringify([{ type: 'video', source: { key: 'sandbox/x' } }]),
    ])
    const fails = () => Promise.reject(new Error('the store is away'))
    const storage = {
      list: fails,
      stat: fails,
      open: fails,
      withLocalFile: fails,
    } as unknown as JobContext['storage']
    await collectJob({ ...there, storage }, job.jobId)
    assert.equal(await causeOf(), 'its result could not be copied: the store is away')
  } finally {
    await beating.stop()
  }
})

test('a job that no upstream is set up for waits an hour', async () => {
  const customer = await makeCustomer(pool)
  const unserved = submission(customer)
  await createSubmit(submitPool, log)(unserved)
  await dispatchJob(context, unserved.jobId)
  assert.equal((await getJob(customer.accountId, unserved.jobId)).status, 'pending')
  await pool.query("update jobs set created_at = now() - interval '61 minutes' where id = $1", [
    unserved.jobId,
  ])
  await dispatchJob(context, unserved.jobId)
  assert.equal((await getJob(customer.accountId, unserved.jobId)).error?.code, 'PROVIDER_UNAVAILABLE')
})

test('a job that is refunded while its files are still being fetched is not sent to its provider', async () => {
  const customer = await makeCustomer(pool)
  const asked = Promise.withResolvers<ServerResponse>()
  const files = await listen((_, response) => asked.resolve(response))
  const outbound = createOutbound({ allowPrivate: true })
  const media = createMedia()
  const temporaryDirectory = await mkdtemp(join(tmpdir(), 'filmgate-late-'))
  atEnd(async () => {
    await Promise.all([outbound.close(), media.close(), rm(temporaryDirectory, { recursive: true })])
  })
  const sent: string[] = []
  const provider: Provider = {
    name: 'sandbox',
    pollBatch: 1,
    timeLimitMs: () => 60_000,
    async submit({ jobId }) {
      sent.push(jobId)
      return { outcome: 'accepted', operation: 1 }
    },
    poll: async () => [{ status: 'running' }],
  }
  const late = {
    ...context,
    outbound,
    media,
    temporaryDirectory,
    ownFile: () => undefined,
    sampleFile: () => undefined,
    ...routesTo(provider),
  }
  const job = {
    ...submission(customer),
    modelSlug: imageToVideo,
    input: { prompt: 'x', image_url: `${files}/picture.png` },
  }
  await createSubmit(submitPool, log)(job)
  const dispatching = dispatchJob(late, job.jobId)
  const response = await asked.promise
  await failJob(pool, job.jobId, { code: 'PROVIDER_TIMEOUT' }, new Date())
  response.end(createCanvas(400, 400).toBuffer('image/png'))
  await dispatching
  assert.equal((await getJob(customer.accountId, job.jobId)).error?.code, 'PROVIDER_TIMEOUT')
  assert.deepEqual(await transfersOf(pool, job.jobId), { charges: 1, refunds: 1 })
  assert.deepEqual(sent, [])
})

test('cancel takes an empty body of any type', async () => {
  const customer = await makeCustomer(pool)
  for (const headers of [
    { 'content-type': 'application/json' },
    { 'content-type': 'application/x-www-form-urlencoded' },
  ]) {
    const { body } = await gateway.call('POST', '/v1/jobs/submit', {
      key: customer.key,
      body: seedBody(textToVideo),
    })
    const cancelled = await gateway.call('POST', `/v1/jobs/${body.jobId}/cancel`, {
      key: customer.key,
      headers,
      body: '',
    })
    assert.equal(cancelled.status, 200, JSON.stringify(cancelled.body))
  }
})

test('what is no HTTP is answered in the documented form', async () => {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  socket.end('GET / HTTP/9.9\r\n\r\n')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  await once(socket, 'close')
  const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 400 /)
  const answer = JSON.parse(body)
  assert.equal(answer.error.code, 'VALIDATION_ERROR')
  assert.match(head, new RegExp(`x-request-id: ${answer.requestId}`))
})

test('after all of this the ledger is in order', async () => {
  assert.deepEqual(await ledgerProblems(pool), [])
})
