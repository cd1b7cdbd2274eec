import type pg from 'pg'
import { type Db, transaction } from '../db.ts'
import { type JobFailureCode, jobFailures } from '../errors.ts'
import { newId } from '../ids.ts'
import { refund } from '../ledger/ledger.ts'
import { addDelivery } from '../webhooks/deliver.ts'

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

interface EndedRow {
  request_id: string
  webhook_url: string | null
  metadata: Record<string, string> | null
}

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
  return transaction(pool, async (client) => {
    const { rows } = await client.query<EndedRow>(
      `update jobs set status = 'completed', completed_at = $2
       where id = $1 and status = 'processing' returning request_id, webhook_url, metadata`,
      [jobId, now],
    )
    const job = rows[0]
    if (job === undefined) return false
    for (const [position, output] of outputs.entries()) await insertOutput(client, jobId, position, output)
    await addWebhook(client, jobId, job, {
      status: 'completed',
      output: webhookOutput(outputs, fileUrl),
      completedAt: now.toISOString(),
    })
    return true
  })
}

/**
 * Ends a processing job as failed, with its refund and webhook, in one transaction. `message` is public; that
 * the charge was given back is added to it. Answers false if the job had ended before.
 */
export async function failJob(
  pool: pg.Pool,
  jobId: string,
  failure: { code: JobFailureCode; message?: string },
  now: Date,
): Promise<boolean> {
  const message = `${failure.message ?? jobFailures[failure.code]} The credits for this job were refunded.`
  return transaction(pool, async (client) => {
    const { rows } = await client.query<EndedRow>(
      `update jobs set status = 'failed', completed_at = $2, error_code = $3, error_message = $4
       where id = $1 and status = 'processing' returning request_id, webhook_url, metadata`,
      [jobId, now, failure.code, message],
    )
    const job = rows[0]
    if (job === undefined) return false
    await refund(client, jobId)
    await addWebhook(client, jobId, job, {
      status: 'failed',
      error: { code: failure.code, message },
      completedAt: now.toISOString(),
    })
    return true
  })
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

// The body is written down as it will be sent: every attempt signs and sends the same bytes.
async function addWebhook(db: Db, jobId: string, job: EndedRow, end: Record<string, unknown>): Promise<void> {
  if (job.webhook_url === null) return
  const id = newId('msg', new Date())
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
