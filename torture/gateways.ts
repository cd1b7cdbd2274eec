import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DurableStep, durableSteps } from '../src/fault-points.ts'
import { pick, type Random } from '../src/providers/sandbox/random.ts'
import type { Weather } from './server.ts'

export type Death = 'kill -9' | 'fault point' | 'drained' | 'not started' | 'by itself'

export interface Gateway {
  url: string
  /** Clients go to those that are, while there is one. */
  isUp: boolean
  /** Each end of its processes: how, and when by performance.now(). */
  deaths: { how: Death; at: number; detail: string }[]
  /** kill -9; it comes back by itself. */
  kill(): void
  /** SIGTERM; it comes back by itself. */
  drain(): Promise<void>
  /** Stops the process where it stands, as a machine that is paused does, and lets it go on. */
  pause(ms: number): Promise<void>
  tell(news: Partial<Weather>): void
  /** Ends it for good, by SIGTERM. */
  stop(): Promise<void>
}

interface Options {
  dataDir: string
  databaseUrl: string
  /** What the operator has set: upstreams and the public address. */
  settings: Record<string, string>
  random: Random
  /** Whether a new process is told to die at one of the durable steps. */
  hasFaultPoint(): boolean
  /** By performance.now(); without end while PostgreSQL is away, when no process starts. */
  databaseAwayUntil(): number
  onLine(line: string): void
}

const startLimitMs = 60_000
/** Between its being taken out of turn and its being told to stop. */
const leavingMs = 500

/** One server, which is started again on its port however it ends. */
export async function startGateway(options: Options): Promise<Gateway> {
  const port = await freePort()
  const weather: Weather = { clockOffsetMs: 0, isStorageFull: false }
  let child: ChildProcess
  let startedAt = 0
  let expected: Death | undefined
  let isOver = false
  const ready = Promise.withResolvers<void>()
  const gateway: Gateway = {
    url: `http://127.0.0.1:${port}`,
    isUp: false,
    deaths: [],
    kill() {
      expected = 'kill -9'
      child.kill('SIGKILL')
    },
    async drain() {
      const leaving = child
      expected = 'drained'
      // as a balancer does it: what is sent to a door that is being shut the kernel resets, before the server sees it
      gateway.isUp = false
      await sleep(leavingMs)
      if (leaving.exitCode !== null || leaving.signalCode !== null) return
      const exited = once(leaving, 'exit')
      leaving.kill('SIGTERM')
      await exited
    },
    async pause(ms) {
      const paused = child
      paused.kill('SIGSTOP')
      await sleep(ms)
      paused.kill('SIGCONT')
    },
    tell(news) {
      Object.assign(weather, news)
      // one that is dying just now can't be told; the one after it is
      if (child.connected) child.send(news, () => {})
    },
    async stop() {
      while (!gateway.isUp && expected !== 'drained') await sleep(20)
      isOver = true
      if (expected !== 'drained') await gateway.drain()
      await running
    },
  }

  async function run(): Promise<void> {
    while (!isOver) {
      const faultPoint = options.hasFaultPoint() ? chooseFaultPoint(options.random) : ''
      expected = undefined
      startedAt = performance.now()
      child = startProcess(options, { port, faultPoint, weather })
      for (const output of [child.stdout!, child.stderr!]) createInterface(output).on('line', options.onLine)
      child.once('message', () => {
        gateway.isUp = expected === undefined
        ready.resolve()
      })
      const [code, signal] = await once(child, 'exit')
      const how = deathOf(expected, gateway.isUp, { code, signal, faultPoint })
      gateway.isUp = false
      gateway.deaths.push({
        how,
        at: performance.now(),
        detail: how === 'fault point' ? faultPoint : `${signal ?? code}`,
      })
      while (!isOver && options.databaseAwayUntil() > performance.now()) await sleep(50)
    }
  }

  function deathOf(
    told: Death | undefined,
    wasUp: boolean,
    { code, signal, faultPoint }: { code: number | null; signal: string | null; faultPoint: string },
  ): Death {
    if (told === 'drained') return code === 0 ? told : 'by itself'
    if (told !== undefined) return told
    if (signal === 'SIGKILL' && faultPoint !== '') return 'fault point'
    return !wasUp && options.databaseAwayUntil() > startedAt ? 'not started' : 'by itself'
  }

  const running = run()
  const tooLate = sleep(startLimitMs, undefined, { ref: false }).then(() => {
    throw new Error('a server did not start')
  })
  await Promise.race([ready.promise, tooLate])
  return gateway
}

function startProcess(
  { dataDir, databaseUrl, settings }: Options,
  { port, faultPoint, weather }: { port: number; faultPoint: string; weather: Weather },
): ChildProcess {
  const start = { port: String(port), ...weather }
  return fork(join(import.meta.dirname, 'server.ts'), [JSON.stringify(start)], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      PATH: process.env.PATH,
      ...settings,
      DATABASE_URL: databaseUrl,
      FILMGATE_DATA_DIR: dataDir,
      FILMGATE_ALLOW_PRIVATE_NETWORK: '1',
      FILMGATE_LOG_LEVEL: 'warn',
      FILMGATE_REQUESTS_PER_MINUTE: '999999999',
      FILMGATE_FAULT_POINT: faultPoint,
    },
  })
}

function chooseFaultPoint(random: Random): string {
  const step: DurableStep = pick(random, durableSteps)
  return `${step}:${pick(random, ['before', 'after'])}:${1 + Math.floor(random() * 20)}`
}

/** Below those that connections take as their own end, so that it is free again after each death. Not by the seed: two runs of one seed may go on side by side. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ])
    if (isFree) await new Promise((resolve) => server.close(resolve))
    if (isFree) return port
  }
}
