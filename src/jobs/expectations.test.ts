import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import { loadCatalogue } from '../catalogue/load.ts'
import type { Db } from '../db.ts'
import { newId } from '../ids.ts'
import { createExpectations } from './expectations.ts'

const { pool } = await cloneDatabase()
const { accountId } = await makeCustomer(pool)
const catalogue = loadCatalogue()
const modelSlug = 'kling-plus/kling-o3-standard/text-to-video'
const listedMs = catalogue.models.get(modelSlug)!.processingSeconds * 1000
const log = pino({ level: 'silent' })
const start = new Date('2026-11-20T12:00:00Z')
const before = (seconds: number) => new Date(start.getTime() - seconds * 1000)

/** Expectations by a clock of the test's; `queries` counts what they ask the database, which `fault` takes away. */
function expect() {
  const state = { now: start, queries: 0, fault: undefined as Error | undefined }
  const query = (...statement: Parameters<typeof pool.query>) => {
    state.queries++
    return state.fault ? Promise.reject(state.fault) : pool.query(...statement)
  }
  const clock = { now: () => state.now }
  return { state, ...createExpectations({ pool: { query } as Db, clock, catalogue, log }) }
}

let providers = 0
/** A provider that no other test knows. */
const upstream = () => ({ name: `upstream-${++providers}`, pollBatch: 1 })

async function addJobs(
  provider: string,
  count: number,
  status: 'pending' | 'processing',
  createdAt: Date,
): Promise<string[]> {
  const jobIds = Array.from({ length: count }, () => newId('job', createdAt))
  const dispatchedAt = status === 'processing' ? createdAt : null
  await pool.query(
    `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, provider, input, cost_micro_cents,
       created_at, estimated_completion_at, status, dispatched_at, deadline_at)
     select id, $2, 'key_1', 'req_1', $3, 'v1.0', $4, '{}', 1, $5, $5, $6, $7, $7 from unnest($1::text[]) as id`,
    [jobIds, accountId, modelSlug, provider, createdAt, status, dispatchedAt],
  )
  return jobIds
}

/** Jobs that were sent at this moment, and took so long if they are done. */
async function addSent(provider: string, count: number, sentAt: Date, tookSeconds?: number): Promise<void> {
  const jobIds = await addJobs(provider, count, 'processing', sentAt)
  const finishedAt = tookSeconds === undefined ? null : new Date(sentAt.getTime() + tookSeconds * 1000)
  await pool.query(
    `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, operation,
       started_at, answered_at, finished_at)
     select attempt_id, job_id, 1, $3, $4, 'process_1', job_id, 'accepted', '{}', $5, $5, $6
     from unnest($1::text[], $2::text[]) as sent (attempt_id, job_id)`,
    [jobIds.map(() => newId('att', sentAt)), jobIds, provider, modelSlug, sentAt, finishedAt],
  )
}

const isNear = (actual: number, expected: number) => Math.abs(actual / expected - 1) < 0.05

test('of a model that was never used the catalogue says how long it takes', () => {
  const { completionMs, nextPollMs } = expect()
  const provider = upstream()
  assert.equal(Math.round(completionMs(provider, { modelSlug })), listedMs)
  const firstMs = nextPollMs(provider, { modelSlug, elapsedMs: 0 })
  assert.ok(firstMs > listedMs / 3 && firstMs < listedMs, `${firstMs}`)
})

test('what jobs of the model took counts, of each provider apart', async () => {
  const { completionMs, nextPollMs } = expect()
  const [slow, other] = [upstream(), upstream()]
  await addSent(slow.name, 40, before(86_400), (3 * listedMs) / 1000)
  const firstMs = nextPollMs(other, { modelSlug, elapsedMs: 0 })
  const learntMs = await until(() => {
    const ms = completionMs(slow, { modelSlug })
    return ms > 2 * listedMs && ms
  })
  assert.ok(isNear(learntMs, 3 * listedMs), `${learntMs}`)
  assert.ok(nextPollMs(slow, { modelSlug, elapsedMs: 0 }) > 2 * firstMs)
  assert.ok(isNear(completionMs(other, { modelSlug }), listedMs))
})

test('only the last 200 durations count', async () => {
  const { completionMs } = expect()
  const provider = upstream()
  await addSent(provider.name, 300, before(200_000), (9 * listedMs) / 1000)
  await addSent(provider.name, 200, before(86_400), (2 * listedMs) / 1000)
  const learntMs = await until(() => {
    const ms = completionMs(provider, { modelSlug })
    return !isNear(ms, listedMs) && ms
  })
  assert.ok(isNear(learntMs, 2 * listedMs), `${learntMs}`)
})

test('durations that a clock set back has made negative are not learnt from', async () => {
  const { completionMs } = expect()
  const provider = upstream()
  await addSent(provider.name, 20, before(86_400), -300)
  await addSent(provider.name, 10, before(86_400), (2 * listedMs) / 1000)
  await until(() => completionMs(provider, { modelSlug }) > 1.7 * listedMs)
})

test('what the provider itself expects of a job counts instead of what was learnt', async () => {
  const { completionMs } = expect()
  const provider = upstream()
  await addSent(provider.name, 20, before(86_400), (3 * listedMs) / 1000)
  await until(() => completionMs(provider, { modelSlug }) > 2 * listedMs)
  assert.equal(completionMs(provider, { modelSlug, usualMs: 5_000 }), 5_000)
})

test('a provider that says when to ask is asked then', () => {
  const provider = { ...upstream(), pollDelayMs: (elapsedMs: number) => elapsedMs + 250 }
  assert.equal(expect().nextPollMs(provider, { modelSlug, elapsedMs: 1_000 }), 1_250)
})

test('a job that is submitted behind a line is expected after it, at the pace at which the line moves', async () => {
  const { completionMs } = expect()
  const provider = upstream()
  await addJobs(provider.name, 10, 'pending', before(60))
  await addSent(provider.name, 20, before(30))
  // 20 were sent in the minute since the first of the 10 came
  const lineMs = await until(() => completionMs(provider, { modelSlug, usualMs: 0 }) || undefined)
  assert.equal(lineMs, 30_000)
  assert.equal(completionMs(upstream(), { modelSlug, usualMs: 0 }), 0)
})

test('a line that does not move is expected to stand as long again', async () => {
  const { completionMs } = expect()
  const provider = upstream()
  await addSent(provider.name, 1, before(600))
  for (const seconds of [40, 20, 10]) await addJobs(provider.name, 1, 'pending', before(seconds))
  assert.equal(await until(() => completionMs(provider, { modelSlug, usualMs: 0 }) || undefined), 40_000)
})

test('jobs that came a moment ago are no line', async () => {
  const { completionMs, state } = expect()
  const [provider, behind] = [upstream(), upstream()]
  await addJobs(provider.name, 10, 'pending', before(1))
  await addJobs(behind.name, 1, 'pending', before(10))
  // the same query answers for both
  await until(() => completionMs(behind, { modelSlug, usualMs: 0 }) > 0)
  assert.equal(completionMs(provider, { modelSlug, usualMs: 0 }), 0)
  assert.equal(state.queries, 1)
})

test('any number of questions cost one query a minute for a model, and one in ten seconds for the lines', async () => {
  const { completionMs, state } = expect()
  const provider = upstream()
  await addSent(provider.name, 20, before(86_400), (3 * listedMs) / 1000)
  const ask = () => {
    for (let index = 0; index < 1_000; index++) completionMs(provider, { modelSlug })
  }
  ask()
  await until(() => completionMs(provider, { modelSlug }) > 2 * listedMs)
  assert.equal(state.queries, 2)
  state.now = before(-11)
  ask()
  assert.equal(state.queries, 3)
})

test('what was learnt an hour ago is learnt anew, also where the clock was set back', async () => {
  for (const hours of [1, -1]) {
    const { completionMs, state } = expect()
    const provider = upstream()
    await addSent(provider.name, 20, before(200_000), (3 * listedMs) / 1000)
    await until(() => completionMs(provider, { modelSlug }) > 2 * listedMs)
    await addSent(provider.name, 200, before(86_400), listedMs / 1000)
    state.now = before(hours * 3_600)
    await until(() => completionMs(provider, { modelSlug }) < 1.2 * listedMs)
  }
})

test('without a database what was known before counts, and it is learnt again once it is back', async () => {
  const { completionMs, state } = expect()
  const provider = upstream()
  state.fault = new Error('Connection terminated')
  await addSent(provider.name, 20, before(86_400), (3 * listedMs) / 1000)
  assert.equal(Math.round(completionMs(provider, { modelSlug })), listedMs)
  await until(() => state.queries === 2)
  state.fault = undefined
  state.now = before(-61)
  await until(() => completionMs(provider, { modelSlug }) > 2 * listedMs)
  state.fault = new Error('Connection terminated')
  state.now = before(-200)
  await until(() => completionMs(provider, { modelSlug }) > 2 * listedMs && state.queries >= 6)
  assert.ok(completionMs(provider, { modelSlug }) > 2 * listedMs)
})

test('a model that is in no catalogue any more is asked about too', () => {
  const delayMs = expect().nextPollMs(upstream(), { modelSlug: 'gone/model/text-to-video', elapsedMs: 0 })
  assert.ok(delayMs >= 500 && delayMs < 60_000)
})
