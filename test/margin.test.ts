import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setOverride } from '../src/policy/price-overrides.ts'
import { isMargin, percent } from '../src/pricing/margin.ts'
import type { Provider } from '../src/providers/provider.ts'
import { cloneDatabase, ledgerProblems, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { textToVideo } from './seeds.ts'
import { until } from './until.ts'

/** An upstream that takes every job, and says that its customer's own doing failed it. */
function createTaking(name: string): Provider & { prompts: string[] } {
  const prompts: string[] = []
  return {
    name,
    prompts,
    pollBatch: 1,
    pollDelayMs: () => 50,
    timeLimitMs: () => 60_000,
    async submit({ input }) {
      prompts.push(String(input.prompt))
      return { outcome: 'accepted', operation: String(input.prompt) }
    },
    poll: async () => [{ status: 'failed', code: 'CONTENT_POLICY_VIOLATION', message: 'Made by nobody.' }],
  }
}

const { pool, url } = await cloneDatabase()
const [dear, cheap] = [createTaking('dear'), createTaking('cheap')]
const costs = (baseCostMicroCents: number) => ({
  baseCostMicroCents,
  unit: 'per_second' as const,
  factors: { duration: { 5: '5', 10: '10' } },
})
// the list price is 84,000 a second; dear is the better one by its place, where both may be taken
const routes = [
  { upstream: 'dear', model: 'd', cost: costs(80_000) },
  { upstream: 'cheap', model: 'c', cost: costs(79_800) },
]
const start = (minMargin: string | undefined, role: 'api' | 'all', routesOf = () => routes) =>
  startGateway({
    databaseUrl: url,
    role,
    allowPrivateNetwork: true,
    upstreams: [dear, cheap],
    routesOf,
    settings: { minMargin },
  })
const [strict, free] = [await start('5', 'api'), await start(undefined, 'all')]
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })

test('a margin is compared exactly, at every price and cost', () => {
  for (const [price, cost, least, isEnough] of [
    [100n, 80n, '20', true],
    [100n, 81n, '20', false],
    [1_000_000_000n, 800_000_000n, '20.000000001', false],
    [3n, 2n, '33.333333333', true],
    [3n, 2n, '33.333333334', false],
    [100n, 100n, '0', true],
    [100n, 101n, '0', false],
    [100n, 105n, '-5', true],
    [100n, 106n, '-5', false],
    [0n, 0n, '100', true],
    [0n, 1n, '-1000', false],
  ] as const) {
    assert.equal(isMargin(price, cost, percent(least)!), isEnough, `${price} ${cost} ${least}`)
  }
  for (const wrong of ['', '5%', '1e2', '+5', '.5', '5.', 'five']) assert.equal(percent(wrong), undefined)
})

let prompts = 0
async function submit(at: typeof strict, more: object = {}, key = customer.key) {
  const prompt = `A lake, number ${++prompts}`
  const body = { model: textToVideo, input: { prompt, duration: '5' }, ...more }
  return { prompt, ...(await at.call('POST', '/v1/jobs/submit', { key, body })) }
}

test('a route below the least margin is not taken, by whichever process the job is sent', async () => {
  const { prompt, status, body } = await submit(strict)
  assert.equal(status, 200, JSON.stringify(body))
  const { rows } = await pool.query('select routes from jobs where id = $1', [body.jobId])
  // and those of the catalogue whose cost is not known
  assert.ok(rows[0].routes.includes('cheap c') && !rows[0].routes.includes('dear d'))
  await until(async () => cheap.prompts.includes(prompt))
  const unlimited = await submit(free)
  const taken = await until(async () => [dear, cheap].find((each) => each.prompts.includes(unlimited.prompt)))
  assert.equal(taken.name, 'dear')
  assert.ok(!dear.prompts.includes(prompt))
})

test('where no route leaves enough the job is refused uncharged; test keys, quotes and dearer terms are not', async () => {
  const { userId } = customer
  const quote = await strict.call('POST', '/v1/jobs/estimate', {
    key: customer.key,
    body: { model: textToVideo, input: { prompt: 'A sea', duration: '5' } },
  })
  await setOverride(pool, {
    subject: { userId },
    scope: 'all',
    kind: 'percentage_discount',
    percentage: '1',
  })
  const refused = await submit(strict)
  assert.deepEqual([refused.status, refused.body.error.code], [400, 'MODEL_VERSION_NOT_ACTIVE'])
  assert.match(refused.body.error.message, /at its present price\. Nothing was charged/)
  assert.doesNotMatch(JSON.stringify(refused.body.error), /margin|cost|79|cheap|dear/i)
  const shown = async (at: typeof strict, key?: string) =>
    (await at.call('GET', `/v1/catalog/models/${textToVideo}`, key === undefined ? {} : { key })).body
  const own = await shown(strict, customer.key)
  assert.equal(own.available, false)
  assert.match(own.unavailableReason, /at its present price/)
  assert.equal((await shown(strict)).available, true, 'for everybody else')
  const inModels = async (at: typeof strict) => {
    const { body } = await at.call('GET', '/v1/models', { key: customer.key })
    return body.models.find(({ slug }: { slug: string }) => slug === textToVideo).available
  }
  assert.deepEqual([await inModels(strict), await inModels(free)], [false, true])
  assert.equal((await shown(free, customer.key)).available, true)
  const quoteId = quote.body.quoteId
  const quoted = await submit(strict, { quoteId, input: { prompt: 'A sea', duration: '5' } })
  assert.equal(quoted.status, 200, JSON.stringify(quoted.body))
  assert.equal((await submit(free)).status, 200)
  const tester = await makeCustomer(pool, { mode: 'test' })
  assert.equal((await submit(strict, {}, tester.key)).status, 200)
  await setOverride(pool, {
    subject: 'everybody',
    scope: 'all',
    kind: 'percentage_markup',
    percentage: '20',
  })
  assert.equal((await submit(strict)).status, 200)
  assert.deepEqual(await ledgerProblems(pool), [])
})

test('where the only route that leaves enough is suspended the catalog says what a submit is told', async () => {
  await pool.query('delete from price_overrides')
  await pool.query(
    `insert into upstream_closures (upstream, model, reason, cause, retry_at)
     values ('cheap', '', 'credit', 'no credit', now() + interval '1 hour')`,
  )
  const path = `/v1/catalog/models/${textToVideo}`
  const listed = async () => (await strict.call('GET', path, { key: customer.key })).body
  await until(async () => !(await listed()).available)
  assert.match((await listed()).unavailableReason, /suspended/)
  assert.equal((await submit(strict)).body.error.code, 'PROVIDER_UNAVAILABLE')
  await pool.query('delete from upstream_closures')
  await until(async () => (await listed()).available)
})

test('a route of unknown cost is taken', async () => {
  const unknown = await start('99', 'api', () => [{ upstream: 'cheap', model: 'c' } as (typeof routes)[0]])
  assert.equal((await submit(unknown)).status, 200)
})
