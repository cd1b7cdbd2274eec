import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { systemClock } from '../src/clock.ts'
import type { UpstreamConfig } from '../src/config.ts'
import type { JobContext } from '../src/jobs/context.ts'
import { dispatchJob } from '../src/jobs/dispatch.ts'
import { createCandidates } from '../src/jobs/routes.ts'
import { openUpstreams } from '../src/providers/upstreams.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { routesTo } from './routes-fixture.ts'
import { until } from './until.ts'
import { startKling } from './upstreams/kling.ts'

const { pool, url: databaseUrl } = await cloneDatabase()
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
const model = 'kling/kling-omni-o1/text-to-video'
const pair = { accessKey: 'an-access-key', secretKey: 'a-secret-key-of-some-length' }

const gatewayWith = (kling: UpstreamConfig) =>
  startGateway({ databaseUrl, allowPrivateNetwork: true, settings: { upstreams: { kling } } })

async function startVendor(behaviour: Parameters<typeof startKling>[0] = {}) {
  const server = await startKling(behaviour)
  atEnd(() => server.stop())
  return server
}

// takes orders alone: whoever sends them is played here, one step at a time
const desk = await startGateway({
  databaseUrl,
  allowPrivateNetwork: true,
  role: 'api',
  settings: { upstreams: { kling: pair } },
})
const temporaryDirectory = await mkdtemp(join(tmpdir(), 'filmgate-account-'))
atEnd(() => rm(temporaryDirectory, { recursive: true }))

/** A job that the upstream has, though its answer was lost; the process that sent it is gone. */
async function lostJob(kling: UpstreamConfig): Promise<string> {
  const [provider] = openUpstreams({ kling }, systemClock)
  const body = { model, input: { prompt: 'A lake.', duration: '5' } }
  const { body: answer } = await desk.call('POST', '/v1/jobs/submit', { key: customer.key, body })
  const { jobId } = answer
  const context = {
    pool,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    catalogue: loadCatalogue(),
    ...routesTo(provider!),
    candidates: createCandidates(provider!, [provider!], (_, version) => version.routes),
    processId: 'gone',
    temporaryDirectory,
  } as unknown as JobContext
  await dispatchJob(context, jobId)
  const { rowCount } = await pool.query(
    // long enough ago for an absence to count
    "update attempts set answered_at = now() - interval '10 minutes' where job_id = $1 and status = 'unknown'",
    [jobId],
  )
  assert.equal(rowCount, 1)
  await pool.query('delete from upstreams')
  return jobId
}

test('a job whose answer was lost is not sent to another account of the upstream, which does not have it', async () => {
  const [ours, other] = [
    await startVendor({ behave: () => ({ lose: 'after' }) }),
    await startVendor({ apiKey: 'another-key' }),
  ]
  const jobId = await lostJob({ apiKey: ours.apiKey, baseUrl: ours.url })
  const gateway = await gatewayWith({ apiKey: other.apiKey, baseUrl: other.url })
  const isSettled = async () => {
    await pool.query('update polls set due_at = now() where job_id = $1', [jobId])
    const { rows } = await pool.query('select count(*)::int as made from attempts where job_id = $1', [jobId])
    return rows[0].made > 1 || other.transcript.length > 4
  }
  await until(isSettled)
  await pool.query('update jobs set deadline_at = now() where id = $1', [jobId])
  const { error } = await gateway.ended(jobId, customer.key)
  assert.equal(other.tasks.size, 0)
  assert.equal(error.code, 'PROVIDER_TIMEOUT')
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
  await gateway.stop()
})

test('a job whose answer was lost is found once the account is asked with its other kind of key', async () => {
  const server = await startVendor({ ...pair, behave: () => ({ lose: 'after' }) })
  const jobId = await lostJob({ ...pair, baseUrl: server.url })
  const gateway = await gatewayWith({ apiKey: server.apiKey, baseUrl: server.url })
  await pool.query('update polls set due_at = now() where job_id = $1', [jobId])
  assert.equal((await gateway.ended(jobId, customer.key)).status, 'completed')
  assert.equal(server.tasks.size, 1)
  await gateway.stop()
})
