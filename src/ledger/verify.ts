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
  'credits come from funding, charges go to revenue, refunds come from it': `
    select t.id as transfer, t.kind, f.kind as "from", r.kind as "to"
    from ledger_transfers t join accounts f on f.id = from_account_id join accounts r on r.id = to_account_id
    where (t.kind, f.kind, r.kind) not in
      (('credit', 'funding', 'balance'), ('charge', 'balance', 'revenue'), ('refund', 'revenue', 'balance'))`,
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
  'every charge and refund belongs to a job': `
    select t.id as transfer, t.job_id as job, t.kind, t.amount_micro_cents as amount
    from ledger_transfers t left join jobs j on j.id = t.job_id
    where t.kind <> 'credit' and j.id is null`,
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
        (select coalesce(sum(balance_micro_cents), 0)::bigint from accounts) as "balanceMicroCents"
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
