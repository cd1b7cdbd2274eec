import type { Db } from '../db.ts'

export type Mode = 'live' | 'test'

/** One job's price, to be taken from its account. */
export interface Charge {
  jobId: string
  accountId: bigint
  amountMicroCents: bigint
}

/**
 * Charges many jobs at once and lowers the balances. The caller holds the account rows locked and has checked
 * the balances; the table's constraints stand behind that check.
 */
export async function charge(db: Db, charges: Charge[]): Promise<void> {
  await db.query({
    name: 'ledger-charge',
    text: `
      with charged as (
        insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, job_id)
        select 'charge', balance.id, revenue.id, amount, job_id
        from unnest($1::text[], $2::bigint[], $3::bigint[]) as charge (job_id, account_id, amount)
        join accounts as balance on balance.id = account_id
        join accounts as revenue on revenue.kind = 'revenue' and revenue.mode = balance.mode
        returning from_account_id, amount_micro_cents
      ), totals as (
        select from_account_id, sum(amount_micro_cents)::bigint as total from charged group by 1
      )
      update accounts set balance_micro_cents = balance_micro_cents - total
      from totals where id = from_account_id`,
    values: [
      charges.map((charge) => charge.jobId),
      charges.map((charge) => charge.accountId),
      charges.map((charge) => charge.amountMicroCents),
    ],
  })
}

/**
 * Gives the charge of a job back whole and answers the amount. A second refund of one job breaks a unique
 * constraint and is thrown: the caller's state change should have made it impossible.
 */
export async function refund(db: Db, jobId: string): Promise<bigint> {
  const { rows } = await db.query<{ amount_micro_cents: bigint }>({
    text: `
      with refunded as (
        insert into ledger_transfers
          (kind, from_account_id, to_account_id, amount_micro_cents, job_id, refunds_transfer_id)
        select 'refund', to_account_id, from_account_id, amount_micro_cents, job_id, id
        from ledger_transfers where job_id = $1 and kind = 'charge'
        returning to_account_id, amount_micro_cents
      )
      update accounts set balance_micro_cents = balance_micro_cents + amount_micro_cents
      from refunded where id = to_account_id
      returning amount_micro_cents`,
    values: [jobId],
  })
  if (rows[0] === undefined) throw new Error(`job ${jobId} has no charge to refund`)
  return rows[0].amount_micro_cents
}

/** Adds money from outside to a user's balance and answers the new balance, or undefined for an unknown user. */
export async function credit(
  db: Db,
  user: { userId: string; mode: Mode },
  amountMicroCents: bigint,
  note: string | undefined,
): Promise<bigint | undefined> {
  const { rows } = await db.query<{ balance_micro_cents: bigint }>(
    `with credited as (
       insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, note)
       select 'credit', funding.id, balance.id, $3, $4
       from accounts as balance, accounts as funding
       where balance.kind = 'balance' and balance.user_id = $1 and balance.mode = $2
         and funding.kind = 'funding' and funding.mode = $2
       returning to_account_id, amount_micro_cents
     )
     update accounts set balance_micro_cents = balance_micro_cents + amount_micro_cents
     from credited where id = to_account_id
     returning balance_micro_cents`,
    [user.userId, user.mode, amountMicroCents, note ?? null],
  )
  return rows[0]?.balance_micro_cents
}
