import { databaseTime } from '../clock.ts'
import type { Db } from '../db.ts'
import { newId } from '../ids.ts'
import { createWebhookSecret } from '../webhooks/sign.ts'

export const userStatuses = ['active', 'inactive', 'banned'] as const
export type UserStatus = (typeof userStatuses)[number]

export const unknownOutcomes = ['refund', 'hold'] as const
export type UnknownOutcome = (typeof unknownOutcomes)[number]

export interface User {
  userId: string
  email: string
  name: string | null
  status: UserStatus
  /** Most unfinished jobs at once, counted apart for live and test; null: no limit. */
  concurrencyLimit: number | null
  segments: string[]
  /** Slugs of private models that the user may use. */
  allowedModels: string[]
  /** Days that the files of a job are kept after it has completed; null: for ever. */
  retentionDays: number | null
  /** What becomes of a job of which nobody knows, at the end of its time, whether its upstream has it. */
  unknownOutcome: UnknownOutcome
  balanceMicroCents: number
  testBalanceMicroCents: number
  /** What debits took that the balance did not have; paid by the next credits. */
  owedMicroCents: number
  testOwedMicroCents: number
  createdAt: string
}

interface UserRow {
  id: string
  email: string
  name: string | null
  status: UserStatus
  concurrency_limit: number | null
  segments: string[]
  allowed_models: string[]
  retention_days: number | null
  unknown_outcome: UnknownOutcome
  live: bigint
  test: bigint
  owed: bigint
  test_owed: bigint
  created_at: Date
}

const columns = `u.id, u.email, u.name, u.status, u.concurrency_limit, u.segments, u.allowed_models, u.retention_days,
  u.unknown_outcome, u.created_at,
  live.balance_micro_cents as live, live.owed_micro_cents as owed,
  test.balance_micro_cents as test, test.owed_micro_cents as test_owed`

const tables = `users u
  join accounts live on live.user_id = u.id and live.mode = 'live' and live.kind = 'balance'
  join accounts test on test.user_id = u.id and test.mode = 'test' and test.kind = 'balance'`

function toUser(row: UserRow): User {
  return {
    userId: row.id,
    email: row.email,
    name: row.name,
    status: row.status,
    concurrencyLimit: row.concurrency_limit,
    segments: row.segments,
    allowedModels: row.allowed_models,
    retentionDays: row.retention_days,
    unknownOutcome: row.unknown_outcome,
    balanceMicroCents: Number(row.live),
    testBalanceMicroCents: Number(row.test),
    owedMicroCents: Number(row.owed),
    testOwedMicroCents: Number(row.test_owed),
    createdAt: row.created_at.toISOString(),
  }
}

/**
 * Makes a user with an empty live and an empty test balance. Answers undefined if the e-mail address is taken.
 * The webhook secret is answered here; `findWebhookSecrets` reads it later.
 */
export async function createUser(
  db: Db,
  user: { email: string; name?: string | undefined; concurrencyLimit: number | null },
): Promise<(User & { webhookSecret: string }) | undefined> {
  const { rows } = await db.query<{ id: string; webhook_secret: string }>(
    `with created as (
       insert into users (id, email, name, concurrency_limit, webhook_secret) values ($1, $2, $3, $4, $5)
       on conflict do nothing returning id, webhook_secret
     ), opened as (
       insert into accounts (kind, mode, user_id, balance_micro_cents)
       select 'balance', mode, id, 0 from created, unnest(enum_range(null::mode)) as mode
     )
     select * from created`,
    [
      newId('user', await databaseTime(db)),
      user.email,
      user.name ?? null,
      user.concurrencyLimit,
      createWebhookSecret(),
    ],
  )
  const created = rows[0]
  if (created === undefined) return undefined
  return { ...(await findUser(db, created.id))!, webhookSecret: created.webhook_secret }
}

/** Finds a user by id or e-mail address. */
export async function findUser(db: Db, idOrEmail: string): Promise<User | undefined> {
  const { rows } = await db.query<UserRow>(
    `select ${columns} from ${tables} where u.id = $1 or lower(u.email) = lower($1)`,
    [idOrEmail],
  )
  return rows[0] && toUser(rows[0])
}

/** The newest users. */
export async function listUsers(db: Db, limit: number): Promise<User[]> {
  const { rows } = await db.query<UserRow>(
    `select ${columns} from ${tables} order by u.created_at desc, u.id limit $1`,
    [limit],
  )
  return rows.map(toUser)
}

/** Changes what is given, of a user that exists. Keys are judged by it from their next request on. */
export async function changeUser(
  db: Db,
  userId: string,
  change: {
    status?: UserStatus
    concurrencyLimit?: number | null
    retentionDays?: number | null
    unknownOutcome?: UnknownOutcome
  },
): Promise<void> {
  await db.query(
    `update users set status = coalesce($2, status),
       concurrency_limit = case when $3 then $4 else concurrency_limit end,
       retention_days = case when $5 then $6 else retention_days end,
       unknown_outcome = coalesce($7, unknown_outcome)
     where id = $1`,
    [
      userId,
      change.status,
      change.concurrencyLimit !== undefined,
      change.concurrencyLimit,
      change.retentionDays !== undefined,
      change.retentionDays,
      change.unknownOutcome,
    ],
  )
}

/** Opens a private model to a user, or closes it again. */
export async function allowModel(
  db: Db,
  userId: string,
  modelSlug: string,
  isAllowed: boolean,
): Promise<void> {
  await db.query(
    `update users set allowed_models = array_remove(allowed_models, $2)
       || case when $3 then array[$2::text] else '{}' end
     where id = $1`,
    [userId, modelSlug, isAllowed],
  )
}
