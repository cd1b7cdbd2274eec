import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { pino } from 'pino'
import { newId } from '../src/ids.ts'
import { bringPollForward } from '../src/jobs/polls.ts'
import { createSubmit } from '../src/jobs/submit.ts'
import { migrate } from '../src/migrate.ts'
import {
  type Flight,
  type Load,
  makeFlights,
  upstreamName,
  writeFlights,
  writeLearnt,
} from './in-flight-rows.ts'
import type { WorkerFigures, WorkerOrder } from './in-flight-worker.ts'
import { type Customer, makeCustomers, withDatabase } from './server.ts'
import { printTable } from './table.ts'

const callMs = 20
const submitsPerSecond = 20
const measuredMs = 30_000
const settlingMs = 5_000
/** How long what was done meanwhile may then take to be found: without callbacks, by the stretch of time, and with. */
const aloneGraceMs = 20_000
const calledGraceMs = 5_000

/**
 * So many jobs in flight on the real schema, asked about by a real worker of an upstream that is simulated in it: what a
 * job costs in memory, how late it is found done without callbacks and with, and how soon a new one is sent. Polling at
 * fixed intervals is in polling.ts, with the same durations. `stretch`: how many times the catalogue's time jobs take.
 */
export async function benchInFlight(inFlight = 100_000, stretch = 5, sigma = 0.2): Promise<void> {
  const load: Load = { stretch, sigma }
  await withDatabase(async ({ database: { pool, openPipelinedPool }, dataDir }) => {
    const log = pino({ level: 'silent' })
    await migrate(pool, log)
    const customers = await makeCustomers(pool, 100)
    await writeLearnt(pool, load, customers)
    const before = await databaseBytes(pool)
    // until then the rows are written
    const nowMs = Date.now() + inFlight / 2 + 10_000
    const flights = makeFlights(load, {
      inFlight,
      nowMs,
      forMs: 2 * measuredMs + aloneGraceMs * stretch + 3 * settlingMs,
    })
    await writeFlights(pool, load, { flights, nowMs }, customers)
    const bytesPerJob = ((await databaseBytes(pool)) - before) / flights.length
    await pool.query('vacuum analyze')
    if (Date.now() > nowMs) console.log(`the rows came ${Date.now() - nowMs} ms late`)

    const order: WorkerOrder = { dataDir, stretch, callMs }
    const worker = await startWorker(order)
    const rssAtStart = (await worker.figures()).rssBytes
    await sleep(Math.max(0, nowMs - Date.now()) + settlingMs)

    const submitPool = openPipelinedPool()
    const committed = new Map<string, number>()
    const alone = await measure(pool, worker, flights, aloneGraceMs * stretch, () =>
      submitSome(submitPool, customers, committed),
    )
    const called = new AbortController()
    const calling = callBack(pool, flights, called.signal)
    await sleep(settlingMs)
    const withCallbacks = await measure(pool, worker, flights, calledGraceMs, async () => {})
    called.abort()
    await calling
    const last = await worker.figures()
    const waits = alone.submits.map(([jobId, atMs]) => atMs - committed.get(jobId)!)
    await submitPool.end()
    await worker.stop()

    console.log(
      `\n${inFlight.toLocaleString('en-US')} jobs in flight, sigma ${sigma}, durations ${stretch} times the catalogue's, ` +
        `calls of ${callMs} ms; load average ${loadavg()[0]!.toFixed(1)}`,
    )
    printTable(
      [
        '',
        'lag % mean',
        'p50',
        'p99',
        'lag ms p50',
        'p99',
        'done/s',
        'completed/s',
        'asked per job',
        'calls',
        'per call',
        'cores',
        'log KiB per job',
      ],
      [
        ['without callbacks', ...alone.row],
        ['with', ...withCallbacks.row],
      ],
    )
    waits.sort((a, b) => a - b)
    console.log(
      `memory of the worker: ${mebibytes(rssAtStart)} MiB at the start, ${mebibytes(last.rssBytes)} at the end, ` +
        `${Math.round(last.rssBytes / inFlight)} bytes per job; database: ${Math.round(bytesPerJob)} bytes per job\n` +
        `from commit to the upstream's call: p50 ${at(waits, 0.5)} ms, p99 ${at(waits, 0.99)} ms of ${waits.length} submits`,
    )
  })
}

async function databaseBytes(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ bytes: number }>(
    'select pg_database_size(current_database())::float8 as bytes',
  )
  return rows[0]!.bytes
}

async function startWorker(order: WorkerOrder) {
  const child: ChildProcess = fork(`${import.meta.dirname}/in-flight-worker.ts`, [JSON.stringify(order)])
  await once(child, 'message')
  return {
    async figures(): Promise<WorkerFigures> {
      child.send('figures')
      const [figures] = (await once(child, 'message')) as [WorkerFigures]
      return figures
    },
    async stop() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

/** Where the database's log ends. */
async function logBytes(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ bytes: number }>(
    "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes",
  )
  return rows[0]!.bytes
}

/** What became of the jobs that were done in a stretch of time, those found after it included. */
async function measure(
  pool: pg.Pool,
  worker: Awaited<ReturnType<typeof startWorker>>,
  flights: Flight[],
  graceMs: number,
  besides: () => Promise<void>,
) {
  await worker.figures()
  const beganMs = Date.now()
  const logBefore = await logBytes(pool)
  await Promise.all([sleep(measuredMs), besides()])
  const during = await worker.figures()
  const seconds = (Date.now() - beganMs) / 1000
  const logPerJob = ((await logBytes(pool)) - logBefore) / during.completions.length
  await sleep(graceMs)
  const after = await worker.figures()
  const isMeasured = ({ doneAtMs }: { doneAtMs: number }) =>
    doneAtMs >= beganMs && doneAtMs < beganMs + 1000 * seconds
  const found = [...during.completions, ...after.completions].filter(isMeasured)
  const done = flights.filter(isMeasured).length
  if (found.length < done) console.log(`${done - found.length} of ${done} jobs were not found in time`)
  const lags = found.map(({ lagMs }) => lagMs).sort((a, b) => a - b)
  const shares = found.map(({ lagMs, tookMs }) => (100 * lagMs) / tookMs).sort((a, b) => a - b)
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
  return {
    submits: [...during.submits, ...after.submits],
    row: [
      mean,
      at(shares, 0.5),
      at(shares, 0.99),
      at(lags, 0.5),
      at(lags, 0.99),
      done / seconds,
      during.completions.length / seconds,
      during.asked / done,
      during.calls / done,
      during.asked / during.calls,
      during.cpuSeconds / seconds,
      logPerJob / 1024,
    ],
  }
}

/** What an upstream's calls to us do: each brings the poll of its job forward as soon as that is done. */
async function callBack(pool: pg.Pool, flights: Flight[], signal: AbortSignal): Promise<void> {
  const coming = flights
    .filter(({ doneAtMs }) => doneAtMs > Date.now())
    .sort((a, b) => b.doneAtMs - a.doneAtMs)
  while (!signal.aborted) {
    const now = Date.now()
    const called: Promise<void>[] = []
    while ((coming.at(-1)?.doneAtMs ?? Number.POSITIVE_INFINITY) <= now) {
      called.push(bringPollForward(pool, coming.pop()!.jobId))
    }
    await Promise.all(called)
    await sleep(2)
  }
}

/** Submits as the API does, and notes when each commit was answered. */
async function submitSome(submitPool: pg.Pool, customers: Customer[], committed: Map<string, number>) {
  const submit = createSubmit(submitPool, pino({ level: 'silent' }))
  const modelSlug = 'kling-plus/kling-o3-standard/text-to-video'
  const count = (submitsPerSecond * measuredMs) / 1000
  const answers: Promise<unknown>[] = []
  for (let turn = 0; turn < count; turn++) {
    const now = new Date()
    const jobId = newId('job', now)
    const submitted = submit({
      jobId,
      accountId: customers[turn % customers.length]!.accountId,
      apiKeyId: 'key_bench',
      requestId: 'req_bench',
      modelSlug,
      modelVersion: 'v1.0',
      provider: upstreamName,
      input: { prompt: 'A lake', aspect_ratio: '16:9', duration: '5', has_sound: 'false' },
      metadata: undefined,
      webhookUrl: undefined,
      costMicroCents: 420_000n,
      priceBasis: 'list',
      routes: null,
      limits: [],
      createdAt: now,
      estimatedCompletionAt: now,
      idempotency: undefined,
    })
    answers.push(submitted.then(() => committed.set(jobId, Date.now())))
    await sleep(1000 / submitsPerSecond)
  }
  await Promise.all(answers)
}

function at(sorted: number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? 0
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}

if (import.meta.main) await benchInFlight(...process.argv.slice(2).map(Number))
