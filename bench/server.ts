import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { pino } from 'pino'
import { createKey } from '../src/accounts/keys.ts'
import { createUser } from '../src/accounts/users.ts'
import { type Database, openDatabase } from '../src/database.ts'
import { credit } from '../src/ledger/ledger.ts'

export interface Customer {
  accountId: bigint
  key: string
}

/** Runs `work` beside a server on a fresh data folder with 100 customers who have money for everything. */
export async function withServer(
  role: 'all' | 'api',
  work: (bench: { url: string; database: Database; customers: Customer[] }) => Promise<void>,
): Promise<void> {
  await withDatabase(async ({ database, startServer }) => {
    const server = await startServer(role)
    try {
      await work({ url: server.url, database, customers: await makeCustomers(database.pool, 100) })
    } finally {
      await server.stop()
    }
  })
}

/** A server in a process of its own; a worker has no URL. */
export interface Server {
  url: string
  stop(): Promise<void>
}

/** Lends a fresh data folder with its database, on which servers can be started. */
export async function withDatabase(
  work: (bench: {
    database: Database
    dataDir: string
    startServer(role: string, environment?: Record<string, string>): Promise<Server>
  }) => Promise<void>,
): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-bench-'))
  // as root, PostgreSQL runs as another user, who must be able to enter
  await chmod(dataDir, 0o755)
  const database = await openDatabase(
    { databaseUrl: undefined, dataDir },
    'command',
    pino({ level: 'silent' }),
  )
  try {
    await work({ database, dataDir, startServer: (...how) => startServer(dataDir, ...how) })
  } finally {
    await database.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** Users with money for everything and a key each. */
export async function makeCustomers(pool: pg.Pool, count: number): Promise<Customer[]> {
  const customers: Customer[] = []
  for (let index = 0; index < count; index++) {
    const user = await createUser(pool, { email: `bench-${index}@example.com`, concurrencyLimit: null })
    await credit(pool, { userId: user!.userId, mode: 'test' }, 10n ** 14n, 'bench')
    const { key } = await createKey(pool, { userId: user!.userId, mode: 'test' })
    const { rows } = await pool.query<{ id: bigint }>(
      "select id from accounts where user_id = $1 and mode = 'test'",
      [user!.userId],
    )
    customers.push({ accountId: rows[0]!.id, key })
  }
  return customers
}

async function startServer(
  dataDir: string,
  role: string,
  environment: Record<string, string> = {},
): Promise<Server> {
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0', '--role', role], {
    cwd: join(import.meta.dirname, '..'),
    env: {
      ...process.env,
      FILMGATE_DATA_DIR: dataDir,
      DATABASE_URL: '',
      FILMGATE_LOG_LEVEL: 'error',
      FILMGATE_REQUESTS_PER_MINUTE: '999999999',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const line = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  const ready = /^filmgate ready on (\S+)/.exec(String(line[0]))
  if (ready === null) throw new Error('the server did not start')
  const stop = async () => {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  return { url: ready[1]!, stop }
}
