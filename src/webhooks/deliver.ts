import type pg from 'pg'
import type { Clock } from '../clock.ts'
import { type Db, transaction } from '../db.ts'
import type { Outbound } from '../outbound.ts'
import { addTask, type Tasks } from '../queue/tasks.ts'
import { nextAttemptDelayMs, type WebhookSchedule } from './schedule.ts'
import { type SecretsRow, toSecrets, type WebhookSecrets } from './secrets.ts'
import { sendWebhook, type WebhookAttempt } from './send.ts'
import { createTurns } from './turns.ts'

interface WebhookRow extends SecretsRow {
  id: string
  url: string
  body: string
  user_id: string
  attempts: number
}

interface Context {
  pool: pg.Pool
  clock: Clock
  outbound: Outbound
}

/** The task of one attempt: of the schedule, or asked for by hand. Each has a key of its own. */
export function addDelivery(
  db: Db,
  webhookId: string,
  options: { isRedelivery: boolean; runAt?: Date },
): Promise<void> {
  const { isRedelivery, ...when } = options
  const key = isRedelivery ? `redeliver:${webhookId}` : webhookId
  return addTask(
    db,
    'deliver_webhook',
    { webhookId, ...(isRedelivery && { isRedelivery }) },
    { ...when, key },
  )
}

/**
 * Makes attempts of webhooks. One attempt is made, written down, and the one after it planned; one too many for
 * its receiver is put back. Dying between attempt and record repeats the attempt: delivery is at least once, with
 * one webhook-id throughout.
 */
export function createDeliver(context: Context): (task: Tasks['deliver_webhook']) => Promise<void> {
  const takeTurn = createTurns()
  return async ({ webhookId, isRedelivery = false }) => {
    const webhook = await findDue(context.pool, webhookId, isRedelivery)
    if (webhook === undefined) return
    const turn = takeTurn(new URL(webhook.url).host, webhook.user_id)
    if (turn.waitMs !== undefined) {
      const runAt = new Date(context.clock.now().getTime() + turn.waitMs)
      return addDelivery(context.pool, webhookId, { isRedelivery, runAt })
    }
    try {
      await deliver(context, webhook, isRedelivery)
    } finally {
      turn.end()
    }
  }
}

/** What an attempt needs; undefined if none is due any more. */
async function findDue(
  pool: pg.Pool,
  webhookId: string,
  isRedelivery: boolean,
): Promise<WebhookRow | undefined> {
  const { rows } = await pool.query<WebhookRow>(
    `select w.id, w.url, w.body, u.id as user_id, u.webhook_secret, u.previous_webhook_secret,
       u.previous_webhook_secret_until,
       (select count(*)::int from webhook_attempts t where t.webhook_id = w.id) as attempts
     from webhooks w
     join jobs j on j.id = w.job_id
     join accounts a on a.id = j.account_id
     join users u on u.id = a.user_id
     where w.id = $1 and case when $2 then w.redelivery_asked_at is not null else w.status = 'pending' end`,
    [webhookId, isRedelivery],
  )
  return rows[0]
}

async function deliver(context: Context, webhook: WebhookRow, isRedelivery: boolean): Promise<void> {
  const { pool, clock, outbound } = context
  const startedAt = clock.now()
  const attempt = await sendWebhook({
    url: webhook.url,
    body: webhook.body,
    id: webhook.id,
    secrets: inTurn(toSecrets(webhook, startedAt), webhook.attempts),
    dispatcher: outbound.dispatcher,
    now: startedAt,
  })
  await record(pool, { webhookId: webhook.id, isRedelivery, attempt, startedAt, now: clock.now() })
}

// X-PixelByte-Signature has room for one secret. While two are good the old one goes first, since receivers change
// theirs later than we do, and a receiver that has changed and refuses takes the attempt after it.
function inTurn({ secret, previous }: WebhookSecrets, attempts: number): [string, ...string[]] {
  if (previous === null) return [secret]
  return attempts % 2 === 0 ? [previous.secret, secret] : [secret, previous.secret]
}

interface Made {
  webhookId: string
  isRedelivery: boolean
  attempt: WebhookAttempt
  startedAt: Date
  now: Date
}

async function record(pool: pg.Pool, made: Made): Promise<void> {
  const { webhookId, isRedelivery, attempt, now } = made
  await transaction(pool, async (client) => {
    // sent stays sent whatever becomes of later attempts; the lock makes the numbers below unique
    const { rows } = await client.query<{ status: string; schedule: WebhookSchedule }>(
      `update webhooks w set
         status = case when $2 then 'sent' else w.status end,
         redelivery_asked_at = case when $3 then null else w.redelivery_asked_at end
       from jobs j, accounts a, users u
       where w.id = $1 and j.id = w.job_id and a.id = j.account_id and u.id = a.user_id
       returning w.status, u.webhook_schedule as schedule`,
      [webhookId, attempt.delivered, isRedelivery],
    )
    const { status, schedule } = rows[0]!
    const scheduled = await insertAttempt(client, made)
    if (isRedelivery || status !== 'pending') return
    const delayMs = nextAttemptDelayMs(scheduled, schedule)
    if (delayMs === undefined) {
      await client.query("update webhooks set status = 'failed' where id = $1", [webhookId])
    } else {
      await addDelivery(client, webhookId, { isRedelivery, runAt: new Date(now.getTime() + delayMs) })
    }
  })
}

/** Adds to the log, under the lock of the webhook's row; answers how many attempts of the schedule it has now. */
async function insertAttempt(client: pg.PoolClient, made: Made): Promise<number> {
  const { webhookId, isRedelivery, attempt, startedAt } = made
  await client.query(
    `insert into webhook_attempts (webhook_id, attempt, started_at, latency_ms, http_status, error, response_excerpt,
       is_redelivery)
     select $1, count(*) + 1, $2, $3, $4, $5, $6, $7 from webhook_attempts where webhook_id = $1`,
    [
      webhookId,
      startedAt,
      attempt.latencyMs,
      attempt.status ?? null,
      attempt.error ?? null,
      attempt.responseExcerpt,
      isRedelivery,
    ],
  )
  const { rows } = await client.query<{ scheduled: number }>(
    'select count(*)::int as scheduled from webhook_attempts where webhook_id = $1 and not is_redelivery',
    [webhookId],
  )
  return rows[0]!.scheduled
}
