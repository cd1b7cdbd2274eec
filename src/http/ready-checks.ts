import type pg from 'pg'
import { type Clock, clockFault } from '../clock.ts'
import type { Disk } from '../disk.ts'
import type { Check } from '../health.ts'
import { deadAfterMs } from '../queue/heartbeat.ts'
import type { Storage } from '../storage/storage.ts'

interface Asked {
  pool: pg.Pool
  /** Those that the process has. */
  lookupPool: pg.Pool
  submitPool: pg.Pool | undefined
  queuePool: pg.Pool | undefined
  storage: Storage
  disk: Disk
  clock: Clock
}

/** What must be well for a request with a key to be served, and for a job to be made. */
export function readyChecks(asked: Asked): Record<string, Check> {
  const { pool, lookupPool, submitPool, queuePool, storage, disk, clock } = asked
  return {
    database: () => requireWritable(pool),
    lookups: async () => void (await lookupPool.query('select from api_keys limit 1')),
    ...(submitPool && { submits: () => requireWritable(submitPool) }),
    queue: async () => void (await (queuePool ?? pool).query('select from graphile_worker.jobs limit 1')),
    storage: async () => void (await storage.ready()),
    disk: async () => {
      const room = await disk.look()
      if (room === 'none') throw new Error('the disk is below its reserve')
      return room === 'low' ? 'the disk is filling up' : undefined
    },
    workers: async () =>
      (await hasWorker(pool)) ? undefined : 'no worker is alive: jobs are taken and wait for one',
    clock: async () => clockFault(clock),
  }
}

// A database that takes no writes, such as a standby, serves no submit.
async function requireWritable(pool: pg.Pool): Promise<undefined> {
  const { rows } = await pool.query("select current_setting('transaction_read_only') as read_only")
  if (rows[0].read_only !== 'off') throw new Error('the database takes no writes')
}

async function hasWorker(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query(
    `select exists (
       select from processes
       where beat_at > filmgate_now() - $1 * interval '1 ms' and cardinality(worker_ids) > 0
     ) as is_alive`,
    [deadAfterMs],
  )
  return rows[0].is_alive
}
