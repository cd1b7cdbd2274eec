import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCanvas } from '@napi-rs/canvas'
import { pino } from 'pino'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { systemClock } from '../src/clock.ts'
import { openDatabase } from '../src/database.ts'
import { createExpectations } from '../src/jobs/expectations.ts'
import { createRouteRecords } from '../src/jobs/routes.ts'
import { startWorker } from '../src/jobs/worker.ts'
import { createLinks } from '../src/links.ts'
import { createMedia } from '../src/media/media.ts'
import { createOutbound } from '../src/outbound.ts'
import type { Json, Provider } from '../src/providers/provider.ts'
import { createLocalStorage } from '../src/storage/local.ts'
import { pollBatch, upstreamName } from './in-flight-rows.ts'

// A worker as the server runs it, with a simulated upstream in it that answers after `callMs`.

/** How the worker is started. */
export interface WorkerOrder {
  dataDir: string
  /** Times what the catalogue says, jobs take. */
  stretch: number
  callMs: number
}

/** What it has seen since it was last asked. */
export interface WorkerFigures {
  calls: number
  asked: number
  /** When a submit came, by job. */
  submits: [jobId: string, atMs: number][]
  /** Of each completed job: when its upstream was done and after how long, and by how much later it was completed. */
  completions: (Result & { lagMs: number })[]
  rssBytes: number
  cpuSeconds: number
}

type Result = { doneAtMs: number; tookMs: number }

const order = JSON.parse(process.argv[2] ?? '{}') as WorkerOrder
const picture = createCanvas(64, 64).toBuffer('image/png')
const files = createServer((_, response) => response.end(picture))
files.listen(0, '127.0.0.1')
await once(files, 'listening')
const url = `http://127.0.0.1:${(files.address() as AddressInfo).port}/picture.png`

let figures = begin()

function begin(): Omit<WorkerFigures, 'rssBytes' | 'cpuSeconds'> {
  return { calls: 0, asked: 0, submits: [], completions: [] }
}

// the operation says when it will be done, so that the upstream keeps nothing in this process's memory
const resultOf = (operation: Json) => operation as Result
const upstream: Provider = {
  name: upstreamName,
  pollBatch,
  timeLimitMs: () => 86_400_000,
  async submit({ jobId }) {
    figures.submits.push([jobId, Date.now()])
    await sleep(order.callMs)
    // it stays in flight: only the way to the upstream is measured
    return {
      outcome: 'accepted',
      operation: { id: jobId, doneAtMs: Date.now() + 3_600_000, tookMs: 3_600_000 },
    }
  },
  async poll(operations) {
    figures.calls++
    figures.asked += operations.length
    const now = Date.now()
    await sleep(order.callMs)
    return operations.map((operation) =>
      resultOf(operation).doneAtMs <= now
        ? { status: 'succeeded', outputs: [{ type: 'image', source: { url } }] }
        : { status: 'running' },
    )
  },
  // the job is completed
  async forget(operation) {
    const { doneAtMs, tookMs } = resultOf(operation)
    figures.completions.push({ doneAtMs, tookMs, lagMs: Date.now() - doneAtMs })
  },
}

const log = pino({ level: 'warn' }, pino.destination(2))
const clock = systemClock
const listed = loadCatalogue()
const catalogue = {
  ...listed,
  models: new Map(
    [...listed.models].map(([slug, model]) => [
      slug,
      { ...model, processingSeconds: order.stretch * model.processingSeconds },
    ]),
  ),
}
const database = await openDatabase({ dataDir: order.dataDir, databaseUrl: undefined }, 'server', log)
const { pool } = database
const temporaryDirectory = join(order.dataDir, 'tmp')
await mkdir(temporaryDirectory, { recursive: true })
const outbound = createOutbound({ allowPrivate: true })
const expectations = createExpectations({ pool, clock, catalogue, log })
const worker = await startWorker(
  {
    pool,
    clock,
    log,
    catalogue,
    provider: () => upstream,
    providers: [upstream],
    candidates: (_, { slug }) => [{ provider: upstream, route: { upstream: upstreamName, model: slug } }],
    routeRecords: createRouteRecords({ pool, clock, log }),
    medianMs: expectations.medianMs,
    isReachable: true,
    processId: randomUUID(),
    nextPollMs: expectations.nextPollMs,
    storage: await createLocalStorage({ directory: join(order.dataDir, 'files') }),
    media: createMedia(),
    outbound,
    temporaryDirectory,
    ...createLinks({ publicUrl: 'https://films.example.com', secret: 'x'.repeat(43), clock }),
  },
  { queuePool: database.openQueuePool(), lookupPool: database.openLookupPool() },
)
let cpuBefore = process.cpuUsage()

process.on('message', () => {
  const { user, system } = process.cpuUsage(cpuBefore)
  cpuBefore = process.cpuUsage()
  const told: WorkerFigures = {
    ...figures,
    rssBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1_000_000,
  }
  figures = begin()
  process.send?.(told)
})
process.on('disconnect', async () => {
  await worker.stop()
  process.exit(0)
})
process.send?.('ready')
