import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCanvas } from '@napi-rs/canvas'
import type pg from 'pg'
import { seededRandom } from '../src/providers/sandbox/random.ts'
import { check, type Violation } from './checks.ts'
import type { Clients, Loss } from './client.ts'
import { type Evidence, hashOutputs, loadJobs, loadPolls, loadTasks } from './evidence.ts'
import { type Gateway, startGateway } from './gateways.ts'
import { createLoad } from './load.ts'
import { befall, type Misfortunes } from './misfortunes.ts'
import { customerCount, orderOf } from './orders.ts'
import { startReceivers } from './receivers.ts'
import { scriptOf, type Temper } from './script.ts'
import { filmgate, setStage } from './stage.ts'
import { hurry, passHour, passTime } from './time.ts'
import type { UpstreamName } from './truth.ts'
import type { Keys } from './vendors.ts'

export interface Options {
  seed: number
  temper: Exclude<Temper, 'calm'>
  /** Those that are set up. */
  upstreams: UpstreamName[]
  processes: number
  /** Orders a second. */
  rate: number
  /** For so long servers are only stopped gently, and the upstream is calm. */
  gentleSeconds: number
  gentleStops: number
  /** For so long everything goes wrong. */
  roughSeconds: number
  misfortunes: Misfortunes
  /** Share of servers that are told at their start to die at a step. */
  faultPoints: number
  /** How long it may take afterwards until nothing is left to do. */
  quietSeconds: number
  /** After this the work of a dead process is given to others; unset: as the product does it. */
  deadAfterMs?: number
  /** A submit that was lost for so long, in calm, no upstream will say anything of that can't be asked. */
  hourAfterMs: number
  say(text: string): void
}

export interface Outcome {
  evidence: Evidence
  violations: Violation[]
  seconds: number
}

/** Sets all up, lets it run, waits until nothing is left to do, and judges what is left behind. */
export async function torture(options: Options): Promise<Outcome> {
  const { seed, temper, say } = options
  const began = performance.now()
  const secretOf = (name: string) => createHash('sha256').update(`${name} ${seed}`).digest()
  const keys = {
    kling: secretOf('kling').toString('hex'),
    klingWebhooks: `whsec_${secretOf('webhooks').toString('base64')}`,
    fal: `${randomUUID()}:${secretOf('fal').toString('hex')}`,
  }
  const stage = await setStage({ seed, temper, keys }, customerCount)
  const undo: (() => unknown)[] = [stage.close]
  try {
    const receivers = await startReceivers((order) => {
      // the number alone decides on the customer
      return stage.customers[orderOf(seed, order, temper).customer]?.webhookSecret
    })
    undo.push(receivers.close)
    const picture = await servePicture()
    undo.push(picture.close)
    const logLines: string[] = []
    let awayUntil = Number.NEGATIVE_INFINITY
    let isRough = false
    const random = seededRandom(seed, 'misfortunes')
    const gateways = await Promise.all(
      Array.from({ length: options.processes }, () =>
        startGateway({
          dataDir: stage.dataDir,
          databaseUrl: stage.postgres.url,
          settings: settingsOf(stage.upstream.url, keys, options.upstreams),
          random,
          hasFaultPoint: () => isRough && random() < options.faultPoints,
          databaseAwayUntil: () => awayUntil,
          onLine: (line) => logLines.push(line),
        }),
      ),
    )
    stage.upstream.tell({ gateways: gateways.map(({ url }) => url) })
    const stopGateways = () => Promise.all(gateways.map((gateway) => gateway.stop()))
    undo.push(stopGateways)

    const losses: Loss[] = []
    let isOver = false
    const clients: Clients = {
      gateways,
      keys: stage.customers.map(({ key }) => key),
      losses,
      pictureUrl: picture.url,
      webhookUrl: (order) => order.webhook && receivers.urlOf(order.webhook, order.number),
      isOver: () => isOver,
    }
    const load = createLoad(clients, options)
    const late = setInterval(() => void passTime(stage.pool), 500)
    undo.push(() => clearInterval(late))
    const scene = {
      gateways,
      postgres: stage.postgres,
      random,
      say,
      setAway(away: boolean) {
        awayUntil = away ? Number.POSITIVE_INFINITY : performance.now()
      },
      setCredit: (hasCredit: boolean) => stage.upstream.tell({ hasCredit }),
    }
    const progress = setInterval(() => void tell(stage.pool, load.underWay(), gateways, say), 10_000)
    undo.push(() => clearInterval(progress))

    let gentleOrders = new Set<number>()
    if (options.gentleSeconds > 0) {
      say(`${options.gentleStops} graceful stops under load, for ${options.gentleSeconds} s`)
      const nothing = {
        kills: 0,
        postgresRestarts: 0,
        postgresAwayMs: 0,
        storageFullMs: 0,
        creditGoneMs: 0,
        pauses: 0,
        clockStepMs: 0,
      }
      const [orders] = await Promise.all([
        load.run(options.gentleSeconds, 'calm'),
        befall(scene, { ...nothing, drains: options.gentleStops, totalMs: options.gentleSeconds * 1000 }),
      ])
      gentleOrders = orders
      // what comes next must not touch what came with these
      await quiet(stage.pool, options, false)
    }
    say(`everything goes wrong, for ${options.roughSeconds} s`)
    isRough = true
    stage.upstream.tell({ temper })
    await Promise.all([
      load.run(options.roughSeconds, temper),
      befall(scene, { ...options.misfortunes, totalMs: options.roughSeconds * 1000 }),
    ])
    isRough = false
    say('nothing goes wrong any more: what is left is done')
    stage.upstream.tell({ temper: 'calm' })
    // those that are still to die at a step would do so later
    for (const gateway of gateways) gateway.kill()
    await quiet(stage.pool, options, true)
    isOver = true
    const experiences = await load.finish()
    const [tasks, polls] = [await loadTasks(stage.pool), await loadPolls(stage.pool)]
    clearInterval(progress)
    say('the servers are stopped')
    await stopGateways()
    say('what they left behind is checked')
    const truth = await stage.upstream.truth()
    const scriptOfOrder = (number: number) => {
      const kind = gentleOrders.has(number) ? 'calm' : temper
      return scriptOf(seed, number, kind, orderOf(seed, number, kind).isLate)
    }
    const evidence: Evidence = {
      experiences,
      gentleOrders,
      jobs: await loadJobs(stage.pool, truth, scriptOfOrder),
      truth,
      receivers,
      gateways,
      losses,
      logLines,
      tasks,
      polls,
      files: await hashOutputs(stage.dataDir),
      secrets: [keys.kling, keys.klingWebhooks, ...keys.fal.split(':')],
      ledgerVerify: await filmgate(stage, ['ledger', 'verify']),
    }
    return { evidence, violations: check(evidence), seconds: (performance.now() - began) / 1000 }
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

function settingsOf(url: string, keys: Keys, upstreams: UpstreamName[]): Record<string, string> {
  return {
    PUBLIC_URL: url,
    KLING_API_KEY: keys.kling,
    KLING_BASE_URL: `${url}/kling`,
    KLING_WEBHOOK_SECRET: keys.klingWebhooks,
    ...(upstreams.includes('fal') && { FAL_API_KEY: keys.fal, FAL_BASE_URL: `${url}/fal` }),
  }
}

/** Until every job and webhook has ended and the queue is empty, or the time for that is over. */
async function quiet(
  pool: pg.Pool,
  { quietSeconds, deadAfterMs, hourAfterMs, say }: Options,
  hasDead: boolean,
): Promise<void> {
  for (const end = performance.now() + quietSeconds * 1000; performance.now() < end; await sleep(500)) {
    if (deadAfterMs !== undefined) await hurry(pool, hasDead ? deadAfterMs : undefined)
    if (hasDead) await passHour(pool, hourAfterMs)
    const { rows } = await pool.query(`
      select (select count(*)::int from jobs where status in ('pending', 'processing')) as jobs,
        (select count(*)::int from webhooks where status = 'pending') as webhooks,
        (select count(*)::int from graphile_worker._private_jobs where attempts < max_attempts) as tasks`)
    const { jobs, webhooks, tasks } = rows[0]
    if (jobs + webhooks + tasks === 0) return
  }
  say('it has not become quiet in the time given')
}

async function tell(
  pool: pg.Pool,
  underWay: number,
  gateways: Gateway[],
  say: Options['say'],
): Promise<void> {
  const deaths = gateways.flatMap((gateway) => gateway.deaths)
  const { rows } = await pool
    .query('select status::text, count(*)::int from jobs group by 1 order by 1')
    .catch(() => ({ rows: [] }))
  const jobs = rows.map(({ status, count }) => `${count} ${status}`).join(', ') || 'the database is away'
  say(`${jobs}; ${underWay} clients under way; ${deaths.length} deaths`)
}

/** A picture for the models that take one. */
async function servePicture(): Promise<{ url: string; close(): void }> {
  const canvas = createCanvas(400, 400)
  canvas.getContext('2d').fillRect(0, 0, 200, 400)
  const picture = canvas.toBuffer('image/png')
  const server = createServer((_, response) => response.setHeader('content-type', 'image/png').end(picture))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/picture.png`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
