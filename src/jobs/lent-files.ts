import type { Db } from '../db.ts'
import { limitedTo } from '../limited-to.ts'
import type { JobContext } from './context.ts'

const atOnce = 8
const batch = 100
/** The sweep has other work, and comes again in a minute. */
const budgetMs = 20_000

/**
 * Removes the copies of input files that were lent to upstreams, once their job has ended, or two days after they were last
 * lent: the file first, so that dying in between leaves a row to be done again. One that can't be removed is passed over and
 * tried again by the next sweep; a storage that takes nothing at all ends this one.
 */
export async function removeLentFiles({
  pool,
  storage,
  log,
}: Pick<JobContext, 'pool' | 'storage' | 'log'>): Promise<void> {
  const failed: string[] = []
  const inTurn = limitedTo(atOnce)
  const removeOne = async (key: string) => {
    try {
      await storage.remove(key)
      await pool.query('delete from lent_files where key = $1', [key])
    } catch (error) {
      failed.push(key)
      log.error({ err: error, key }, 'a file lent to an upstream could not be removed')
    }
  }
  for (const endsAt = performance.now() + budgetMs; performance.now() < endsAt; ) {
    const keys = await findOver(pool, failed)
    if (keys.length === 0) return
    const failedBefore = failed.length
    await Promise.all(keys.map((key) => inTurn(() => removeOne(key))))
    if (failed.length > failedBefore) await storage.ready()
  }
}

async function findOver(db: Db, passedOver: string[]): Promise<string[]> {
  const { rows } = await db.query<{ key: string }>(
    `select key from lent_files f join jobs j on j.id = f.job_id
     where (j.status in ('completed', 'failed', 'cancelled') or f.created_at < filmgate_now() - interval '2 days')
       and key <> all($1)
     order by f.created_at limit ${batch}`,
    [passedOver],
  )
  return rows.map(({ key }) => key)
}
