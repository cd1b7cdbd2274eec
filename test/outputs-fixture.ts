import { Readable } from 'node:stream'
import type pg from 'pg'
import { newId } from '../src/ids.ts'
import type { Storage } from '../src/storage/storage.ts'
import type { Customer } from './database.ts'

/** Writes a completed job with one film, its poster and its thumbnail, as settling does, without rendering anything. */
export async function addCompletedJob(
  pool: pg.Pool,
  storage: Storage,
  { accountId, keyId }: Pick<Customer, 'accountId' | 'keyId'>,
  completedAt = new Date(),
): Promise<{ jobId: string; keys: [string, string, string] }> {
  const jobId = newId('job', completedAt)
  await pool.query(
    `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, provider, status,
       cost_micro_cents, created_at, estimated_completion_at, dispatched_at, deadline_at, completed_at)
     values ($1, $2, $3, 'req_x', 'a/b/c', '1', '{}', 'sandbox', 'completed', 0, $4, $4, $4, $4, $4)`,
    [jobId, accountId, keyId, completedAt],
  )
  const base = `outputs/${jobId}/0`
  const keys: [string, string, string] = [`${base}.mp4`, `${base}-poster.jpg`, `${base}-thumbnail.jpg`]
  for (const key of keys) await storage.put(key, Readable.from([Buffer.from(key)]))
  await pool.query(
    `insert into job_outputs (job_id, position, type, key, poster_key, thumbnail_key, content_type, bytes, sha256)
     values ($1, 0, 'video', $2, $3, $4, 'video/mp4', 1, '')`,
    [jobId, ...keys],
  )
  return { jobId, keys }
}
