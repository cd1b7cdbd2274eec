import type pg from 'pg'
import type { Logger } from 'pino'
import { type Db, transaction } from '../db.ts'
import { addDelivery } from './deliver.ts'

export interface Delivery {
  attempt: number
  webhookId: string
  startedAt: Date
  latencyMs: number
  httpStatus: number | null
  error: string | null
  response: string | null
  delivered: boolean
  isRedelivery: boolean
}

const mostShown = 100

/** The newest attempts of a job's webhook, newest first, and when the next one is made if one is due. */
export async function listDeliveries(
  db: Db,
  jobId: string,
): Promise<{ deliveries: Delivery[]; nextAttemptAt: Date | null }> {
  const { rows: deliveries } = await db.query<Delivery>(
    `select t.attempt, t.webhook_id as "webhookId", t.started_at as "startedAt", t.latency_ms as "latencyMs",
       t.http_status as "httpStatus", t.error, t.error is null as delivered, t.is_redelivery as "isRedelivery",
       case when t.http_status is not null then t.response_excerpt end as response
     from webhook_attempts t join webhooks w on w.id = t.webhook_id
     where w.job_id = $1 order by t.attempt desc limit ${mostShown}`,
    [jobId],
  )
  const { rows } = await db.query<{ run_at: Date | null }>(
    // by key, since the queue may be long
    `select min(t.run_at) + (filmgate_now() - queue_now()) as run_at from webhooks w
     join graphile_worker.jobs t on t.key = any(array[
       case when w.status = 'pending' then w.id end,
       case when w.redelivery_asked_at is not null then 'redeliver:' || w.id end])
     where w.job_id = $1`,
    [jobId],
  )
  return { deliveries, nextAttemptAt: rows[0]?.run_at ?? null }
}

export interface Undelivered {
  jobId: string
  /** Of its receiver. The rest of the address may hold secrets. */
  host: string
  attempts: number
  /** What the last attempt met. */
  trouble: string
  /** Null where it has been given up. */
  nextAttemptAt: Date | null
}

/** Webhooks whose last attempt failed and is to be made again, and those that were given up within a day; the oldest first. */
export async function listUndelivered(
  db: Db,
  limit: number,
  status?: string | undefined,
): Promise<Undelivered[]> {
  const { rows } = await db.query<Omit<Undelivered, 'host'> & { url: string }>(
    `select w.job_id as "jobId", w.url, last.attempt as attempts,
       coalesce(last.error, 'HTTP ' || last.http_status) as trouble,
       case when w.status = 'pending' then (
         select t.run_at + (filmgate_now() - queue_now()) from graphile_worker.jobs t where t.key = w.id) end as "nextAttemptAt"
     from webhooks w
     join jobs j on j.id = w.job_id
     join lateral (
       select attempt, error, http_status from webhook_attempts a where a.webhook_id = w.id order by attempt desc limit 1
     ) last on last.error is not null
     where (w.status = 'pending' or w.status = 'failed' and j.completed_at > filmgate_now() - interval '1 day')
       and ($2::text is null or j.status::text = $2)
     order by w.id limit $1`,
    [limit, status ?? null],
  )
  return rows.map(({ url, ...row }) => ({ ...row, host: URL.parse(url)?.host ?? '' }))
}

/**
 * Queues one more attempt at once, beside the schedule. While an earlier one that was asked for so waits or is
 * under way nothing is added. Answers the webhook's id; undefined if the job has no webhook.
 */
export async function askRedelivery(pool: pg.Pool, jobId: string, now: Date): Promise<string | undefined> {
  return transaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `update webhooks set redelivery_asked_at = $2 where job_id = $1 and redelivery_asked_at is null returning id`,
      [jobId, now],
    )
    if (rows[0] !== undefined) await addDelivery(client, rows[0].id, { isRedelivery: true })
    const found = await client.query<{ id: string }>('select id from webhooks where job_id = $1', [jobId])
    return found.rows[0]?.id
  })
}

/** Adds a task to every webhook that should have one and has none, whatever became of it. */
export async function reviveWebhooks({ pool, log }: { pool: pg.Pool; log: Logger }): Promise<void> {
  const { rows } = await pool.query<{ id: string; is_redelivery: boolean }>(
    `select w.id, due.is_redelivery
     from webhooks w
     cross join lateral (values (false, w.id, w.status = 'pending'),
       (true, 'redeliver:' || w.id, w.redelivery_asked_at is not null)) as due (is_redelivery, key, is_due)
     where (w.status = 'pending' or w.redelivery_asked_at is not null) and due.is_due and not exists (
       select from graphile_worker.jobs t
       where t.key = due.key and t.attempts < t.max_attempts
         -- one that has been locked for very long was taken and never received
         and (t.locked_at is null or t.locked_at > queue_now() - interval '1 hour'))
     limit 500`,
  )
  for (const { id, is_redelivery: isRedelivery } of rows) await addDelivery(pool, id, { isRedelivery })
  if (rows.length > 0)
    log.warn({ webhooks: rows.map((row) => row.id) }, 'took up webhooks that had lost their task')
}
