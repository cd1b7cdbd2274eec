import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { pino } from 'pino'
import { createKey } from '../src/accounts/keys.ts'
import { createUser } from '../src/accounts/users.ts'
import { createPool } from '../src/db.ts'
import { credit } from '../src/ledger/ledger.ts'
import { migrate } from '../src/migrate.ts'
import { setWebhookSchedule } from '../src/webhooks/schedule.ts'
import { type Postgres, startPostgres } from './postgres.ts'
import type { Truth } from './truth.ts'
import type { News, UpstreamOptions } from './upstream.ts'

/** What servers stand on: a data folder, a PostgreSQL with customers in it, and upstreams. */
export interface Stage {
  dataDir: string
  postgres: Postgres
  pool: pg.Pool
  customers: { key: string; webhookSecret: string }[]
  upstream: UpstreamProcess
  close(): Promise<void>
}

export interface UpstreamProcess {
  url: string
  tell(news: Exclude<News, 'truth'>): void
  truth(): Promise<Truth>
}

export async function setStage(upstream: UpstreamOptions, customerCount: number): Promise<Stage> {
  const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-torture-'))
  // as root, PostgreSQL runs as another user, who must be able to enter
  await chmod(dataDir, 0o755)
  const removeAll = { recursive: true, force: true }
  const undo: (() => unknown)[] = [() => rm(dataDir, removeAll)]
  process.once('exit', () => rmSync(dataDir, removeAll))
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const log = pino({ level: 'error' }, pino.destination(2))
    const postgres = await startPostgres(dataDir, log)
    undo.push(() => postgres.stop('fast'))
    const pool = createPool({ connectionString: postgres.url }, { max: 4, onError() {} })
    undo.push(() => pool.end())
    await migrate(pool, log)
    const upstreams = await startUpstreamProcess(upstream)
    undo.push(upstreams.close)
    const customers = await makeCustomers(pool, customerCount)
    return { dataDir, postgres, pool, customers, upstream: upstreams, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function startUpstreamProcess(options: UpstreamOptions): Promise<UpstreamProcess & { close(): void }> {
  const child = fork(join(import.meta.dirname, 'upstream.ts'), [JSON.stringify(options)])
  const [{ url }] = (await once(child, 'message')) as [{ url: string }]
  return {
    url,
    tell: (news) => void child.send(news),
    async truth() {
      const answer = once(child, 'message')
      child.send('truth' satisfies News)
      const [truth] = await answer
      return truth as Truth
    },
    close: () => child.disconnect(),
  }
}

async function makeCustomers(pool: pg.Pool, count: number): Promise<Stage['customers']> {
  const customers: Stage['customers'] = []
  for (let index = 0; index < count; index++) {
    // one of them runs into its limit
    const concurrencyLimit = index === 0 ? 12 : null
    const user = await createUser(pool, { email: `torture-${index}@example.com`, concurrencyLimit })
    const { userId, webhookSecret } = user!
    await credit(pool, { userId, mode: 'live' }, 10n ** 13n, 'torture')
    await setWebhookSchedule(pool, userId, 'short')
    const { key } = await createKey(pool, { userId, mode: 'live', scopes: undefined })
    customers.push({ key, webhookSecret })
  }
  return customers
}

/** The operator's own command, on the stage's database. */
export function filmgate(
  { dataDir, postgres }: Stage,
  args: string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env.PATH, DATABASE_URL: postgres.url, FILMGATE_DATA_DIR: dataDir }
  const cwd = join(import.meta.dirname, '..')
  return new Promise((resolve) => {
    execFile(process.execPath, ['src/main.ts', ...args], { cwd, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr })
    })
  })
}
