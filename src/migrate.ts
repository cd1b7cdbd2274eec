import { join } from 'node:path'
import { runMigrations } from 'graphile-worker'
import { runner } from 'node-pg-migrate'
import type pg from 'pg'
import type { Logger } from 'pino'
import { isTransient } from './db.ts'

const migrationLock = 7_205_001

// A connection caches the plans of this function at its first call. Made while few tasks wait they read the whole
// table, which takes 14 ms once 100,000 wait; by index they are good for any number.
const plansThatStayGood = `
  alter function graphile_worker.add_jobs(graphile_worker.job_spec[], boolean)
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off`

/** Brings the queue's tables and then ours (`sql/`) to the newest form. Processes that start together take turns. */
export async function migrate(pool: pg.Pool, log: Logger): Promise<void> {
  const client = await pool.connect()
  try {
    // a process that starts beside another waits for its migrations, however long they take
    await client.query('set statement_timeout = 0; set lock_timeout = 0')
    await client.query('select pg_advisory_lock($1)', [migrationLock])
    await runMigrations({ pgPool: pool })
    await client.query(plansThatStayGood)
    await bringUp(client, log)
  } finally {
    // ending the connection is what surely gives the lock back
    client.release(true)
  }
}

// Processes of the version before go on meanwhile, and some of their statements lock two tables in the other order: of
// the two that then wait for each other PostgreSQL ends one.
const mostAttempts = 10

async function bringUp(client: pg.PoolClient, log: Logger): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await runner({
        dbClient: client,
        dir: join(import.meta.dirname, '..', 'sql'),
        migrationsTable: 'migrations',
        direction: 'up',
        checkOrder: true,
        // the lock of migrate waits; the library's own gives up at once
        noLock: true,
        log: (message) => log.debug(message),
      })
      return
    } catch (error) {
      if (!isTransient(error) || attempt === mostAttempts) throw error
      log.warn({ err: error }, 'a migration was in the way of other processes; it is tried again')
      await client.query('rollback')
    }
  }
}
