import { type ChildProcess, spawn } from 'node:child_process'
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
  const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-bench-'))
  // as root, PostgreSQL runs as another user, who must be able to enter
  await chmod(dataDir, 0o755)
  const database = await openDatabase(
    { databaseUrl: undefined, dataDir },
    'command',
    pino({ level: 'silent' }),
  )
  try {
    const server = await startServer(dataDir, role)
    try {
      await work({ url: server.url, database, customers: await makeCustomers(database.pool, 100) })
    } finally {
      server.child.kill('SIGTERM')
      await once(server.child, 'exit')
    }
  } finally {
    await database.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function makeCustomers(pool: pg.Pool, count: number): Promise<Customer[]> {
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

async function startServer(dataDir: string, role: string): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0', '--role', role], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, FILMGATE_DATA_DIR: dataDir, DATABASE_URL: '', FILMGATE_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const line = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  const url = /http:\S+/.exec(String(line[0]))?.[0]
  if (url === undefined) throw new Error('the server did not start')
  return { url, child }
}
