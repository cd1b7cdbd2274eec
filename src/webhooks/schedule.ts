import type { Db } from '../db.ts'

export const webhookSchedules = ['long', 'short'] as const
export type WebhookSchedule = (typeof webhookSchedules)[number]

const minute = 60_000
const hour = 60 * minute
const short = [1_000, 4_000, 16_000, 64_000, 256_000]
const delaysMs: Record<WebhookSchedule, number[]> = {
  short,
  long: [...short, 15 * minute, 1 * hour, 3 * hour, 6 * hour, 12 * hour],
}

/** How long to wait after so many failed attempts; undefined: give up (contract: "Webhooks"). */
export function nextAttemptDelayMs(attemptsMade: number, schedule: WebhookSchedule): number | undefined {
  return delaysMs[schedule][attemptsMade - 1]
}

/** For how long a user's webhooks are tried; undefined if there is no such user. */
export async function findWebhookSchedule(db: Db, userId: string): Promise<WebhookSchedule | undefined> {
  const { rows } = await db.query<{ schedule: WebhookSchedule }>(
    'select webhook_schedule as schedule from users where id = $1',
    [userId],
  )
  return rows[0]?.schedule
}

/** Chooses a user's schedule, for the webhooks that are under way too. */
export async function setWebhookSchedule(db: Db, userId: string, schedule: WebhookSchedule): Promise<void> {
  await db.query('update users set webhook_schedule = $2 where id = $1', [userId, schedule])
}
