import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balanceOf, type Customer, cloneDatabase, ledgerProblems, makeCustomer } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import { transaction } from '../db.ts'
import { refundJob } from '../jobs/goodwill.ts'
import { creditOnce, debit } from './by-hand.ts'
import { charge, credit, refund } from './ledger.ts'

const { pool } = await cloneDatabase()

const ownerOf = ({ userId }: Customer) => ({ userId, mode: 'test' as const })
const take = (customer: Customer, amount: bigint, options: { mayOwe?: boolean; reference?: string } = {}) =>
  debit(pool, ownerOf(customer), amount, { mayOwe: false, ...options })

async function stands(customer: Customer): Promise<[bigint, bigint]> {
  const { rows } = await pool.query<{ owed: bigint }>(
    'select owed_micro_cents as owed from accounts where id = $1',
    [customer.accountId],
  )
  return [await balanceOf(pool, customer.accountId), rows[0]!.owed]
}

let jobs = 0

/** A job that was charged 300. */
async function addJob(customer: Customer, status: 'processing' | 'completed' | 'failed'): Promise<string> {
  const jobId = `job_${++jobs}`
  const isOver = status !== 'processing'
  await transaction(pool, async (client) => {
    await client.query(
      `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, provider, cost_micro_cents,
         created_at, estimated_completion_at, status, dispatched_at, deadline_at, completed_at, error_code, error_message)
       values ($1, $2, 'key', 'req', 'a/b/c', 'v1.0', '{}', 'sandbox', 300, now(), now(), $3::job_status, now(), now(),
         case when $4 then now() end, $5, $5)`,
      [jobId, customer.accountId, status, isOver, status === 'failed' ? 'GENERATION_FAILED' : null],
    )
    await charge(client, [{ jobId, accountId: customer.accountId, amountMicroCents: 300n }])
    if (status === 'failed') await refund(client, jobId)
  })
  return jobId
}

test('a debit above the balance takes nothing, unless the rest may be owed', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  assert.equal(await take(customer, 400n), 'done')
  const refused = await take(customer, 601n)
  assert.deepEqual(refused, { refused: 'the balance is 600 micro-cents, 1 less than 601' })
  assert.deepEqual(await stands(customer), [600n, 0n])
  assert.equal(await take(customer, 900n, { mayOwe: true }), 'done')
  assert.equal(await take(customer, 50n, { mayOwe: true }), 'done')
  assert.deepEqual(await stands(customer), [0n, 350n])
})

test('whatever comes in pays what is owed first: credits, refunds and goodwill', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const [running, over] = [await addJob(customer, 'processing'), await addJob(customer, 'completed')]
  await take(customer, 1_000n, { mayOwe: true })
  assert.deepEqual(await stands(customer), [0n, 600n])
  assert.equal(await credit(pool, ownerOf(customer), 100n, undefined), 0n)
  assert.deepEqual(await stands(customer), [0n, 500n])
  await transaction(pool, async (client) => {
    await client.query(
      "update jobs set status = 'failed', completed_at = now(), error_code = 'X', error_message = 'X' where id = $1",
      [running],
    )
    assert.equal(await refund(client, running), 300n)
  })
  assert.deepEqual(await stands(customer), [0n, 200n])
  await refundJob(pool, over, { amountMicroCents: 150n, note: 'late' })
  assert.deepEqual(await stands(customer), [0n, 50n])
  assert.equal(await credit(pool, ownerOf(customer), 80n, undefined), 30n)
  assert.deepEqual(await stands(customer), [30n, 0n])
})

test('credits and debits at once lose nothing and pay nothing twice', async () => {
  const customer = await makeCustomer(pool, { microCents: 100n })
  await Promise.all([
    ...Array.from({ length: 10 }, () => take(customer, 90n, { mayOwe: true })),
    ...Array.from({ length: 10 }, () => creditOnce(pool, ownerOf(customer), 70n, {})),
  ])
  assert.deepEqual(await stands(customer), [0n, 100n])
  assert.deepEqual(await ledgerProblems(pool), [])
})

test('money that comes in while the first debt is written down pays it', async () => {
  const customer = await makeCustomer(pool, { microCents: 400n })
  const job = await addJob(customer, 'completed')
  const waiting = async (count: number) =>
    until(async () => {
      const { rows } = await pool.query<{ waiting: number }>(
        "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      )
      return rows[0]!.waiting === count
    })
  const all: Promise<unknown>[] = []
  await transaction(pool, async (client) => {
    await client.query('select from accounts where id = $1 for update', [customer.accountId])
    all.push(take(customer, 1_000n, { mayOwe: true }))
    await waiting(1)
    all.push(creditOnce(pool, ownerOf(customer), 70n, {}))
    await waiting(2)
    all.push(refundJob(pool, job, { note: 'late' }))
    await waiting(3)
  })
  await Promise.all(all)
  assert.deepEqual(await stands(customer), [0n, 1_000n - 100n - 70n - 300n])
  assert.deepEqual(await ledgerProblems(pool), [])
})

test('one reference moves money once, however often and however many at once', async () => {
  const customer = await makeCustomer(pool, { microCents: 500n })
  const once = () => creditOnce(pool, ownerOf(customer), 200n, { reference: 'invoice-7' })
  const credits = await Promise.all(Array.from({ length: 5 }, once))
  assert.deepEqual(credits.toSorted(), ['done', 'repeated', 'repeated', 'repeated', 'repeated'])
  const debits = await Promise.all(
    Array.from({ length: 5 }, () => take(customer, 1_000n, { mayOwe: true, reference: 'invoice-7' })),
  )
  assert.deepEqual(debits.toSorted(), ['done', 'repeated', 'repeated', 'repeated', 'repeated'])
  assert.deepEqual(await stands(customer), [0n, 300n])
  for (const other of [
    await creditOnce(pool, ownerOf(customer), 201n, { reference: 'invoice-7' }),
    await take(customer, 999n, { mayOwe: true, reference: 'invoice-7' }),
  ]) {
    assert.ok(typeof other === 'object' && /was used before, for/.test(other.refused))
  }
  // another user's, and the other mode's, are others
  const other = await makeCustomer(pool, { microCents: 0n })
  assert.equal(await creditOnce(pool, ownerOf(other), 5n, { reference: 'invoice-7' }), 'done')
  assert.equal(
    await creditOnce(pool, { userId: customer.userId, mode: 'live' }, 5n, { reference: 'invoice-7' }),
    'done',
  )
})

test('goodwill is for jobs that have ended, once for each note, and at most what is left of the charge', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const [running, over, failed] = [
    await addJob(customer, 'processing'),
    await addJob(customer, 'completed'),
    await addJob(customer, 'failed'),
  ]
  const give = (jobId: string, note: string, amountMicroCents?: bigint) =>
    refundJob(pool, jobId, { note, amountMicroCents })
  const refusal = async (...asked: Parameters<typeof give>) => {
    const given = await give(...asked)
    assert.ok(
      given !== undefined && 'refused' in given,
      JSON.stringify(given, (_, v) => String(v)),
    )
    return given.refused
  }
  assert.match(await refusal(running, 'late'), /the job is processing/)
  assert.match(await refusal(failed, 'late'), /all of the charge of 300 .* was given back/)
  assert.equal(await give('job_none', 'late'), undefined)
  const first = { amountMicroCents: 100n, refundedMicroCents: 100n }
  assert.deepEqual(await give(over, 'late', 100n), { ...first, isRepeated: false })
  for (const amount of [100n, undefined]) {
    assert.deepEqual(await give(over, 'late', amount), { ...first, isRepeated: true })
  }
  assert.match(await refusal(over, 'late', 50n), /this note has given the job 100/)
  assert.match(await refusal(over, 'blurred', 201n), /200 micro-cents are left of the charge of 300/)
  const rest = { amountMicroCents: 200n, refundedMicroCents: 300n, isRepeated: false }
  assert.deepEqual(await give(over, 'blurred'), rest)
  assert.match(await refusal(over, 'once more'), /all of the charge/)
  assert.deepEqual(await stands(customer), [700n, 0n])
})

test('of many that give goodwill at once no more than the charge is given back', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const jobId = await addJob(customer, 'completed')
  const given = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      refundJob(pool, jobId, { note: `note ${index % 6}`, amountMicroCents: 100n }),
    ),
  )
  const counted = given.filter((each) => each !== undefined && 'isRepeated' in each && !each.isRepeated)
  assert.equal(counted.length, 3)
  assert.deepEqual(await stands(customer), [1_000n, 0n])
})

test('the database itself refuses to give back more than a charge, also from two sides at once', async () => {
  const customer = await makeCustomer(pool, { microCents: 1_000n })
  const jobId = await addJob(customer, 'completed')
  const insert = (note: string, amount: number, kind = 'goodwill') =>
    pool.query(
      `insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, job_id, note, refunds_transfer_id)
       select $4::transfer_kind, to_account_id, from_account_id, $2, job_id, $3, case when $4 = 'refund' then id end
       from ledger_transfers where job_id = $1 and kind = 'charge'`,
      [jobId, amount, kind === 'refund' ? null : note, kind],
    )
  const broken = { code: '23514' }
  await assert.rejects(insert('too much', 301), broken)
  const outcomes = await Promise.allSettled([
    insert('one', 200),
    insert('two', 200),
    insert('', 300, 'refund'),
  ])
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, '23514')
  }
  await assert.rejects(insert('', 100), broken, 'without a note')
})
