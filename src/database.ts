import type pg from 'pg'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { createPool } from './db.ts'
import { openEmbeddedPostgres } from './postgres/embedded.ts'
import { watchLockWaits } from './postgres/lock-waits.ts'
import { requireSessions } from './postgres/sessions.ts'

export interface Database {
  pool: pg.Pool
  /** A pool for the queue's library; the caller ends it. */
  openQueuePool(): pg.Pool
  /** A pool for the look-ups of nearly every request, which then wait for no slower statement; the caller ends it. */
  openLookupPool(): pg.Pool
  /** A pool for pipelinedTransaction; the caller ends it. */
  openPipelinedPool(): pg.Pool
  isEmbedded: boolean
  /** Says each lock that `pool` waits for too long; the answer ends it. */
  sayLockWaits(say: (line: string) => void): () => Promise<void>
  close(): Promise<void>
}

/**
 * Opens the database that the settings name: DATABASE_URL, or the embedded PostgreSQL in the data folder. Only
 * one server at a time may open the embedded one, beside any number of commands. `onLost` hears when it is
 * gone for good.
 */
export async function openDatabase(
  config: Pick<Config, 'databaseUrl' | 'dataDir'>,
  role: 'server' | 'command',
  log: Logger,
  onLost: (error: Error) => void = () => {},
): Promise<Database> {
  const onError = (error: Error) => log.warn({ err: error }, 'an idle database connection died')
  const open = (connection: pg.PoolConfig) => {
    const isServer = role === 'server'
    // whoever waits for one of our locks is told by it which process holds it
    const named = { ...connection, application_name: `filmgate ${role} ${process.pid}` }
    const pool = createPool(named, { max: isServer ? 16 : 2, onError, isHasty: isServer })
    return {
      pool,
      sayLockWaits: (say: (line: string) => void) => watchLockWaits(pool, connection, say),
      openQueuePool: () => createPool(named, { max: 16, onError, isForQueue: true }),
      openLookupPool: () => createPool(named, { max: 4, onError, isHasty: true, isForLookups: true }),
      openPipelinedPool: () => createPool(named, { max: 2, onError, isHasty: true, isPipelined: true }),
    }
  }
  if (config.databaseUrl !== undefined) {
    const connection = { connectionString: config.databaseUrl }
    await requireSessions(connection)
    const pools = open(connection)
    return { ...pools, isEmbedded: false, close: () => pools.pool.end() }
  }
  const embedded = await openEmbeddedPostgres({ dataDir: config.dataDir, role, log, lost: onLost })
  const pools = open(embedded.connection)
  return {
    ...pools,
    isEmbedded: true,
    async close() {
      await pools.pool.end()
      await embedded.close()
    },
  }
}
