import { deleteOldUploads } from '../uploads/uploads.ts'
import type { JobContext } from './context.ts'

/** Removes what has outlived its use: idempotency keys after 24 hours, uploads after their last use. */
export async function sweep(context: Pick<JobContext, 'pool' | 'storage' | 'clock'>): Promise<void> {
  const { pool, storage, clock } = context
  const dayAgo = new Date(clock.now().getTime() - 24 * 3_600_000)
  await pool.query('delete from idempotency_keys where created_at < $1', [dayAgo])
  await deleteOldUploads(pool, storage, dayAgo)
}
