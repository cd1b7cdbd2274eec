import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import { atEnd } from '../../test/at-end.ts'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { transaction } from '../db.ts'
import { refundJob } from '../jobs/goodwill.ts'
import { debit } from './by-hand.ts'
import { charge, credit, refund } from './ledger.ts'
import { verifyLedger } from './verify.ts'

const { pool } = await cloneDatabase()
const customer = await makeCustomer(pool, { microCents: 10_000n })
const other = await makeCustomer(pool, { microCents: 10_000n })

const debtor = await makeCustomer(pool, { microCents: 100n })

async function addJob(
  jobId: string,
  status: 'pending' | 'completed' | 'failed' | 'cancelled',
): Promise<void> {
  await transaction(pool, async (client) => {
    await client.query(
      `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, provider,
         cost_micro_cents, created_at, estimated_completion_at)
       values ($1, $2, $3, 'req_1', 'a/b/c', 'v1.0', '{}', 'sandbox', 300, now(), now())`,
      [jobId, customer.accountId, customer.keyId],
    )
    await charge(client, [{ jobId, accountId: customer.accountId, amountMicroCents: 300n }])
    if (status === 'pending') return
    if (status !== 'completed') await refund(client, jobId)
    await client.query(
      `update jobs set status = $2, completed_at = now(), dispatched_at = now(), deadline_at = now(),
         error_code = $3, error_message = $3 where id = $1`,
      [jobId, status, status === 'failed' ? 'GENERATION_FAILED' : null],
    )
  })
}
await addJob('job_pending', 'pending')
await addJob('job_failed', 'failed')
await addJob('job_cancelled', 'cancelled')
await addJob('job_good', 'completed')
await refundJob(pool, 'job_good', { amountMicroCents: 100n, note: 'late' })
const debtors = { userId: debtor.userId, mode: 'test' as const }
await debit(pool, debtors, 150n, { mayOwe: true, reference: 'invoice-7' })
await credit(pool, debtors, 20n, undefined)

const client = await pool.connect()
atEnd(() => client.release())
const report = await verifyLedger(client)

/** What the check finds after `statements`, with the table's guard off; the damage is undone afterwards. */
async function problemsAfter(...statements: string[]) {
  await client.query('begin')
  await client.query('alter table ledger_transfers disable trigger user')
  for (const statement of statements) {
    const { rowCount } = await client.query(statement)
    assert.ok(rowCount === null || rowCount > 0, statement)
  }
  // The check begins a transaction of its own, which would hide this one's end from it.
  const inside = { query: (text: string) => client.query(/^(begin|rollback)/.test(text) ? 'select' : text) }
  const found = await verifyLedger(inside as Pick<pg.ClientBase, 'query'>)
  await client.query('rollback')
  assert.equal(found.ok, found.problems.length === 0)
  return found.problems
}

const rule = {
  balance: "an account's balance is the sum of its transfers",
  mode: 'a transfer runs between two accounts of one mode',
  direction: 'transfers run between the kinds of accounts that theirs is for',
  charged: 'every job is charged exactly once, by its price, from its account',
  refunded: 'a job is refunded once if and only if it failed or was cancelled',
  whole: 'a refund gives back exactly its charge',
  orphan: 'every charge, refund and goodwill belongs to a job, nothing else does',
  owed: 'what a user owes is the sum of its transfers',
  broke: 'nobody who owes has money',
  repayment: 'a repayment stays with its user',
  goodwill: 'goodwill is for a job that has ended, goes to its account, and says why',
  most: 'refund and goodwill of a job are at most its charge',
  note: 'the same note gives a job one goodwill',
  reference: 'a reference moves money once',
}

const chargeOf = (jobId: string) =>
  `(select id from ledger_transfers where job_id = '${jobId}' and kind = 'charge')`

/** That the check names this rule, on a row with these values. */
function assertFound(
  problems: Awaited<ReturnType<typeof problemsAfter>>,
  name: string,
  row: Record<string, unknown>,
) {
  const rows = problems.filter((problem) => problem.rule === name).map((problem) => problem.row)
  assert.ok(
    rows.some((found) => Object.entries(row).every(([field, value]) => found[field] === value)),
    `${name} with ${JSON.stringify(row)} is not in ${JSON.stringify(problems)}`,
  )
}

test('a ledger in order has no problems, and its totals', () => {
  assert.deepEqual(report, {
    ok: true,
    totals: {
      accounts: 6,
      jobs: 4,
      transfers: 14,
      creditedMicroCents: 20_120,
      chargedMicroCents: 1_200,
      refundedMicroCents: 600,
      goodwillMicroCents: 100,
      debitedMicroCents: 150,
      repaidMicroCents: 20,
      balanceMicroCents: 19_500,
      owedMicroCents: 30,
    },
    problems: [],
  })
})

test('the check itself writes nothing and leaves the connection as it was', async () => {
  const { rows } = await client.query(
    "select pg_current_xact_id_if_assigned() as id, current_setting('transaction_read_only') as only",
  )
  assert.deepEqual(rows, [{ id: null, only: 'off' }])
})

test('a balance that was changed is found', async () => {
  const problems = await problemsAfter(
    `update accounts set balance_micro_cents = balance_micro_cents + 1 where id = ${customer.accountId}`,
  )
  assert.deepEqual(problems, [
    {
      rule: rule.balance,
      row: {
        account: Number(customer.accountId),
        user: customer.userId,
        mode: 'test',
        balance: 9_501,
        transfers: 9_500,
      },
    },
  ])
})

test('a balance that was moved to another account is found on both', async () => {
  const problems = await problemsAfter(
    `update accounts set balance_micro_cents = balance_micro_cents - 5 where id = ${customer.accountId}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 5 where id = ${other.accountId}`,
  )
  assertFound(problems, rule.balance, { account: Number(customer.accountId) })
  assertFound(problems, rule.balance, { account: Number(other.accountId) })
})

test('an amount that was changed is found', async () => {
  const problems = await problemsAfter(
    `update ledger_transfers set amount_micro_cents = 299 where id = ${chargeOf('job_pending')}`,
  )
  assertFound(problems, rule.balance, { account: Number(customer.accountId) })
  assertFound(problems, rule.charged, { job: 'job_pending', price: 300, charges: 1, charged: 299 })
})

test('a charge that was changed together with the balance is found', async () => {
  const problems = await problemsAfter(
    `update ledger_transfers set amount_micro_cents = 0 where id = ${chargeOf('job_pending')}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 300 where id = ${customer.accountId}`,
  )
  assert.deepEqual(
    problems.map((problem) => problem.rule),
    [rule.charged],
  )
})

test('a charge that was deleted is found', async () => {
  const problems = await problemsAfter(
    `delete from ledger_transfers where id = ${chargeOf('job_pending')}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 300 where id = ${customer.accountId}`,
  )
  assertFound(problems, rule.charged, { job: 'job_pending', charges: 0 })
})

test('a charge that was laid on another account is found', async () => {
  const problems = await problemsAfter(
    `update ledger_transfers set from_account_id = ${other.accountId} where id = ${chargeOf('job_pending')}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 300 where id = ${customer.accountId}`,
    `update accounts set balance_micro_cents = balance_micro_cents - 300 where id = ${other.accountId}`,
  )
  assertFound(problems, rule.charged, { job: 'job_pending' })
})

test('a second charge of a job is found where the index is gone', async () => {
  const revenue = "(select id from accounts where kind = 'revenue' and mode = 'test')"
  await client.query('begin')
  await client.query('drop index ledger_transfers_job')
  await client.query(
    `insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, job_id)
     values ('charge', ${customer.accountId}, ${revenue}, 300, 'job_pending')`,
  )
  await client.query(
    `update accounts set balance_micro_cents = balance_micro_cents - 300 where id = ${customer.accountId}`,
  )
  const inside = { query: (text: string) => client.query(/^(begin|rollback)/.test(text) ? 'select' : text) }
  const { problems } = await verifyLedger(inside as Pick<pg.ClientBase, 'query'>)
  await client.query('rollback')
  assertFound(problems, rule.charged, { job: 'job_pending', charges: 2, charged: 600 })
})

test('a price that was changed on the job is found', async () => {
  const problems = await problemsAfter(`update jobs set cost_micro_cents = 1 where id = 'job_pending'`)
  assertFound(problems, rule.charged, { job: 'job_pending', price: 1 })
})

test('a refund that is missing, and one without a reason, are found', async () => {
  assertFound(
    await problemsAfter(`delete from ledger_transfers where job_id = 'job_failed' and kind = 'refund'`),
    rule.refunded,
    { job: 'job_failed', status: 'failed', refunds: 0 },
  )
  assertFound(
    await problemsAfter(
      `update jobs set status = 'completed', error_code = null, error_message = null where id = 'job_failed'`,
    ),
    rule.refunded,
    { job: 'job_failed', status: 'completed', refunds: 1 },
  )
})

test('a refund of more than the charge is found', async () => {
  const problems = await problemsAfter(
    `update ledger_transfers set amount_micro_cents = 301 where job_id = 'job_failed' and kind = 'refund'`,
    `update accounts set balance_micro_cents = balance_micro_cents + 1 where id = ${customer.accountId}`,
  )
  assert.deepEqual(
    problems.map((problem) => [problem.rule, problem.row.job, problem.row.refunded, problem.row.charged]),
    [[rule.whole, 'job_failed', 301, 300]],
  )
})

test('a refund to another account is found', async () => {
  const problems = await problemsAfter(
    `update ledger_transfers set to_account_id = ${other.accountId} where job_id = 'job_failed' and kind = 'refund'`,
    `update accounts set balance_micro_cents = balance_micro_cents - 300 where id = ${customer.accountId}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 300 where id = ${other.accountId}`,
  )
  assert.deepEqual(
    problems.map((problem) => [problem.rule, problem.row.job]),
    [[rule.whole, 'job_failed']],
  )
})

test('transfers of a job that is gone are found', async () => {
  const problems = await problemsAfter(`delete from jobs where id = 'job_failed'`)
  assert.deepEqual(
    problems.map((problem) => [problem.rule, problem.row.job, problem.row.kind]),
    [
      [rule.orphan, 'job_failed', 'charge'],
      [rule.orphan, 'job_failed', 'refund'],
    ],
  )
})

test('a transfer between live and test is found', async () => {
  const problems = await problemsAfter(
    `update ledger_transfers set to_account_id = (select id from accounts where kind = 'revenue' and mode = 'live')
     where id = ${chargeOf('job_pending')}`,
  )
  assert.deepEqual(
    problems.map((problem) => [problem.rule, problem.row.from, problem.row.to]),
    [[rule.mode, 'test', 'live']],
  )
})

test('a transfer to an account that does not exist is found', async () => {
  const problems = await problemsAfter(
    `update ledger_transfers set to_account_id = 999999 where id = ${chargeOf('job_pending')}`,
  )
  assertFound(problems, rule.mode, { from: 'test', to: null })
})

test('money that was credited out of another account, or charged to one, is found', async () => {
  const stolen = await problemsAfter(
    `insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents)
     values ('credit', ${other.accountId}, ${customer.accountId}, 10)`,
    `update accounts set balance_micro_cents = balance_micro_cents - 10 where id = ${other.accountId}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 10 where id = ${customer.accountId}`,
  )
  assert.deepEqual(
    stolen.map((problem) => [problem.rule, problem.row.from, problem.row.to]),
    [[rule.direction, 'balance', 'balance']],
  )
  const kept = await problemsAfter(
    `update ledger_transfers set to_account_id = ${other.accountId} where id = ${chargeOf('job_pending')}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 300 where id = ${other.accountId}`,
  )
  assertFound(kept, rule.direction, { kind: 'charge', from: 'balance', to: 'balance' })
})

const goodwill = "(select id from ledger_transfers where kind = 'goodwill')"

test('goodwill that was changed, moved to another, or given without a word why is found', async () => {
  const more = await problemsAfter(
    `update ledger_transfers set amount_micro_cents = 301 where id = ${goodwill}`,
    `update accounts set balance_micro_cents = balance_micro_cents + 201 where id = ${customer.accountId}`,
  )
  assert.deepEqual(
    more.map((problem) => [problem.rule, problem.row.job, problem.row.charged, problem.row.givenBack]),
    [[rule.most, 'job_good', 300, 301]],
  )
  const elsewhere = await problemsAfter(
    `update ledger_transfers set to_account_id = ${other.accountId} where id = ${goodwill}`,
  )
  assertFound(elsewhere, rule.goodwill, { job: 'job_good' })
  assertFound(elsewhere, rule.balance, { user: other.userId })
  const silent = await problemsAfter(
    'alter table ledger_transfers drop constraint ledger_transfers_why',
    `update ledger_transfers set note = null where id = ${goodwill}`,
  )
  assertFound(silent, rule.goodwill, { job: 'job_good', note: null })
})

test('goodwill of a job that has not ended, has no job, or was given twice is found', async () => {
  const early = await problemsAfter(
    `update jobs set status = 'processing', completed_at = null where id = 'job_good'`,
  )
  assertFound(early, rule.goodwill, { job: 'job_good', status: 'processing' })
  const orphaned = await problemsAfter(`update ledger_transfers set job_id = 'job_x' where id = ${goodwill}`)
  assertFound(orphaned, rule.orphan, { job: 'job_x', kind: 'goodwill' })
  const twice = await problemsAfter(
    'drop index ledger_transfers_job',
    `insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, job_id, note)
     select kind, from_account_id, to_account_id, amount_micro_cents, job_id, note from ledger_transfers where id = ${goodwill}`,
  )
  assertFound(twice, rule.note, { job: 'job_good', note: 'late' })
})

const of = (kind: string) => `(select id from ledger_transfers where kind = '${kind}')`

test('what is owed, changed or forgiven without a transfer, is found', async () => {
  const forgiven = await problemsAfter(
    `update accounts set owed_micro_cents = 0 where id = ${debtor.accountId}`,
  )
  assert.deepEqual(
    forgiven.map((problem) => [problem.rule, problem.row.owed, problem.row.transfers]),
    [[rule.owed, 0, 30]],
  )
  const less = await problemsAfter(
    `update ledger_transfers set amount_micro_cents = 40 where id = ${of('owed')}`,
  )
  assertFound(less, rule.owed, { owed: 30, transfers: 20 })
  const rich = await problemsAfter(
    'alter table accounts drop constraint accounts_owed',
    `update accounts set balance_micro_cents = 5 where id = ${debtor.accountId}`,
  )
  assertFound(rich, rule.broke, { owed: 30, balance: 5 })
})

test('a debit, what is owed of it, and a repayment that went elsewhere are found', async () => {
  const kept = await problemsAfter(
    `update ledger_transfers set to_account_id = ${other.accountId} where id = ${of('debit')}`,
  )
  assertFound(kept, rule.direction, { kind: 'debit', from: 'balance', to: 'balance' })
  const gone = await problemsAfter(`delete from ledger_transfers where id = ${of('debit')}`)
  assertFound(gone, rule.balance, { user: debtor.userId, balance: 0, transfers: 100 })
  const lost = await problemsAfter(`delete from ledger_transfers where id = ${of('owed')}`)
  assertFound(lost, rule.owed, { owed: 30, transfers: -20 })
  const paidByAnother = await problemsAfter(
    `update ledger_transfers set from_account_id = ${other.accountId} where id = ${of('repayment')}`,
  )
  assertFound(paidByAnother, rule.repayment, { from: other.userId, to: debtor.userId })
  const twice = await problemsAfter(
    'drop index ledger_transfers_reference',
    `insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, reference)
     select kind, from_account_id, to_account_id, 0, reference from ledger_transfers where id = ${of('debit')}`,
  )
  assertFound(twice, rule.reference, { reference: 'invoice-7', kind: 'debit' })
})

test('of very many problems the first hundred of a rule are listed', async () => {
  const problems = await problemsAfter(
    `insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, job_id)
     select 'charge', ${customer.accountId}, (select id from accounts where kind = 'revenue' and mode = 'test'), 0,
       'job_lost_' || n from generate_series(1, 150) n`,
  )
  assert.equal(problems.length, 100)
})
