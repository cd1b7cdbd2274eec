import type pg from 'pg'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { createPool } from './db.ts'
import { openEmbeddedPostgres } from './postgres/embedded.ts'

export interface Database {
  pool: pg.Pool
  isEmbedded: boolean
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
  const max = role === 'server' ? 16 : 2
  if (config.databaseUrl !== undefined) {
    const pool = createPool({ connectionString: config.databaseUrl }, max, onError)
    return { pool, isEmbedded: false, close: () => pool.end() }
  }
  const embedded = await openEmbeddedPostgres({ dataDir: config.dataDir, role, log, lost: onLost })
  const pool = createPool(embedded.connection, max, onError)
  return {
    pool,
    isEmbedded: true,
    async close() {
      await pool.end()
      await embedded.close()
    },
  }
}
