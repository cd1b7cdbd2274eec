import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balanceOf, cloneDatabase, makeCustomer, transfersOf } from '../../test/database.ts'
import { transaction } from '../db.ts'
import { charge, credit, refund } from './ledger.ts'

const { pool } = await cloneDatabase()

const unique = { code: '23505' }
const broken = { code: '23514' }
const onlyInserted = /rows of ledger_transfers are only inserted/

let jobs = 0
const newJob = () => `job_${++jobs}`
const chargeOne = (jobId: string, accountId: bigint, amountMicroCents: bigint) =>
  transaction(pool, (client) => charge(client, [{ jobId, accountId, amountMicroCents }]))
const refundOne = (jobId: string) => transaction(pool, (client) => refund(client, jobId))

async function accountId(kind: string, mode: string): Promise<bigint> {
  const { rows } = await pool.query('select id from accounts where kind = $1 and mode = $2', [kind, mode])
  return rows[0].id
}

async function transferId(jobId: string, kind: string): Promise<bigint> {
  const { rows } = await pool.query('select id from ledger_transfers where job_id = $1 and kind = $2', [
    jobId,
    kind,
  ])
  return rows[0].id
}

test('a charge lowers the balance, a refund gives it back, a credit raises it', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const job = newJob()
  await chargeOne(job, customer.accountId, 300n)
  assert.equal(await balanceOf(pool, customer.accountId), 700n)
  assert.equal(await refundOne(job), 300n)
  assert.equal(await balanceOf(pool, customer.accountId), 1_000n)
  assert.equal(await credit(pool, { userId: customer.userId, mode: 'test' }, 5n, 'a gift'), 1_005n)
  assert.equal(await balanceOf(pool, customer.accountId), 1_005n)
})

test('charges of many jobs and accounts at once are each taken from their own', async () => {
  const [one, other] = [
    await makeCustomer(pool, { microCents: 1_000n }),
    await makeCustomer(pool, { microCents: 1_000n }),
  ]
  const charges = [100n, 20n, 3n].map((amountMicroCents, index) => ({
    jobId: newJob(),
    accountId: index === 1 ? other.accountId : one.accountId,
    amountMicroCents,
  }))
  await transaction(pool, (client) => charge(client, charges))
  assert.equal(await balanceOf(pool, one.accountId), 897n)
  assert.equal(await balanceOf(pool, other.accountId), 980n)
})

test('a job is charged at most once, and the second attempt changes nothing', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const job = newJob()
  await chargeOne(job, customer.accountId, 300n)
  await assert.rejects(chargeOne(job, customer.accountId, 300n), unique)
  await assert.rejects(chargeOne(job, customer.accountId, 1n), unique)
  assert.equal(await balanceOf(pool, customer.accountId), 700n)
})

test('of ten charges of one job at once one goes through', async () => {
  const customer = await makeCustomer(pool, { microCents: 10_000n })
  const job = newJob()
  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, () => chargeOne(job, customer.accountId, 300n)),
  )
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal(await balanceOf(pool, customer.accountId), 9_700n)
  assert.deepEqual(await transfersOf(pool, job), { charges: 1, refunds: 0 })
})

test('of ten refunds of one job at once one goes through', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const job = newJob()
  await chargeOne(job, customer.accountId, 300n)
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => refundOne(job)))
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, unique.code)
  }
  assert.equal(await balanceOf(pool, customer.accountId), 1_000n)
  assert.deepEqual(await transfersOf(pool, job), { charges: 1, refunds: 1 })
})

test('a job without a charge cannot be refunded', async () => {
  await assert.rejects(refundOne('job_never'), /job job_never has no charge to refund/)
})

test('a charge above the balance is refused by the table, whole', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const job = newJob()
  await assert.rejects(chargeOne(job, customer.accountId, 1_001n), broken)
  assert.deepEqual(await transfersOf(pool, job), { charges: 0, refunds: 0 })
  await chargeOne(job, customer.accountId, 1_000n)
  assert.equal(await balanceOf(pool, customer.accountId), 0n)
})

test('twenty charges at once never take more than there is', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, () => chargeOne(newJob(), customer.accountId, 300n)),
  )
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3)
  assert.equal(await balanceOf(pool, customer.accountId), 100n)
})

test('live and test money are apart', async () => {
  const customer = await makeCustomer(pool, { mode: 'test', microCents: 1_000n })
  const { rows } = await pool.query("select id from accounts where user_id = $1 and mode = 'live'", [
    customer.userId,
  ])
  const live: bigint = rows[0].id
  assert.equal(await balanceOf(pool, live), 0n)
  await assert.rejects(chargeOne(newJob(), live, 1n), broken)
  assert.equal(await credit(pool, { userId: customer.userId, mode: 'live' }, 50n, undefined), 50n)
  assert.equal(await balanceOf(pool, customer.accountId), 1_000n)
  const job = newJob()
  await chargeOne(job, live, 50n)
  const charged = await pool.query(
    `select f.mode as "from", r.mode as "to" from ledger_transfers t
     join accounts f on f.id = from_account_id join accounts r on r.id = to_account_id where job_id = $1`,
    [job],
  )
  assert.deepEqual(charged.rows, [{ from: 'live', to: 'live' }])
})

test('a credit for a user that does not exist changes nothing', async () => {
  const count = async () => (await pool.query('select count(*) from ledger_transfers')).rows[0].count
  const earlier = await count()
  assert.equal(await credit(pool, { userId: 'user_none', mode: 'live' }, 5n, undefined), undefined)
  assert.equal(await count(), earlier)
})

test('an amount below zero is refused, whichever way', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  await assert.rejects(credit(pool, { userId: customer.userId, mode: 'test' }, -1n, undefined), broken)
  await assert.rejects(chargeOne(newJob(), customer.accountId, -1n), broken)
  assert.equal(await balanceOf(pool, customer.accountId), 1_000n)
})

test('by SQL as well a job has one charge and one refund, and a charge one refund', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const revenue = await accountId('revenue', 'test')
  const job = newJob()
  await chargeOne(job, customer.accountId, 300n)
  await refundOne(job)
  const charged = await transferId(job, 'charge')
  const insert = `insert into ledger_transfers
    (kind, from_account_id, to_account_id, amount_micro_cents, job_id, refunds_transfer_id) values `
  for (const row of [
    `('charge', ${customer.accountId}, ${revenue}, 1, '${job}', null)`,
    `('refund', ${revenue}, ${customer.accountId}, 300, '${job}', ${charged})`,
    // under the name of another job
    `('refund', ${revenue}, ${customer.accountId}, 300, 'job_other', ${charged})`,
  ]) {
    await assert.rejects(pool.query(insert + row), unique, row)
  }
  for (const row of [
    `('refund', ${revenue}, ${customer.accountId}, 300, 'job_other', null)`,
    `('charge', ${customer.accountId}, ${revenue}, 300, null, null)`,
    `('credit', ${revenue}, ${customer.accountId}, 300, 'job_other', null)`,
    `('credit', ${customer.accountId}, ${customer.accountId}, 300, null, null)`,
    `('charge', ${customer.accountId}, ${revenue}, -300, 'job_other', null)`,
  ]) {
    await assert.rejects(pool.query(insert + row), broken, row)
  }
})

test('transfers can be neither changed, nor deleted, nor emptied, not even none of them', async () => {
  await assert.rejects(pool.query('update ledger_transfers set amount_micro_cents = 0'), onlyInserted)
  await assert.rejects(pool.query('delete from ledger_transfers'), onlyInserted)
  await assert.rejects(pool.query('truncate ledger_transfers'), onlyInserted)
  await assert.rejects(pool.query('truncate ledger_transfers cascade'), onlyInserted)
  await assert.rejects(pool.query('delete from ledger_transfers where false'), onlyInserted)
  await assert.rejects(
    pool.query(
      `insert into ledger_transfers overriding system value select * from ledger_transfers limit 1
       on conflict (id) do update set amount_micro_cents = 0`,
    ),
    onlyInserted,
  )
})

test('a balance below zero, or none at all, is refused by the table', async () => {
  const { accountId: id } = await makeCustomer(pool, { microCents: 1_000n })
  await assert.rejects(pool.query('update accounts set balance_micro_cents = -1 where id = $1', [id]), broken)
  await assert.rejects(
    pool.query('update accounts set balance_micro_cents = null where id = $1', [id]),
    broken,
  )
})

test('a user has one balance per mode', async () => {
  const { userId } = await makeCustomer(pool)
  await assert.rejects(
    pool.query(
      "insert into accounts (kind, mode, user_id, balance_micro_cents) values ('balance', 'test', $1, 0)",
      [userId],
    ),
    unique,
  )
  await assert.rejects(pool.query("insert into accounts (kind, mode) values ('funding', 'live')"), unique)
})
