import type pg from 'pg'
import type { Clock } from '../clock.ts'
import { transaction } from '../db.ts'
import type { Outbound } from '../outbound.ts'
import { addTask } from '../queue/tasks.ts'
import { nextAttemptDelayMs, sendWebhook, type WebhookAttempt } from './send.ts'

interface WebhookRow {
  url: string
  body: string
  webhook_secret: string
  attempts: number
}

/**
 * Makes the next attempt of a pending webhook, writes it down, and plans the one after it or gives up. Dying
 * between attempt and record repeats the attempt: delivery is at least once, with one webhook-id throughout.
 */
export async function deliverWebhook(
  context: { pool: pg.Pool; clock: Clock; outbound: Outbound },
  webhookId: string,
): Promise<void> {
  const { pool, clock, outbound } = context
  const { rows } = await pool.query<WebhookRow>(
    `select w.url, w.body, u.webhook_secret,
       (select count(*)::int from webhook_attempts t where t.webhook_id = w.id) as attempts
     from webhooks w
     join jobs j on j.id = w.job_id
     join accounts a on a.id = j.account_id
     join users u on u.id = a.user_id
     where w.id = $1 and w.status = 'pending'`,
    [webhookId],
  )
  const webhook = rows[0]
  if (webhook === undefined) return
  const startedAt = clock.now()
  const attempt = await sendWebhook({
    url: webhook.url,
    body: webhook.body,
    id: webhookId,
    secret: webhook.webhook_secret,
    dispatcher: outbound.dispatcher,
    now: startedAt,
  })
  await record(pool, webhookId, webhook.attempts + 1, attempt, startedAt, clock.now())
}

async function record(
  pool: pg.Pool,
  webhookId: string,
  number: number,
  attempt: WebhookAttempt,
  startedAt: Date,
  now: Date,
): Promise<void> {
  const delayMs = attempt.delivered ? undefined : nextAttemptDelayMs(number)
  const status = attempt.delivered ? 'sent' : delayMs === undefined ? 'failed' : 'pending'
  await transaction(pool, async (client) => {
    await client.query(
      `insert into webhook_attempts (webhook_id, attempt, started_at, latency_ms, http_status, error, response_excerpt)
       values ($1, $2, $3, $4, $5, $6, $7)
       on conflict do nothing`,
      [
        webhookId,
        number,
        startedAt,
        attempt.latencyMs,
        attempt.status ?? null,
        attempt.error ?? null,
        attempt.responseExcerpt,
      ],
    )
    // a delivery that another run of this task got through stays one
    const { rowCount } = await client.query(
      "update webhooks set status = $2 where id = $1 and status = 'pending'",
      [webhookId, status],
    )
    if (delayMs !== undefined && rowCount === 1) {
      const runAt = new Date(now.getTime() + delayMs)
      await addTask(client, 'deliver_webhook', { webhookId }, { runAt, key: webhookId })
    }
  })
}
