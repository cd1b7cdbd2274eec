import assert from 'node:assert/strict'
import { test } from 'node:test'
import { database, fails, filmgate, json } from './command-line.ts'
import { ledgerProblems, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'
import { addJob, complete, takeUp } from './timeline-fixture.ts'

const { pool } = database
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })

test('a user is credited and debited in dollars or micro-cents, once for each reference, and may owe', async () => {
  const { userId } = await makeCustomer(pool, { microCents: 0n })
  const balances = { userId, balanceMicroCents: 5_000_000, testBalanceMicroCents: 0 }
  assert.deepEqual(await json(`user credit ${userId} --usd 5.00 --reference invoice-7`), balances)
  const again = await json(`user credit ${userId} 5000000 --reference invoice-7`)
  assert.deepEqual(again, { ...balances, isRepeated: true })
  await fails(
    `user credit ${userId} --usd 6 --reference invoice-7`,
    1,
    /was used before, for 5000000 micro-cents/,
  )
  const less = { ...balances, balanceMicroCents: 4_999_999 }
  assert.deepEqual(await json(`user debit ${userId} --usd 0.000001 --note rounding`), less)
  await fails(
    `user debit ${userId} --usd 5`,
    1,
    /the balance is 4999999 .*; nothing was changed; --owe takes/,
  )
  const owing = await json(`user debit ${userId} --usd 5 --owe`)
  const owed = { owedMicroCents: 1, testOwedMicroCents: 0 }
  assert.deepEqual(owing, { ...balances, balanceMicroCents: 0, ...owed })
  const human = await filmgate(`user show ${userId}`)
  assert.match(human.stdout, /^owes +\$0\.000001$/m)
  assert.deepEqual(await ledgerProblems(pool), [])
})

test('an amount that is not plain, is there twice or not at all, is refused and changes nothing', async () => {
  const { userId } = await makeCustomer(pool, { microCents: 0n })
  const plain = /plain decimal with at most six places and no sign, like 5\.00/
  await Promise.all([
    ...['-5', '+5', '5,00', '1,000.00', '1e3', '5.0000001', '.5', '5.', '$5', '05', '1000000000', 'NaN'].map(
      (wrong) => fails(`user credit ${userId} --usd=${wrong}`, 2, plain),
    ),
    fails(`user credit ${userId} --usd 0.00`, 2, /must be more than 0/),
    fails(`user credit ${userId} 5 --usd 5`, 2, /cannot stand beside each other/),
    fails(`user debit ${userId}`, 2, /give <amount_microcents> or --usd/),
    fails(`job refund job_1 --amount 5 --usd 5 --note x`, 2, /--amount and --usd cannot stand beside/),
    fails(`job refund job_1 --amount 5`, 2, /required option '--note <text>'/),
    fails(`price override set --user ${userId} --fixed 5 --usd 5`, 2, /--fixed and --usd cannot stand/),
  ])
  assert.equal((await json(`user show ${userId}`)).balanceMicroCents, 0)
})

test('a job that has ended is refunded by its note, and get shows what was given back', async () => {
  const customer = await makeCustomer(pool)
  const jobId = await addJob(gateway, pool, customer)
  await fails(`job refund ${jobId} --note late`, 1, /the job is pending: .*; nothing was changed/)
  await takeUp(pool, jobId)
  await complete(pool, jobId)
  const given = { jobId, amountMicroCents: 100_000, refundedMicroCents: 100_000 }
  assert.deepEqual(await json(`job refund ${jobId} --usd 0.1 --note late`), { ...given, isRepeated: false })
  assert.deepEqual(await json(`job refund ${jobId} --note late`), { ...given, isRepeated: true })
  const { body } = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })
  assert.equal(body.refundedMicroCents, 100_000)
  await fails(`job refund ${jobId} --usd 100 --note more`, 1, /are left of the charge/)
  await fails('job refund job_none --note late', 1, /there is no job job_none/)
})

test('a markup is set, listed, shows what it does, and is taken away', async () => {
  const set = await json(`price markup 12.5 --provider kling --note season`)
  assert.deepEqual([set.kind, set.percentage, set.providerId], ['percentage_markup', '12.5', 'kling'])
  const ofThis = set.effects.find(({ modelSlug }: { modelSlug: string }) => modelSlug === imageToVideo)
  assert.deepEqual(ofThis, { modelSlug: imageToVideo, listMicroCents: 350_000, costMicroCents: 393_750 })
  const { effects: _, ...listed } = set
  assert.deepEqual((await json('price markup list')).markups, [listed])
  const customer = await makeCustomer(pool)
  const body = seedBody(imageToVideo)
  const submitted = await gateway.call('POST', '/v1/jobs/submit', { key: customer.key, body })
  assert.equal(submitted.body.costMicroCents, 393_750)
  const override = await json(
    `price override set --user ${customer.userId} --usd 0.25 --model ${textToVideo}`,
  )
  assert.equal(override.priceMicroCents, 250_000)
  await Promise.all([
    fails('price markup 1001', 2, /must be a plain decimal from 0 to 1000/),
    fails('price markup 5 --provider klink', 1, /--provider names no provider; did you mean "kling"\?/),
    fails(`price markup 5 --provider kling --model ${imageToVideo}`, 1, /cannot stand beside --model/),
    fails(`price markup remove ${override.id}`, 1, /there is no markup/),
  ])
  assert.deepEqual(await json(`price markup remove ${set.id}`), { id: set.id, removed: true })
  assert.deepEqual((await json('price markup list')).markups, [])
})
