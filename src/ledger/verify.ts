import type { Db } from '../db.ts'

export interface LedgerReport {
  ok: boolean
  totals: Record<string, number>
  /** Rows that break a promise, each with the rule it breaks; at most 100 per rule. */
  problems: { rule: string; row: Record<string, unknown> }[]
}

// One query per promise; each selects the rows that break it.
const rules: Record<string, string> = {
  "an account's balance is the sum of its transfers": `
    select a.id as account, a.user_id as user, a.mode, a.balance_micro_cents as balance,
      (coalesce(i.total, 0) - coalesce(o.total, 0))::bigint as transfers
    from accounts a
    left join (select to_account_id as id, sum(amount_micro_cents) as total from ledger_transfers group by 1) i using (id)
    left join (select from_account_id as id, sum(amount_micro_cents) as total from ledger_transfers group by 1) o using (id)
    where a.kind = 'balance' and a.balance_micro_cents <> coalesce(i.total, 0) - coalesce(o.total, 0)`,
  'a transfer runs between two accounts of one mode': `
    select t.id as transfer, f.mode as "from", r.mode as "to"
    from ledger_transfers t left join accounts f on f.id = from_account_id left join accounts r on r.id = to_account_id
    where f.mode is distinct from r.mode or f.id is null`,
  'what a user owes is the sum of its transfers': `
    select a.id as account, a.user_id as user, a.mode, a.owed_micro_cents as owed,
      (coalesce(o.total, 0) - coalesce(i.total, 0))::bigint as transfers
    from accounts a
    left join accounts w on w.kind = 'owed' and w.user_id = a.user_id and w.mode = a.mode
    left join (select to_account_id as id, sum(amount_micro_cents) as total from ledger_transfers group by 1) i on i.id = w.id
    left join (select from_account_id as id, sum(amount_micro_cents) as total from ledger_transfers group by 1) o on o.id = w.id
    where a.owed_micro_cents <> case a.kind when 'balance' then coalesce(o.total, 0) - coalesce(i.total, 0) else 0 end`,
  'nobody who owes has money': `
    select id as account, user_id as user, mode, owed_micro_cents as owed, balance_micro_cents as balance
    from accounts where owed_micro_cents > 0 and balance_micro_cents is distinct from 0`,
  'transfers run between the kinds of accounts that theirs is for': `
    select t.id as transfer, t.kind, f.kind as "from", r.kind as "to"
    from ledger_transfers t join accounts f on f.id = from_account_id join accounts r on r.id = to_account_id
    where (t.kind, f.kind, r.kind) not in
      (('credit', 'funding', 'balance'), ('charge', 'balance', 'revenue'), ('refund', 'revenue', 'balance'),
       ('goodwill', 'revenue', 'balance'), ('debit', 'balance', 'funding'), ('owed', 'owed', 'funding'),
       ('repayment', 'balance', 'owed'))`,
  'a repayment stays with its user': `
    select t.id as transfer, f.user_id as "from", r.user_id as "to"
    from ledger_transfers t join accounts f on f.id = from_account_id join accounts r on r.id = to_account_id
    where t.kind = 'repayment' and f.user_id is distinct from r.user_id`,
  'every job is charged exactly once, by its price, from its account': `
    select j.id as job, j.cost_micro_cents as price, count(t.id) as charges, sum(t.amount_micro_cents)::bigint as charged
    from jobs j left join ledger_transfers t on t.job_id = j.id and t.kind = 'charge'
    group by j.id
    having count(t.id) <> 1 or min(t.amount_micro_cents) <> j.cost_micro_cents
      or min(t.from_account_id) <> j.account_id`,
  'a job is refunded once if and only if it failed or was cancelled': `
    select j.id as job, j.status, count(t.id) as refunds
    from jobs j left join ledger_transfers t on t.job_id = j.id and t.kind = 'refund'
    group by j.id
    having count(t.id) <> (j.status in ('failed', 'cancelled'))::int`,
  'a refund gives back exactly its charge': `
    select r.id as transfer, r.job_id as job, r.amount_micro_cents as refunded, c.amount_micro_cents as charged
    from ledger_transfers r join ledger_transfers c on c.id = r.refunds_transfer_id
    where r.amount_micro_cents <> c.amount_micro_cents or r.job_id <> c.job_id or c.kind <> 'charge'
      or r.from_account_id <> c.to_account_id or r.to_account_id <> c.from_account_id`,
  'goodwill is for a job that has ended, goes to its account, and says why': `
    select t.id as transfer, t.job_id as job, j.status, t.note
    from ledger_transfers t join jobs j on j.id = t.job_id
    where t.kind = 'goodwill' and (j.status not in ('completed', 'failed', 'cancelled')
      or t.to_account_id <> j.account_id or t.note is null or t.amount_micro_cents <= 0)`,
  'refund and goodwill of a job are at most its charge': `
    select job_id as job, coalesce(sum(amount_micro_cents) filter (where kind = 'charge'), 0)::bigint as charged,
      sum(amount_micro_cents) filter (where kind in ('refund', 'goodwill'))::bigint as "givenBack"
    from ledger_transfers where job_id is not null group by job_id
    having count(*) filter (where kind = 'goodwill') > 0
      and sum(amount_micro_cents) filter (where kind in ('refund', 'goodwill'))
      > coalesce(sum(amount_micro_cents) filter (where kind = 'charge'), 0)`,
  'the same note gives a job one goodwill': `
    select job_id as job, note, count(*) as goodwill from ledger_transfers
    where kind = 'goodwill' group by job_id, note having count(*) > 1`,
  'a reference moves money once': `
    select reference, kind, from_account_id as "from", to_account_id as "to", count(*) as transfers
    from ledger_transfers where reference is not null
    group by reference, kind, from_account_id, to_account_id having count(*) > 1`,
  'every charge, refund and goodwill belongs to a job, nothing else does': `
    select t.id as transfer, t.job_id as job, t.kind, t.amount_micro_cents as amount
    from ledger_transfers t left join jobs j on j.id = t.job_id
    where case when t.kind in ('charge', 'refund', 'goodwill') then j.id is null else t.job_id is not null end`,
}

/**
 * Checks every promise of the ledger against all its rows, in one snapshot. `db` must be one connection, not
 * a pool.
 */
export async function verifyLedger(db: Db): Promise<LedgerReport> {
  await db.query('begin isolation level repeatable read read only')
  await db.query('set local statement_timeout = 0')
  try {
    const problems: LedgerReport['problems'] = []
    for (const [rule, query] of Object.entries(rules)) {
      const { rows } = await db.query(`${query} limit 100`)
      for (const row of rows) problems.push({ rule, row: plain(row) })
    }
    const { rows } = await db.query(`
      select
        (select count(*) from accounts where kind = 'balance') as accounts,
        (select count(*) from jobs) as jobs,
        count(*) as transfers,
        coalesce(sum(amount_micro_cents) filter (where kind = 'credit'), 0)::bigint as "creditedMicroCents",
        coalesce(sum(amount_micro_cents) filter (where kind = 'charge'), 0)::bigint as "chargedMicroCents",
        coalesce(sum(amount_micro_cents) filter (where kind = 'refund'), 0)::bigint as "refundedMicroCents",
        coalesce(sum(amount_micro_cents) filter (where kind = 'goodwill'), 0)::bigint as "goodwillMicroCents",
        coalesce(sum(amount_micro_cents) filter (where kind in ('debit', 'owed')), 0)::bigint as "debitedMicroCents",
        coalesce(sum(amount_micro_cents) filter (where kind = 'repayment'), 0)::bigint as "repaidMicroCents",
        (select coalesce(sum(balance_micro_cents), 0)::bigint from accounts) as "balanceMicroCents",
        (select coalesce(sum(owed_micro_cents), 0)::bigint from accounts) as "owedMicroCents"
      from ledger_transfers`)
    return { ok: problems.length === 0, totals: plain(rows[0]) as Record<string, number>, problems }
  } finally {
    await db.query('rollback')
  }
}

function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
  )
}
