import type pg from 'pg'
import { type Db, storable, transaction } from '../db.ts'
import { type JobFailureCode, jobFailures } from '../errors.ts'
import { durable } from '../fault-points.ts'
import { newId } from '../ids.ts'
import { refund } from '../ledger/ledger.ts'
import { addTask } from '../queue/tasks.ts'
import { addDelivery } from '../webhooks/deliver.ts'
import { type ChangedJob, changeStatus } from './life.ts'

/** A stored output file with what is known of it. */
export interface StoredOutput {
  type: 'video' | 'image' | 'audio'
  key: string
  posterKey: string | null
  thumbnailKey: string | null
  contentType: string
  bytes: number
  sha256: string
  width: number | null
  height: number | null
  durationSeconds: number | null
  format: string
}

/** Makes the public URL of a stored file. */
export type FileUrl = (key: string) => string

/**
 * Ends a processing job as completed, with its outputs and webhook, in one transaction. Answers false if the
 * job had ended before: then nothing is changed.
 */
export async function completeJob(
  pool: pg.Pool,
  jobId: string,
  outputs: StoredOutput[],
  fileUrl: FileUrl,
  now: Date,
): Promise<boolean> {
  const complete = async (client: pg.PoolClient) => {
    const job = await changeStatus(client, jobId, { from: 'processing', to: 'completed', at: now })
    if (job === undefined) return false
    for (const [position, output] of outputs.entries()) await insertOutput(client, jobId, position, output)
    await client.query('delete from polls where job_id = $1', [jobId])
    const end = {
      status: 'completed',
      output: webhookOutput(outputs, fileUrl),
      completedAt: now.toISOString(),
    }
    await addWebhook(client, jobId, job, end, now)
    return true
  }
  return durable('job.complete', () => transaction(pool, complete))
}

export interface Failure {
  code: JobFailureCode
  /** Public; that the charge was given back is added to it. */
  message?: string
}

/** The words may be an upstream's own, and go to the webhook, the timeline and every get. */
const longestMessage = 1_000

/**
 * Ends a processing job as failed, with its refund and webhook, in one transaction. Answers false if the job had ended
 * before.
 */
export async function failJob(
  pool: pg.Pool,
  jobId: string,
  failure: Failure,
  now: Date,
  options: { lateWatchMs?: number | undefined } = {},
): Promise<boolean> {
  return durable('job.fail', () =>
    transaction(pool, (client) => failJobWithin(client, jobId, failure, now, options)),
  )
}

/** The same in the caller's transaction. `lateWatchMs`: the upstream is asked again then, for a result that comes late. */
export async function failJobWithin(
  client: pg.PoolClient,
  jobId: string,
  failure: Failure,
  now: Date,
  options: { lateWatchMs?: number | undefined; detail?: Record<string, unknown> } = {},
): Promise<boolean> {
  const why = storable((failure.message ?? jobFailures[failure.code]).slice(0, longestMessage))
  const message = `${why} The credits for this job were refunded.`
  const error = { code: failure.code, message }
  const { detail } = options
  const job = await changeStatus(client, jobId, { from: 'processing', to: 'failed', at: now, error, detail })
  if (job === undefined) return false
  await refund(client, jobId)
  await endPolls(client, jobId, options.lateWatchMs)
  const end = { status: 'failed', error, completedAt: now.toISOString() }
  await addWebhook(client, jobId, job, end, now)
  return true
}

/** Nothing more is asked about an ended job, unless a late result is to be noted; what was copied of its files goes. */
export async function endPolls(
  client: pg.PoolClient,
  jobId: string,
  lateWatchMs?: number | undefined,
): Promise<void> {
  const { rows } = await client.query<{ had_files: boolean }>(
    `update polls set outputs = null, due_at = filmgate_now() + coalesce($2, 0) * interval '1 ms', failures = 0
     where job_id = $1
     returning (select old.outputs is not null or old.output_failures > 0 from polls old where old.job_id = $1) as had_files`,
    [jobId, lateWatchMs ?? null],
  )
  if (lateWatchMs === undefined) await client.query('delete from polls where job_id = $1', [jobId])
  if (rows[0]?.had_files) await addTask(client, 'discard', { jobId })
}

async function insertOutput(db: Db, jobId: string, position: number, output: StoredOutput): Promise<void> {
  await db.query(
    `insert into job_outputs (job_id, position, type, key, poster_key, thumbnail_key, content_type, bytes, sha256,
       width, height, duration_seconds)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    [
      jobId,
      position,
      output.type,
      output.key,
      output.posterKey,
      output.thumbnailKey,
      output.contentType,
      output.bytes,
      output.sha256,
      output.width,
      output.height,
      output.durationSeconds,
    ],
  )
}

function webhookOutput(outputs: StoredOutput[], fileUrl: FileUrl) {
  const first = outputs[0]!
  return {
    [first.type === 'image' ? 'imageUrl' : 'videoUrl']: fileUrl(first.key),
    outputs: outputs.map((output) => toPublicOutput(output, fileUrl)),
    metadata: {
      width: first.width,
      height: first.height,
      format: first.format,
      ...(first.durationSeconds !== null && { durationSeconds: first.durationSeconds }),
    },
  }
}

/** An output as get and webhook show it. */
export function toPublicOutput(
  output: { type: string; key: string; posterKey: string | null; thumbnailKey: string | null },
  fileUrl: FileUrl,
) {
  return {
    url: fileUrl(output.key),
    type: output.type,
    thumbnail: output.thumbnailKey === null ? null : fileUrl(output.thumbnailKey),
    posterImage: output.posterKey === null ? null : fileUrl(output.posterKey),
  }
}

/** Has a job's end told to its webhook. The body is written as it will be sent: every attempt signs and sends the same bytes. */
export async function addWebhook(
  db: Db,
  jobId: string,
  job: ChangedJob,
  end: Record<string, unknown>,
  now: Date,
): Promise<void> {
  if (job.webhook_url === null) return
  const id = newId('msg', now)
  const metadata = job.metadata === null ? {} : { metadata: job.metadata }
  const body = JSON.stringify({ jobId, requestId: job.request_id, ...end, ...metadata })
  await db.query('insert into webhooks (id, job_id, url, body) values ($1, $2, $3, $4)', [
    id,
    jobId,
    job.webhook_url,
    body,
  ])
  await addDelivery(db, id, { isRedelivery: false })
}
