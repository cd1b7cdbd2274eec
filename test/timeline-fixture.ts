import assert from 'node:assert/strict'
import type pg from 'pg'
import { changeStatus } from '../src/jobs/life.ts'
import { completeJob, failJob } from '../src/jobs/settle.ts'
import type { Customer } from './database.ts'
import type { Gateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

/** A pending job on a server whose tasks nobody works off. `isOlder`: without the entry that a submit writes. */
export async function addJob(
  gateway: Gateway,
  pool: pg.Pool,
  { key }: Pick<Customer, 'key'>,
  options: { isOlder?: boolean; metadata?: Record<string, string> } = {},
): Promise<string> {
  const { isOlder = false, metadata = {} } = options
  const body = { ...seedBody(textToVideo), metadata }
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  const { jobId } = answer.body
  if (isOlder) await pool.query('delete from job_events where job_id = $1', [jobId])
  return jobId
}

/** An entry that is no change of status. */
export async function addEvent(pool: pg.Pool, jobId: string, kind: string): Promise<void> {
  const detail = { cause: 'secret-cause', provider: 'secret-upstream', host: 'secret.example.com' }
  await pool.query('insert into job_events (job_id, at, kind, detail) values ($1, $2, $3, $4)', [
    jobId,
    new Date(),
    kind,
    detail,
  ])
}

export async function takeUp(pool: pg.Pool, jobId: string): Promise<void> {
  const at = new Date()
  await changeStatus(pool, jobId, { from: 'pending', to: 'processing', at, timeLimitMs: 0 })
}

const output = {
  type: 'image',
  key: 'outputs/one.jpg',
  posterKey: null,
  thumbnailKey: null,
  contentType: 'image/jpeg',
  bytes: 1,
  sha256: '00',
  width: 1,
  height: 1,
  durationSeconds: null,
  format: 'jpg',
} as const

export async function complete(pool: pg.Pool, jobId: string): Promise<void> {
  await completeJob(pool, jobId, [output], (key) => key, new Date())
}

export async function fail(pool: pg.Pool, jobId: string): Promise<void> {
  await failJob(pool, jobId, { code: 'GENERATION_FAILED' }, new Date())
}
