import type pg from 'pg'
import type { Clock } from '../clock.ts'
import { type Db, isTaken, transaction } from '../db.ts'
import { durable } from '../fault-points.ts'
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
  options: { isRedelivery: boolean; delayMs?: number },
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
      return addDelivery(context.pool, webhookId, { isRedelivery, delayMs: turn.waitMs })
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
  const { rows } = await pool.query<WebhookRow>({
    name: 'due-webhook',
    text: `
     select w.id, w.url, w.body, u.id as user_id, u.webhook_secret, u.previous_webhook_secret,
       u.previous_webhook_secret_until,
       (select count(*)::int from webhook_attempts t where t.webhook_id = w.id) as attempts
     from webhooks w
     join jobs j on j.id = w.job_id
     join accounts a on a.id = j.account_id
     join users u on u.id = a.user_id
     where w.id = $1 and case when $2 then w.redelivery_asked_at is not null else w.status = 'pending' end`,
    values: [webhookId, isRedelivery],
  })
  return rows[0]
}

async function deliver(context: Context, webhook: WebhookRow, isRedelivery: boolean): Promise<void> {
  const { pool, clock, outbound } = context
  const startedAt = clock.now()
  const attempt = await durable('webhook.send', () =>
    sendWebhook({
      url: webhook.url,
      body: webhook.body,
      id: webhook.id,
      secrets: inTurn(toSecrets(webhook, startedAt), webhook.attempts),
      dispatcher: outbound.dispatcher,
      now: startedAt,
    }),
  )
  const made = { webhookId: webhook.id, isRedelivery, attempt, startedAt }
  await durable('webhook.record', () => record(pool, made))
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
}

const mostTries = 10

/** Writes an attempt down, and plans the next one if that is due. */
async function record(pool: pg.Pool, made: Made): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if (made.attempt.delivered) await insertAttempt(pool, made)
      else await transaction(pool, (client) => recordFailure(client, made))
      return
    } catch (error) {
      // an attempt that ended at the same time has taken the number
      if (!isTaken(error) || tries === mostTries) throw error
    }
  }
}

async function recordFailure(client: pg.PoolClient, made: Made): Promise<void> {
  const { webhookId, isRedelivery } = made
  const { status, schedule, scheduled } = await insertAttempt(client, made)
  if (isRedelivery || status !== 'pending') return
  const delayMs = nextAttemptDelayMs(scheduled, schedule)
  if (delayMs === undefined) {
    await client.query("update webhooks set status = 'failed' where id = $1", [webhookId])
  } else {
    await addDelivery(client, webhookId, { isRedelivery, delayMs })
  }
}

/**
 * Adds to the log, in one statement that does not wait for the disk: it is most of what a delivery costs. If the
 * database loses it, it loses the end of the task, which comes after it, too, and the attempt is made again. Sent stays
 * sent whatever becomes of later attempts. Answers how the webhook stands, and how many attempts of the schedule it
 * has had.
 */
async function insertAttempt(
  db: Db,
  { webhookId, isRedelivery, attempt, startedAt }: Made,
): Promise<{ status: string; schedule: WebhookSchedule; scheduled: number }> {
  const { rows } = await db.query<{ status: string; schedule: WebhookSchedule; scheduled: number }>({
    name: 'record-webhook-attempt',
    text: `
      with webhook as (
        update webhooks w set
          status = case when $2 then 'sent' else w.status end,
          redelivery_asked_at = case when $3 then null else w.redelivery_asked_at end
        from jobs j, accounts a, users u
        where w.id = $1 and j.id = w.job_id and a.id = j.account_id and u.id = a.user_id
        returning w.id, w.status, u.webhook_schedule as schedule
      ), made as (
        select count(*)::int as all, count(*) filter (where not is_redelivery)::int as scheduled
        from webhook_attempts where webhook_id = $1
      ), attempt as (
        insert into webhook_attempts (webhook_id, attempt, started_at, latency_ms, http_status, error, response_excerpt,
          is_redelivery)
        select id, made.all + 1, $4, $5, $6, $7, $8, $3 from webhook, made
      )
      select status, schedule, scheduled + (not $3)::int as scheduled, set_config('synchronous_commit', 'off', true)
      from webhook, made`,
    values: [
      webhookId,
      attempt.delivered,
      isRedelivery,
      startedAt,
      attempt.latencyMs,
      attempt.status ?? null,
      attempt.error ?? null,
      attempt.responseExcerpt,
    ],
  })
  return rows[0]!
}
