import type pg from 'pg'
import { type Db, isTaken, transaction } from '../db.ts'
import { credit, type Owner } from './ledger.ts'

/** Why an operator moves money. `reference`: its own name of the transfer, by which a repeat is known. */
export interface Reason {
  note?: string | undefined
  reference?: string | undefined
}

/** `done`: now; `repeated`: this reference had moved as much before, and nothing was moved again. */
export type Moved = 'done' | 'repeated' | { refused: string }

/** Adds money from outside to a balance, once for each reference. */
export async function creditOnce(
  pool: pg.Pool,
  user: Owner,
  amountMicroCents: bigint,
  { note, reference }: Reason,
): Promise<Moved> {
  try {
    const give = (client: pg.PoolClient) => credit(client, user, amountMicroCents, note, reference)
    const balance = await transaction(pool, give)
    return balance === undefined ? { refused: `there is no user ${user.userId}` } : 'done'
  } catch (error) {
    if (!isTaken(error) || reference === undefined) throw error
    return repeatOf(await movedBefore(pool, user, ['credit'], reference), amountMicroCents, reference)
  }
}

interface Account {
  id: bigint
  balance_micro_cents: bigint
}

/**
 * Takes money from a balance, back to where credits come from; once for each reference. What the balance does not have is
 * owed from then on where `mayOwe`, and else nothing is taken.
 */
export async function debit(
  pool: pg.Pool,
  user: Owner,
  amountMicroCents: bigint,
  { note, reference, mayOwe }: Reason & { mayOwe: boolean },
): Promise<Moved> {
  return transaction(pool, async (client) => {
    const account = await lockBalance(client, user)
    if (account === undefined) return { refused: `there is no user ${user.userId}` }
    const before =
      reference === undefined ? undefined : await movedBefore(client, user, ['debit', 'owed'], reference)
    if (before !== undefined) return repeatOf(before, amountMicroCents, reference!)
    const { id, balance_micro_cents: balance } = account
    const taken = balance < amountMicroCents ? balance : amountMicroCents
    const missing = amountMicroCents - taken
    if (missing > 0n && !mayOwe) {
      return { refused: `the balance is ${balance} micro-cents, ${missing} less than ${amountMicroCents}` }
    }
    const from = missing > 0n ? await openOwing(client, user) : id
    await client.query(
      `insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, note, reference)
       select part.kind::transfer_kind, source, funding.id, amount, $5, $6
       from unnest($1::text[], $2::bigint[], $3::bigint[]) as part (kind, source, amount)
       join accounts as funding on funding.kind = 'funding' and funding.mode = $4
       where amount > 0`,
      [['debit', 'owed'], [id, from], [taken, missing], user.mode, note ?? null, reference ?? null],
    )
    await client.query(
      `update accounts set balance_micro_cents = balance_micro_cents - $2, owed_micro_cents = owed_micro_cents + $3
       where id = $1`,
      [id, taken, missing],
    )
    return 'done'
  })
}

async function lockBalance(client: Db, { userId, mode }: Owner): Promise<Account | undefined> {
  const { rows } = await client.query<Account>(
    `select id, balance_micro_cents from accounts
     where kind = 'balance' and user_id = $1 and mode = $2 for update`,
    [userId, mode],
  )
  return rows[0]
}

/** The account that stands for what the user owes; made where nothing was owed before, under the balance's lock. */
async function openOwing(client: Db, { userId, mode }: Owner): Promise<bigint> {
  await client.query(
    "insert into accounts (kind, mode, user_id) values ('owed', $2, $1) on conflict do nothing",
    [userId, mode],
  )
  const { rows } = await client.query<{ id: bigint }>(
    "select id from accounts where kind = 'owed' and user_id = $1 and mode = $2",
    [userId, mode],
  )
  return rows[0]!.id
}

/** How much a reference has moved; undefined where it has not been used. */
async function movedBefore(
  db: Db,
  { userId, mode }: Owner,
  kinds: string[],
  reference: string,
): Promise<bigint | undefined> {
  const { rows } = await db.query<{ moved: bigint | null }>(
    `select sum(t.amount_micro_cents)::bigint as moved
     from accounts a join ledger_transfers t on a.id in (t.from_account_id, t.to_account_id)
     where a.user_id = $1 and a.mode = $2 and t.reference = $4 and t.kind::text = any($3)`,
    [userId, mode, kinds, reference],
  )
  return rows[0]?.moved ?? undefined
}

function repeatOf(before: bigint | undefined, amountMicroCents: bigint, reference: string): Moved {
  if (before === amountMicroCents) return 'repeated'
  return { refused: `the reference ${reference} was used before, for ${before} micro-cents` }
}
