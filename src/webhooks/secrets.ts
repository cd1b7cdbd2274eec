import type { Db } from '../db.ts'
import { createWebhookSecret } from './sign.ts'

/** What signs a user's webhooks: one secret, or two while a rotation overlaps. */
export interface WebhookSecrets {
  secret: string
  /** The secret before the rotation, and until when it signs as well. */
  previous: { secret: string; until: Date } | null
}

export interface SecretsRow {
  webhook_secret: string
  previous_webhook_secret: string | null
  previous_webhook_secret_until: Date | null
}

const overlapMs = 24 * 3_600_000

export function toSecrets(row: SecretsRow, now: Date): WebhookSecrets {
  const { previous_webhook_secret: secret, previous_webhook_secret_until: until } = row
  const isSigning = secret !== null && until !== null && until > now
  return { secret: row.webhook_secret, previous: isSigning ? { secret, until } : null }
}

/** The secrets that sign a user's webhooks at `now`; undefined if there is no such user. */
export async function findWebhookSecrets(
  db: Db,
  userId: string,
  now: Date,
): Promise<WebhookSecrets | undefined> {
  const { rows } = await db.query<SecretsRow>(
    'select webhook_secret, previous_webhook_secret, previous_webhook_secret_until from users where id = $1',
    [userId],
  )
  return rows[0] && toSecrets(rows[0], now)
}

/**
 * Gives a user a new secret, beside which the old one signs for 24 hours more. Answers undefined, and changes
 * nothing, while an earlier rotation overlaps: of three secrets one would be somebody's and sign nothing.
 */
export async function rotateWebhookSecret(
  db: Db,
  userId: string,
  now: Date,
): Promise<WebhookSecrets | undefined> {
  const { rows } = await db.query<SecretsRow>(
    `update users set webhook_secret = $2, previous_webhook_secret = webhook_secret, previous_webhook_secret_until = $3
     where id = $1 and (previous_webhook_secret_until is null or previous_webhook_secret_until <= $4)
     returning webhook_secret, previous_webhook_secret, previous_webhook_secret_until`,
    [userId, createWebhookSecret(), new Date(now.getTime() + overlapMs), now],
  )
  return rows[0] && toSecrets(rows[0], now)
}

/** Gives a user a new secret that is the only one from now on: for one that has leaked. */
export async function replaceWebhookSecret(db: Db, userId: string): Promise<WebhookSecrets> {
  const secret = createWebhookSecret()
  await db.query(
    `update users set webhook_secret = $2, previous_webhook_secret = null, previous_webhook_secret_until = null
     where id = $1`,
    [userId, secret],
  )
  return { secret, previous: null }
}

/** Ends the overlap of a rotation: the old secret signs no more. Answers false if there was none. */
export async function finishRotation(db: Db, userId: string, now: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `update users set previous_webhook_secret = null, previous_webhook_secret_until = null
     where id = $1 and previous_webhook_secret_until > $2`,
    [userId, now],
  )
  return rowCount === 1
}
