import type { Db } from '../db.ts'
import { newId } from '../ids.ts'
import { createWebhookSecret } from '../webhooks/sign.ts'

export interface User {
  userId: string
  email: string
  name: string | null
  status: 'active' | 'inactive' | 'banned'
  /** Most unfinished jobs at once, counted apart for live and test; null: no limit. */
  concurrencyLimit: number | null
  balanceMicroCents: number
  testBalanceMicroCents: number
  createdAt: string
}

interface UserRow {
  id: string
  email: string
  name: string | null
  status: User['status']
  concurrency_limit: number | null
  live: bigint
  test: bigint
  created_at: Date
}

const columns = `u.id, u.email, u.name, u.status, u.concurrency_limit, u.created_at,
  (select balance_micro_cents from accounts where user_id = u.id and mode = 'live') as live,
  (select balance_micro_cents from accounts where user_id = u.id and mode = 'test') as test`

function toUser(row: UserRow): User {
  return {
    userId: row.id,
    email: row.email,
    name: row.name,
    status: row.status,
    concurrencyLimit: row.concurrency_limit,
    balanceMicroCents: Number(row.live),
    testBalanceMicroCents: Number(row.test),
    createdAt: row.created_at.toISOString(),
  }
}

/**
 * Makes a user with an empty live and an empty test balance. Answers undefined if the e-mail address is taken.
 * The webhook secret is answered here; `findWebhookSecret` reads it later.
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
    [newId('user', new Date()), user.email, user.name ?? null, user.concurrencyLimit, createWebhookSecret()],
  )
  const created = rows[0]
  if (created === undefined) return undefined
  return { ...(await findUser(db, created.id))!, webhookSecret: created.webhook_secret }
}

/** Finds a user by id or e-mail address. */
export async function findUser(db: Db, idOrEmail: string): Promise<User | undefined> {
  const { rows } = await db.query<UserRow>(
    `select ${columns} from users u where u.id = $1 or lower(u.email) = lower($1)`,
    [idOrEmail],
  )
  return rows[0] && toUser(rows[0])
}

/** The secret that signs a user's webhooks. */
export async function findWebhookSecret(db: Db, userId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ webhook_secret: string }>(
    'select webhook_secret from users where id = $1',
    [userId],
  )
  return rows[0]?.webhook_secret
}
