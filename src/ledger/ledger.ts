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
 * The end of a statement whose `moved` gives money to one balance: what the user owes is paid from it first. The caller has
 * locked the balance in a statement before, so that this one sees the account that another may just have opened for a first
 * debt.
 */
export const received = `
  account as (
    select balance.id, balance.owed_micro_cents as owed, moved.amount_micro_cents as amount, owing.id as owing_id
    from moved
    join accounts as balance on balance.id = moved.to_account_id
    left join accounts as owing
      on owing.kind = 'owed' and owing.user_id = balance.user_id and owing.mode = balance.mode
    for update of balance
  ), repaid as (
    insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents)
    select 'repayment', id, owing_id, least(owed, amount) from account where owed > 0 and amount > 0
  )
  update accounts set
    balance_micro_cents = balance_micro_cents + amount - least(owed_micro_cents, amount),
    owed_micro_cents = owed_micro_cents - least(owed_micro_cents, amount)
  from account where accounts.id = account.id
  returning amount as amount_micro_cents, balance_micro_cents`

/** Locks the balance that a job was charged to. */
export async function lockCharged(db: Db, jobId: string): Promise<void> {
  await db.query({
    name: 'ledger-lock-charged',
    text: `
      select from accounts
      where id = (select from_account_id from ledger_transfers where job_id = $1 and kind = 'charge') for update`,
    values: [jobId],
  })
}

/**
 * Gives the charge of a job back whole and answers the amount, in the caller's transaction. A second refund of one job breaks a unique
 * constraint and is thrown: the caller's state change should have made it impossible.
 */
export async function refund(db: Db, jobId: string): Promise<bigint> {
  await lockCharged(db, jobId)
  const { rows } = await db.query<{ amount_micro_cents: bigint }>({
    text: `
      with moved as (
        insert into ledger_transfers
          (kind, from_account_id, to_account_id, amount_micro_cents, job_id, refunds_transfer_id)
        select 'refund', to_account_id, from_account_id, amount_micro_cents, job_id, id
        from ledger_transfers where job_id = $1 and kind = 'charge'
        returning to_account_id, amount_micro_cents
      ), ${received}`,
    values: [jobId],
  })
  if (rows[0] === undefined) throw new Error(`job ${jobId} has no charge to refund`)
  return rows[0].amount_micro_cents
}

/** Whose balance: each user has one of each mode. */
export interface Owner {
  userId: string
  mode: Mode
}

/**
 * Adds money from outside to a user's balance, in the caller's transaction, and answers the new balance, or undefined for an
 * unknown user. A second credit of one reference breaks a unique constraint and is thrown; see creditOnce.
 */
export async function credit(
  db: Db,
  user: Owner,
  amountMicroCents: bigint,
  note: string | undefined,
  reference?: string | undefined,
): Promise<bigint | undefined> {
  await db.query("select from accounts where kind = 'balance' and user_id = $1 and mode = $2 for update", [
    user.userId,
    user.mode,
  ])
  const { rows } = await db.query<{ balance_micro_cents: bigint }>(
    `with moved as (
       insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, note, reference)
       select 'credit', funding.id, balance.id, $3, $4, $5
       from accounts as balance, accounts as funding
       where balance.kind = 'balance' and balance.user_id = $1 and balance.mode = $2
         and funding.kind = 'funding' and funding.mode = $2
       returning to_account_id, amount_micro_cents
     ), ${received}`,
    [user.userId, user.mode, amountMicroCents, note ?? null, reference ?? null],
  )
  return rows[0]?.balance_micro_cents
}
