import { join } from 'node:path'
import { runMigrations } from 'graphile-worker'
import { runner } from 'node-pg-migrate'
import type pg from 'pg'
import type { Logger } from 'pino'

const migrationLock = 7_205_001

/** Brings the queue's tables and then ours (`sql/`) to the newest form. Processes that start together take turns. */
export async function migrate(pool: pg.Pool, log: Logger): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock])
    await runMigrations({ pgPool: pool })
    await runner({
      dbClient: client,
      dir: join(import.meta.dirname, '..', 'sql'),
      migrationsTable: 'migrations',
      direction: 'up',
      checkOrder: true,
      // the lock above waits; the library's own gives up at once
      noLock: true,
      log: (message) => log.debug(message),
    })
  } finally {
    // ending the connection is what surely gives the lock back
    client.release(true)
  }
}
