import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { systemClock } from '../src/clock.ts'
import { beginAttempt, loseAttempt, missAttempt } from '../src/jobs/attempts.ts'
import { cancelJob } from '../src/jobs/cancel.ts'
import { collectJob } from '../src/jobs/collect.ts'
import type { JobContext } from '../src/jobs/context.ts'
import { dispatchJob } from '../src/jobs/dispatch.ts'
import { pollJobs, reconcileJob } from '../src/jobs/poll.ts'
import { claimPolls, type DuePoll, planCollects, planPolls } from '../src/jobs/polls.ts'
import { reviveJobs } from '../src/jobs/sweep.ts'
import { createOutbound } from '../src/outbound.ts'
import type { FindOutcome, PollOutcome, Provider, SubmitOutcome } from '../src/providers/provider.ts'
import { createLocalStorage } from '../src/storage/local.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { routesTo } from './routes-fixture.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'
import { listen } from './webhook-fixture.ts'

// No worker: the tests play its part, one step at a time.
const { pool, url } = await cloneDatabase()
const answers = { submit: undefined as unknown, find: undefined as unknown, poll: [] as unknown[] }
const sent: string[] = []
const provider: Provider = {
  name: 'liar',
  pollBatch: 20,
  settleMs: 0,
  timeLimitMs: () => 600_000,
  async submit({ jobId }) {
    sent.push(jobId)
    return answers.submit as SubmitOutcome
  },
  find: async () => answers.find as FindOutcome,
  poll: async () => answers.poll as PollOutcome[],
  cancel: async () => true,
}
const gateway = await startGateway({
  databaseUrl: url,
  role: 'api',
  allowPrivateNetwork: true,
  upstreams: [provider],
})
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
const temporaryDirectory = await mkdtemp(join(tmpdir(), 'filmgate-distrust-'))
const outbound = createOutbound({ allowPrivate: true })
atEnd(async () => {
  await Promise.all([outbound.close(), rm(temporaryDirectory, { recursive: true })])
})
const context = {
  pool,
  clock: systemClock,
  log: pino({ level: 'silent' }),
  catalogue: loadCatalogue(),
  ...routesTo(provider),
  processId: 'this one',
  nextPollMs: () => 1_000,
  callbackUrl: () => 'http://127.0.0.1/',
  storage: await createLocalStorage({ directory: join(temporaryDirectory, 'files') }),
  outbound,
  ownFile: () => undefined,
  sampleFile: () => undefined,
  temporaryDirectory,
} as unknown as JobContext
await pool.query(
  "insert into processes (id, worker_ids, beat_at) values ('this one', '{}', now() + interval '1 day')",
)

async function submit(key = customer.key, body: unknown = seedBody(textToVideo)): Promise<string> {
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body.jobId
}

async function sendWith(outcome: unknown, key?: string): Promise<string> {
  const jobId = await submit(key)
  // its circuit is not what these are about
  await pool.query('delete from upstreams')
  answers.submit = outcome
  await dispatchJob(context, jobId)
  return jobId
}

/** As the poller does it, but at once. */
async function claim(...jobIds: string[]): Promise<DuePoll[]> {
  await pool.query('delete from upstreams')
  await pool.query('update polls set due_at = now() where job_id = any($1)', [jobIds])
  const wanted = [{ provider: 'liar', most: 100, batch: 100 }]
  const due = await claimPolls(pool, wanted, { processId: 'this one', leaseMs: 60_000, lookBackMs: 60_000 })
  return jobIds.map((jobId) => due.find(({ job_id }) => job_id === jobId)!)
}

async function lookUp(jobId: string, outcome: unknown) {
  answers.find = outcome
  const next = await reconcileJob(context, provider, (await claim(jobId))[0]!)
  if (next !== undefined) await planPolls(pool, [next])
  return next
}

const endTime = (...jobIds: string[]) =>
  pool.query("update jobs set deadline_at = now() - interval '1 s' where id = any($1)", [jobIds])

async function standing(
  jobId: string,
): Promise<{ status: string; error: string | null; attempts: string[] }> {
  const { rows } = await pool.query(
    `select status, error_code as error,
       array(select a.status::text from attempts a where a.job_id = j.id order by number) as attempts
     from jobs j where id = $1`,
    [jobId],
  )
  return rows[0]
}

const accepted = { outcome: 'accepted', operation: 'op' }
const lost = { outcome: 'unknown', cause: new Error('reset') }

test('answers of an upstream that make no sense keep no other job waiting, and end with the time of theirs', async () => {
  const senseless = [
    undefined,
    { status: 'lost' },
    { status: 'succeeded' },
    { status: 'succeeded', outputs: new Array(101).fill({ type: 'image', source: { url: 'http://x/' } }) },
    { status: 'failed' },
  ]
  const other = await sendWith(accepted)
  const jobIds: string[] = []
  for (const _ of senseless) jobIds.push(await sendWith(accepted))
  const ask = async (...asked: string[]) =>
    pollJobs(context, provider, await claim(...asked), (done) => planCollects(pool, [done]))
  answers.poll = [...senseless, { status: 'failed', code: 'GENERATION_FAILED', message: 'No.' }]
  const next = await ask(...jobIds, other)
  assert.deepEqual((await standing(other)).error, 'GENERATION_FAILED')
  assert.deepEqual(
    next.map((planned) => planned?.failures),
    [1, 1, 1, 1, 1, undefined],
  )
  await endTime(...jobIds)
  answers.poll = senseless
  await ask(...jobIds)
  for (const jobId of jobIds) {
    assert.equal((await standing(jobId)).error, 'PROVIDER_TIMEOUT')
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
  }
})

test('an answer to a submit that makes no sense is a lost one: the job is looked up and not sent again', async () => {
  for (const outcome of [undefined, { outcome: 'perhaps' }, { outcome: 'accepted' }]) {
    const jobId = await sendWith(outcome)
    assert.deepEqual((await standing(jobId)).attempts, ['unknown'], JSON.stringify(outcome))
    for (const found of [undefined, { outcome: 'perhaps' }, { outcome: 'found' }]) {
      await lookUp(jobId, found)
      await lookUp(jobId, found)
      assert.deepEqual((await standing(jobId)).attempts, ['unknown'], JSON.stringify(found))
    }
    await lookUp(jobId, { outcome: 'found', operation: 'op' })
    assert.deepEqual((await standing(jobId)).attempts, ['accepted'])
    assert.equal(sent.filter((id) => id === jobId).length, 1)
  }
})

test('a job that nobody can look up sensibly ends with its time all the same', async () => {
  const jobId = await sendWith(lost)
  await endTime(jobId)
  await lookUp(jobId, undefined)
  assert.equal((await standing(jobId)).error, 'PROVIDER_TIMEOUT')
})

test('a job that is held beyond its time is sent anew once its upstream says twice that it has none', async () => {
  const patient = await makeCustomer(pool, { mode: 'live' })
  await pool.query("update users set unknown_outcome = 'hold' where id = $1", [patient.userId])
  const jobId = await sendWith(lost, patient.key)
  await endTime(jobId)
  const absent = { outcome: 'absent' }
  assert.ok((await lookUp(jobId, absent))!.delayMs < 60_000)
  await lookUp(jobId, absent)
  assert.deepEqual((await standing(jobId)).attempts, ['absent'])
  answers.submit = accepted
  await pool.query('delete from upstreams')
  await dispatchJob(context, jobId)
  assert.deepEqual(await standing(jobId), {
    status: 'processing',
    error: null,
    attempts: ['absent', 'accepted'],
  })
})

test('a job that is lost on its way each time is given up after an hour, refunded once', async () => {
  const jobId = await sendWith(lost)
  await pool.query(
    `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, answered_at)
     select $1 || number, $1, number, 'liar', 'x', '', $1, 'absent', now() from generate_series(2, 10) as number`,
    [jobId],
  )
  const absent = { outcome: 'absent' }
  const lose = async () => {
    await lookUp(jobId, absent)
    await lookUp(jobId, absent)
  }
  await lose()
  assert.equal((await standing(jobId)).status, 'processing')
  answers.submit = lost
  await pool.query('delete from upstreams')
  await dispatchJob(context, jobId)
  await pool.query("update jobs set created_at = now() - interval '61 minutes' where id = $1", [jobId])
  await lose()
  assert.equal((await standing(jobId)).error, 'PROVIDER_UNAVAILABLE')
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
})

test('a time to wait that an upstream names out of all reason keeps no job for longer than an hour', async () => {
  for (const retryAfterMs of [Number.NaN, Number.POSITIVE_INFINITY, 1e15, -1e15]) {
    const jobId = await sendWith({ outcome: 'busy', retryAfterMs, cause: '429' })
    const { rowCount } = await pool.query(
      `select from graphile_worker.jobs, upstreams
       where key = 'dispatch:' || $1::text and run_at < now() + interval '62 minutes'
         and busy_until < now() + interval '62 minutes'`,
      [jobId],
    )
    assert.equal(rowCount, 1, String(retryAfterMs))
  }
})

test('a job whose next poll is planned for no time at all is asked about again soon', async () => {
  const jobId = await sendWith(accepted)
  answers.poll = [{ status: 'running' }]
  const nextPollMs = () => Number.NaN
  const next = await pollJobs({ ...context, nextPollMs }, provider, await claim(jobId), async () => {})
  await planPolls(pool, [next[0]!])
  const { rowCount } = await pool.query(
    "select from polls where job_id = $1 and due_at < now() + interval '5 s'",
    [jobId],
  )
  assert.equal(rowCount, 1)
})

test('a process whose clock is an hour ahead ends no job before its time', async () => {
  const jobId = await sendWith(accepted)
  answers.poll = [{ status: 'running' }]
  const clock = { now: () => new Date(Date.now() + 3_600_000) }
  await pollJobs({ ...context, clock }, provider, await claim(jobId), async () => {})
  assert.equal((await standing(jobId)).status, 'processing')
})

test('a job at its upstream that nobody asks about any more is asked about again, of this version or the one before', async () => {
  const [own, older] = [await sendWith(accepted), await submit()]
  await pool.query('delete from polls where job_id = $1', [own])
  await pool.query(
    `update jobs set status = 'processing', dispatched_at = now(), deadline_at = now() + interval '1 hour', operation = '1'
     where id = $1`,
    [older],
  )
  await pool.query("update jobs set created_at = now() - interval '2 minutes' where id = any($1)", [
    [own, older],
  ])
  await reviveJobs(context)
  const due = await claim(own, older)
  assert.deepEqual(
    due.map(({ attempt_status }) => attempt_status),
    ['accepted', 'accepted'],
  )
})

test('files that can not be fetched end no job that another process has sent meanwhile', async () => {
  let jobId = ''
  const files = await listen(async (_, response) => {
    // this process was taken for dead, and the other one is faster
    await beginAttempt(pool, jobId, {
      route: { upstream: 'liar', model: imageToVideo },
      listedCostMicroCents: undefined,
      processId: 'another',
      at: new Date(),
      timeLimitMs: 60_000,
      answerLimitMs: 60_000,
    })
    response.writeHead(404).end()
  })
  const { input } = seedBody(imageToVideo)
  jobId = await submit(customer.key, {
    model: imageToVideo,
    input: { ...input, image_url: `${files}/picture.png` },
  })
  await dispatchJob(context, jobId)
  assert.deepEqual(await standing(jobId), { status: 'processing', error: null, attempts: ['sending'] })
})

test('what was copied of a job after it was cancelled goes, though whoever copied it has died', async () => {
  const jobId = await sendWith(accepted)
  await cancelJob(context, customer.accountId, jobId, new Date())
  await context.storage.put(`outputs/${jobId}/0.png`, Readable.from([Buffer.from('x')]))
  // its task is taken up again
  await collectJob(context, jobId)
  assert.equal(await context.storage.stat(`outputs/${jobId}/0.png`), undefined)
})

const attemptOf = async (jobId: string) => {
  const { rows } = await pool.query(
    "select id from attempts where job_id = $1 and status in ('sending', 'unknown')",
    [jobId],
  )
  return { jobId, attemptId: rows[0].id as string, at: new Date() }
}

test('a dispatch that has slept while another one was lost on its way sends nothing by what it knew before', async () => {
  const jobId = await submit()
  const prepare: Provider['prepare'] = async () => {
    // this process was taken for dead, and the job is to go nowhere but to the other's upstream
    await beginAttempt(pool, jobId, {
      route: { upstream: 'other', model: textToVideo },
      listedCostMicroCents: undefined,
      processId: 'another',
      at: new Date(),
      timeLimitMs: 60_000,
      answerLimitMs: 60_000,
    })
    const attempt = await attemptOf(jobId)
    await loseAttempt(pool, attempt, 'reset', 0)
    await missAttempt(pool, attempt, async () => {})
    return { outcome: 'ready', prepared: null }
  }
  answers.submit = accepted
  await dispatchJob({ ...context, ...routesTo({ ...provider, prepare }) }, jobId)
  assert.deepEqual((await standing(jobId)).attempts, ['absent'])
  assert.ok(!sent.includes(jobId))
})

test('the refusal of a submit that others have taken for lost counts as soon as it comes', async () => {
  const jobId = await submit()
  const submitSlowly: Provider['submit'] = async () => {
    await loseAttempt(pool, await attemptOf(jobId), 'no answer was written down', 0)
    return { outcome: 'refused', code: 'CONTENT_POLICY_VIOLATION', message: 'No.' }
  }
  await dispatchJob({ ...context, ...routesTo({ ...provider, submit: submitSlowly }) }, jobId)
  assert.deepEqual(await standing(jobId), {
    status: 'failed',
    error: 'CONTENT_POLICY_VIOLATION',
    attempts: ['refused'],
  })
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
})

test('a late result is waited for also where the upstream is told what it may forget', async () => {
  const jobId = await sendWith(accepted)
  await endTime(jobId)
  answers.poll = [{ status: 'running' }]
  const forgetful = { ...provider, forget: async () => {} }
  await pollJobs(context, forgetful, await claim(jobId), async () => {})
  assert.equal((await standing(jobId)).error, 'PROVIDER_TIMEOUT')
  assert.equal((await pool.query('select from polls where job_id = $1', [jobId])).rowCount, 1)
})

test('a job that is at one account of an upstream is not failed because another one does not have it', async () => {
  const jobId = await sendWith(accepted)
  answers.poll = [{ status: 'absent' }]
  const ask = async (account?: string) => {
    await pool.query("update attempts set answered_at = now() - interval '1 hour' where job_id = $1", [jobId])
    const asked = { ...provider, ...(account !== undefined && { account }) }
    const [next] = await pollJobs(context, asked, await claim(jobId), async () => {})
    if (next !== undefined) await planPolls(pool, [next])
  }
  for (let times = 0; times < 4; times++) await ask('another')
  assert.equal((await standing(jobId)).status, 'processing')
  await endTime(jobId)
  await ask('another')
  assert.equal((await standing(jobId)).error, 'PROVIDER_TIMEOUT')
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
})

test('a process whose clock is a day ahead gives up no job that was not taken for a moment', async () => {
  const clock = { now: () => new Date(Date.now() + 26 * 3_600_000) }
  for (const outcome of ['busy', 'unavailable']) {
    await pool.query('delete from upstreams')
    const jobId = await submit()
    answers.submit = { outcome, cause: new Error('503') }
    await dispatchJob({ ...context, clock }, jobId)
    assert.equal((await standing(jobId)).status, 'processing')
  }
})

test('after all of this the ledger is in order', async () => {
  assert.deepEqual(await ledgerProblems(pool), [])
})
