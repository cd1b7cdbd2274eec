import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey } from '../src/accounts/keys.ts'
import { assignSegment, createSegment } from '../src/accounts/segments.ts'
import { allowModel, changeUser } from '../src/accounts/users.ts'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { debit } from '../src/ledger/by-hand.ts'
import { credit } from '../src/ledger/ledger.ts'
import { removeOverride, setOverride } from '../src/policy/price-overrides.ts'
import { setVersion, setVisibility } from '../src/policy/settings.ts'
import type { PriceOverride, PriceTerms } from '../src/pricing/override.ts'
import { balanceOf, type Customer, cloneDatabase, ledgerProblems, makeCustomer } from './database.ts'
import { type Answer, startGateway } from './gateway.ts'
import { imageToVideo, textToVideo } from './seeds.ts'
import { until } from './until.ts'

const database = await cloneDatabase()
const { pool } = database
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const second = await startGateway({ databaseUrl: database.url, role: 'api' })
const catalogue = loadCatalogue()

const get = (path: string, key: string | undefined) =>
  gateway.call('GET', path, key === undefined ? {} : { key })
const post = (
  verb: 'submit' | 'estimate',
  key: string,
  body: unknown,
  headers: Record<string, string> = {},
) => gateway.call('POST', `/v1/jobs/${verb}`, { key, body, headers })
const input = (duration = '5') => ({ prompt: 'A lake', duration, has_sound: 'false' })
const body = (more: Record<string, unknown> = {}) => ({ model: textToVideo, input: input(), ...more })
const codeOf = (answer: Answer): string | undefined => answer.body.error?.code

let segments = 0
async function makeSegment(...members: Customer[]): Promise<string> {
  const name = `segment-${++segments}`
  await createSegment(pool, name, undefined)
  for (const { userId } of members) await assignSegment(pool, name, userId, true)
  return name
}

/** Asks without a key until the answer is as wanted: it may be a second old. */
function openly(path: string, isWanted: (answer: Answer) => boolean): Promise<Answer> {
  return until(async () => {
    const answer = await get(path, undefined)
    return isWanted(answer) && answer
  })
}

const has = (slug: string) => (answer: Answer) => JSON.stringify(answer.body).includes(slug)
const lacks = (slug: string) => (answer: Answer) => !has(slug)(answer)

// --- Who sees which model

const [hidden, sibling] = [imageToVideo, 'kling/kling-omni-o1/text-to-video']

/** Everything that tells of models, with slugs and ids that are slightly wrong for the sake of their hints. */
function tellingPaths(key: string | undefined): string[] {
  const open = ['models', `models/${sibling}`, `models/${hidden}s`, 'models/kling/kling-omni', 'providers']
  const catalog = [...open, 'providers/kling', 'providers/klink', 'categories', 'capability-groups']
  const keyed = ['models', `models/${sibling}`, `models/${hidden}s`, 'providers', 'providers/kling/models']
  return [
    ...catalog.map((path) => `/v1/catalog/${path}`),
    ...(key === undefined ? [] : keyed.map((path) => `/v1/${path}`)),
  ]
}

/** The paths whose answers name the hidden model, beyond repeating what was asked for. */
async function telling(key: string | undefined): Promise<string[]> {
  const found: string[] = []
  for (const path of tellingPaths(key)) {
    const text = JSON.stringify((await get(path, key)).body).replaceAll(`${hidden}s`, '')
    if (text.includes(hidden)) found.push(path)
  }
  if (key === undefined) return found
  for (const verb of ['estimate', 'submit'] as const) {
    for (const model of [`${hidden}s`, 'kling/kling-omni']) {
      const text = JSON.stringify((await post(verb, key, body({ model }))).body).replaceAll(`${hidden}s`, '')
      if (text.includes(hidden)) found.push(`${verb} ${model}`)
    }
  }
  return found
}

/** The numbers of models that the catalog tells, all of which must agree with the list. */
async function countsAgree(key: string | undefined): Promise<number> {
  const listed: { provider: { id: string }; category: string }[] = (await get('/v1/catalog/models', key)).body
  for (const [path, isOf] of [
    ['providers', (model: (typeof listed)[0], id: string) => model.provider.id === id],
    ['categories', (model: (typeof listed)[0], id: string) => model.category === id],
  ] as const) {
    for (const { id, modelCount } of (await get(`/v1/catalog/${path}`, key)).body) {
      assert.equal(modelCount, listed.filter((model) => isOf(model, id)).length, `${path} ${id}`)
    }
  }
  return listed.length
}

async function refused(key: string): Promise<void> {
  const asked = { model: hidden, input: { prompt: 'x', image_url: 'https://example.com/image.jpg' } }
  for (const answer of [
    await get(`/v1/models/${hidden}`, key),
    await get(`/v1/catalog/models/${hidden}`, key),
    await post('estimate', key, asked),
    await post('submit', key, asked),
  ]) {
    assert.equal(answer.status, 403)
    assert.equal(codeOf(answer), 'MODEL_ACCESS_DENIED')
  }
}

async function admitted(key: string): Promise<void> {
  const asked = { model: hidden, input: { prompt: 'x', image_url: 'https://example.com/image.jpg' } }
  const { id } = (await get(`/v1/models/${hidden}`, key)).body
  for (const answer of [
    await get(`/v1/models/${id}`, key),
    await get(`/v1/catalog/models/${hidden}`, key),
    await post('estimate', key, asked),
    await post('submit', key, asked),
  ]) {
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
  }
  for (const path of ['/v1/models', '/v1/providers/kling/models', '/v1/catalog/models']) {
    assert.ok(has(hidden)(await get(path, key)), path)
  }
  const { siblings } = (await get(`/v1/catalog/models/${sibling}`, key)).body
  assert.deepEqual(siblings, [{ slug: hidden, capability: 'image-to-video' }])
}

for (const visibility of ['segment', 'private'] as const) {
  test(`a ${visibility} model is there for those it is meant for, and nobody else hears of it`, async () => {
    const [outsider, member, allowed] = [
      await makeCustomer(pool),
      await makeCustomer(pool),
      await makeCustomer(pool),
    ]
    const segment = await makeSegment(member)
    await allowModel(pool, allowed.userId, hidden, true)
    await setVisibility(
      pool,
      hidden,
      visibility === 'segment' ? { visibility, segments: [segment] } : { visibility },
    )
    const [insider, others] =
      visibility === 'segment' ? [member, [outsider, allowed]] : [allowed, [outsider, member]]

    await admitted(insider.key)
    assert.equal(await countsAgree(insider.key), catalogue.models.size)
    for (const { key } of others) {
      await refused(key)
      assert.deepEqual(await telling(key), [])
      assert.equal(await countsAgree(key), catalogue.models.size - 1)
    }

    await openly('/v1/catalog/models', lacks(hidden))
    assert.deepEqual(await telling(undefined), [])
    assert.equal(await countsAgree(undefined), catalogue.models.size - 1)
    const absent = await get('/v1/catalog/models/kling/kling-omni-o9/image-to-video', undefined)
    const asked = await get(`/v1/catalog/models/${hidden}`, undefined)
    assert.equal(asked.status, 404)
    assert.equal(codeOf(asked), 'MODEL_NOT_FOUND')
    assert.equal(
      asked.body.error.message.split('.', 1)[0],
      absent.body.error.message.replaceAll('omni-o9', 'omni-o1').split('.', 1)[0],
    )

    await setVisibility(pool, hidden, { visibility: 'public' })
    for (const { key } of [outsider, member, allowed]) await admitted(key)
    await openly('/v1/catalog/models', has(hidden))
  })
}

test('leaving the segment, or losing the permission, counts from the next request on', async () => {
  const customer = await makeCustomer(pool)
  const segment = await makeSegment(customer)
  await setVisibility(pool, hidden, { visibility: 'segment', segments: [segment] })
  await admitted(customer.key)
  await assignSegment(pool, segment, customer.userId, false)
  await refused(customer.key)
  await setVisibility(pool, hidden, { visibility: 'private' })
  await allowModel(pool, customer.userId, hidden, true)
  await admitted(customer.key)
  await allowModel(pool, customer.userId, hidden, false)
  await refused(customer.key)
  await setVisibility(pool, hidden, { visibility: 'public' })
})

test('a provider whose models are all hidden is hidden with them', async () => {
  const own = [...catalogue.models.values()].filter(({ provider }) => provider.id === 'xai')
  const [outsider, allowed] = [await makeCustomer(pool), await makeCustomer(pool)]
  for (const { slug } of own) {
    await setVisibility(pool, slug, { visibility: 'private' })
    await allowModel(pool, allowed.userId, slug, true)
  }
  const paths = ['/v1/catalog/providers/xai', '/v1/providers/xai/models']
  for (const path of paths) {
    assert.equal((await get(path, allowed.key)).status, 200, path)
    assert.equal(codeOf(await get(path, outsider.key)), 'NOT_FOUND')
  }
  for (const path of ['/v1/catalog/providers', '/v1/providers']) {
    assert.ok(has('"xai"')(await get(path, allowed.key)))
    assert.ok(lacks('xai')(await get(path, outsider.key)))
  }
  await openly('/v1/catalog/providers', lacks('xai'))
  for (const { slug } of own) await setVisibility(pool, slug, { visibility: 'public' })
})

test('a change of the policy gives the open catalog a new tag', async () => {
  const before = await openly('/v1/catalog/models', has(hidden))
  await setVisibility(pool, hidden, { visibility: 'private' })
  const after = await openly('/v1/catalog/models', lacks(hidden))
  assert.notEqual(after.headers.get('etag'), before.headers.get('etag'))
  await setVisibility(pool, hidden, { visibility: 'public' })
})

// --- Versions

const versionOf = async (key: string) => (await get(`/v1/models/${textToVideo}`, key)).body

test('a deprecated version takes jobs that name it, and those that name none while there is no active one', async () => {
  const { key } = await makeCustomer(pool)
  await setVersion(pool, textToVideo, 'v1.0', { status: 'deprecated' })
  const { currentVersion, versions } = await versionOf(key)
  assert.equal(currentVersion, 'v1.0')
  assert.equal(versions[0].status, 'deprecated')
  for (const verb of ['estimate', 'submit'] as const) {
    assert.equal((await post(verb, key, body({ version: 'v1.0' }))).status, 200)
    assert.equal((await post(verb, key, body())).status, 200)
  }
  await setVersion(pool, textToVideo, 'v1.0', { status: null })
  assert.equal((await versionOf(key)).versions[0].status, 'active')
})

test('a disabled version takes no jobs, and a deleted one is not found', async () => {
  const { key, accountId } = await makeCustomer(pool)
  const balance = await balanceOf(pool, accountId)
  for (const [state, named, status] of [
    ['disabled', 'MODEL_VERSION_NOT_ACTIVE', 400],
    ['deleted', 'MODEL_VERSION_NOT_FOUND', 404],
  ] as const) {
    await setVersion(pool, textToVideo, 'v1.0', { status: state })
    for (const verb of ['estimate', 'submit'] as const) {
      const answer = await post(verb, key, body({ version: 'v1.0' }))
      assert.equal(codeOf(answer), named)
      assert.equal(answer.status, status)
      assert.equal(codeOf(await post(verb, key, body())), 'MODEL_VERSION_NOT_ACTIVE')
    }
    const { currentVersion, currentVersionPricing, versions } = await versionOf(key)
    assert.equal(currentVersion, null)
    assert.equal(currentVersionPricing, null)
    assert.equal(versions[0].status, state)
    assert.ok(lacks(textToVideo)(await get('/v1/catalog/models', key)))
    assert.equal(codeOf(await get(`/v1/catalog/models/${textToVideo}`, key)), 'MODEL_NOT_FOUND')
  }
  assert.equal(await balanceOf(pool, accountId), balance)
  await setVersion(pool, textToVideo, 'v1.0', { status: null })
  assert.equal((await post('submit', key, body())).status, 200)
})

test('a provider none of whose models takes jobs is not active, and not in the catalog', async () => {
  const { key } = await makeCustomer(pool)
  const own = [...catalogue.models.values()].filter(({ provider }) => provider.id === 'xai')
  for (const { slug } of own) await setVersion(pool, slug, 'v1.0', { status: 'disabled' })
  const { providers } = (await get('/v1/providers', key)).body
  assert.equal(providers.find(({ id }: { id: string }) => id === 'xai').isActive, false)
  assert.ok(lacks('xai')(await get('/v1/catalog/providers', key)))
  for (const { slug } of own) await setVersion(pool, slug, 'v1.0', { status: null })
})

// --- Prices

/** 84,000 a second without sound. */
const listCost = 420_000

async function override(
  subject: PriceOverride['subject'],
  terms: PriceTerms,
  scope: PriceOverride['scope'] = 'all',
): Promise<string> {
  return (await setOverride(pool, { subject, scope, ...terms })).id
}

const estimated = async (key: string, more: Record<string, unknown> = {}) =>
  (await post('estimate', key, body(more))).body

async function chargeOf(jobId: string): Promise<{ charged: bigint; basis: string }> {
  const { rows } = await pool.query<{ charged: bigint; basis: string }>(
    `select amount_micro_cents as charged, price_basis as basis
     from jobs join ledger_transfers on job_id = jobs.id where jobs.id = $1 and kind = 'charge'`,
    [jobId],
  )
  return rows[0]!
}

const kinds: {
  terms: PriceTerms
  cost: number
  discounted: object
  shown: object
}[] = [
  {
    terms: { kind: 'percentage_discount', percentage: '12.5' },
    cost: 367_500,
    discounted: { type: 'percentage_discount', percentage: 12.5, savedMicroCents: 52_500 },
    shown: { baseCostMicroCents: 84_000, override: { type: 'percentage_discount', percentage: 12.5 } },
  },
  {
    terms: { kind: 'fixed_price', priceMicroCents: 123_457 },
    cost: 123_457,
    discounted: { type: 'fixed_price', savedMicroCents: 296_543 },
    shown: {
      baseCostMicroCents: 123_457,
      unit: 'per_request',
      baseCredits: 12.3457,
      factors: {},
      override: { type: 'fixed_price', fixedPriceMicroCents: 123_457 },
    },
  },
  {
    terms: { kind: 'custom_dynamic', factors: { duration: { '5': '4.1234' } } },
    cost: 346_366, // 84,000 × 4.1234 = 346,365.6
    discounted: { type: 'custom_dynamic', savedMicroCents: 73_634 },
    shown: { baseCostMicroCents: 84_000, override: { type: 'custom_dynamic' } },
  },
]

for (const { terms, cost, discounted, shown } of kinds) {
  test(`a ${terms.kind} is estimated, shown and charged exactly, to its user alone`, async () => {
    const [customer, other] = [await makeCustomer(pool), await makeCustomer(pool)]
    const balance = await balanceOf(pool, customer.accountId)
    const id = await override({ userId: customer.userId }, terms)

    const estimate = await estimated(customer.key)
    assert.equal(estimate.baseCostMicroCents, listCost)
    assert.equal(estimate.estimatedCostMicroCents, cost)
    assert.deepEqual([estimate.hasDiscount, estimate.discounted], [true, discounted])
    const agreed = { component: 'agreed_price', costMicroCents: cost - listCost, value: terms.kind }
    assert.deepEqual(estimate.breakdown.at(-1), agreed)

    const { body: job } = await post('submit', customer.key, body())
    assert.equal(job.costMicroCents, cost)
    assert.deepEqual(await chargeOf(job.jobId), { charged: BigInt(cost), basis: id })
    assert.equal(await balanceOf(pool, customer.accountId), balance - BigInt(cost))

    for (const pricing of await shownPricings(customer.key)) {
      const { factors } = pricing
      assert.deepEqual({ ...pricing, ...shown }, pricing)
      if (terms.kind === 'custom_dynamic') assert.equal(factors.duration['5'], '4.1234')
    }
    assert.equal((await estimated(other.key)).estimatedCostMicroCents, listCost)
    for (const key of [other.key, undefined]) {
      for (const pricing of await shownPricings(key)) assert.equal(pricing.override, undefined)
    }
    assert.deepEqual(await ledgerProblems(pool), [])
  })
}

/** The pricing of the model wherever the API shows it. */
async function shownPricings(key: string | undefined): Promise<Answer['body'][]> {
  const isOurs = ({ slug }: { slug: string }) => slug === textToVideo
  const catalog = [
    (await get('/v1/catalog/models', key)).body.find(isOurs).pricing,
    (await get(`/v1/catalog/models/${textToVideo}`, key)).body.pricing,
    (await get('/v1/catalog/providers/kling-plus', key)).body.models.find(isOurs).pricing,
  ]
  if (key === undefined) return catalog
  const model = (await get(`/v1/models/${textToVideo}`, key)).body
  return [
    ...catalog,
    model.currentVersionPricing,
    model.versions[0].pricing,
    (await get('/v1/models', key)).body.models.find(isOurs).currentVersionPricing,
    (await get('/v1/providers/kling-plus/models', key)).body.models.find(isOurs).currentVersionPricing,
  ]
}

test('an override that makes it dearer is charged, but is no discount', async () => {
  const { key, userId } = await makeCustomer(pool)
  await override({ userId }, { kind: 'fixed_price', priceMicroCents: 500_000 })
  const estimate = await estimated(key)
  assert.equal(estimate.estimatedCostMicroCents, 500_000)
  assert.deepEqual([estimate.hasDiscount, estimate.discounted], [false, null])
  assert.equal(estimate.breakdown.at(-1).costMicroCents, 500_000 - listCost)
  assert.equal((await post('submit', key, body())).body.costMicroCents, 500_000)
})

test("a markup is part of everybody's list price: in catalog, docs, estimates and charges, at every server", async () => {
  const customer = await makeCustomer(pool)
  const agreed = await makeCustomer(pool)
  await override({ userId: agreed.userId }, { kind: 'percentage_discount', percentage: '50' })
  const { quoteId } = await estimated(customer.key)
  const page = `/docs/models/${textToVideo}.md`
  const before = (await get(page, undefined)).body
  const set = (percentage: string, scope: PriceOverride['scope'] = 'all') =>
    setOverride(pool, { subject: 'everybody', scope, kind: 'percentage_markup', percentage })
  const wide = await set('100')
  // 84,000 × 1.125 × 5
  const own = await set('12.5', { providerId: 'kling-plus' })
  const estimate = await estimated(customer.key)
  assert.deepEqual([estimate.baseCostMicroCents, estimate.estimatedCostMicroCents], [472_500, 472_500])
  assert.deepEqual([estimate.hasDiscount, estimate.discounted], [false, null])
  assert.deepEqual(estimate.breakdown[0], { component: 'base_generation', costMicroCents: 94_500 })
  const half = await estimated(agreed.key)
  assert.deepEqual([half.baseCostMicroCents, half.estimatedCostMicroCents], [472_500, 236_250])
  for (const server of [gateway, second]) {
    const { body: job } = await server.call('POST', '/v1/jobs/submit', { key: customer.key, body: body() })
    assert.equal(job.costMicroCents, 472_500)
    assert.deepEqual(await chargeOf(job.jobId), { charged: 472_500n, basis: 'list' })
  }
  for (const pricing of await shownPricings(customer.key)) assert.equal(pricing.baseCostMicroCents, 94_500)
  const open = await openly(`/v1/catalog/models/${textToVideo}`, has('94500'))
  assert.equal(open.body.pricing.baseCostMicroCents, 94_500)
  const shown = await openly(page, (answer) => answer.body !== before)
  assert.match(shown.body, /94,500 micro-cents per second \(\$0\.0945\/second\)/)
  assert.match(shown.body, /94,500 × 5 × 1 = 472,500 micro-cents/)
  assert.equal((await post('submit', customer.key, body({ quoteId }))).body.costMicroCents, listCost)
  for (const { id } of [wide, own]) await removeOverride(pool, id)
  assert.equal((await estimated(customer.key)).estimatedCostMicroCents, listCost)
  await openly(`/v1/catalog/models/${textToVideo}`, lacks('94500'))
})

test('a quote costs what it says after the override was taken away', async () => {
  const { key, userId } = await makeCustomer(pool)
  const id = await override({ userId }, { kind: 'percentage_discount', percentage: '50' })
  const { quoteId } = await estimated(key)
  await removeOverride(pool, id)
  const quoted = (await post('submit', key, body({ quoteId }))).body
  assert.equal(quoted.costMicroCents, listCost / 2)
  assert.deepEqual(await chargeOf(quoted.jobId), { charged: BigInt(listCost / 2), basis: 'quote' })
  const plain = (await post('submit', key, body())).body
  assert.deepEqual(await chargeOf(plain.jobId), { charged: BigInt(listCost), basis: 'list' })
})

test('a quote costs what it says after a dearer override was set', async () => {
  const { key, userId } = await makeCustomer(pool)
  const { quoteId } = await estimated(key)
  await override({ userId }, { kind: 'fixed_price', priceMicroCents: 900_000 })
  assert.equal((await post('submit', key, body({ quoteId }))).body.costMicroCents, listCost)
  assert.equal((await post('submit', key, body())).body.costMicroCents, 900_000)
})

test('the user counts before the segment, then the model before the provider before all', async () => {
  const customer = await makeCustomer(pool)
  const segment = await makeSegment(customer)
  const scopes = [{ modelSlug: textToVideo }, { providerId: 'kling-plus' }, 'all'] as const
  const ids: string[] = []
  for (const subject of [{ userId: customer.userId }, { segment }]) {
    for (const scope of scopes) {
      // the more specific, the dearer, so that it is not the price that decides
      const priceMicroCents = 100_000 - 1_000 * ids.length
      ids.push(await override(subject, { kind: 'fixed_price', priceMicroCents }, scope))
    }
  }
  for (const [rank, id] of ids.entries()) {
    assert.equal((await estimated(customer.key)).estimatedCostMicroCents, 100_000 - 1_000 * rank)
    await removeOverride(pool, id)
  }
  assert.equal((await estimated(customer.key)).estimatedCostMicroCents, listCost)
})

test('of two segments of a user the cheaper one counts for each input', async () => {
  const customer = await makeCustomer(pool)
  const [halved, fixed] = [await makeSegment(customer), await makeSegment(customer)]
  await override({ segment: halved }, { kind: 'percentage_discount', percentage: '50' })
  await override({ segment: fixed }, { kind: 'fixed_price', priceMicroCents: 300_000 })
  for (const [duration, cost, type] of [
    ['5', 210_000, 'percentage_discount'],
    ['15', 300_000, 'fixed_price'],
  ] as const) {
    const asked = { input: input(duration) }
    const estimate = await estimated(customer.key, asked)
    assert.equal(estimate.estimatedCostMicroCents, cost)
    assert.equal(estimate.discounted.type, type)
    assert.equal((await post('submit', customer.key, body(asked))).body.costMicroCents, cost)
  }
  for (const pricing of await shownPricings(customer.key)) {
    assert.deepEqual(pricing.override, { type: 'percentage_discount', percentage: 50 })
  }
})

// --- Rate limits

/** What a refusal for too many requests says. */
function isLimited(answer: Answer, limit: number, window: 'minute' | 'day'): void {
  assert.equal(answer.status, 429)
  assert.equal(codeOf(answer), 'RATE_LIMIT_EXCEEDED')
  const { retryAfter, ...details } = answer.body.error.details
  assert.deepEqual(details, { limit, window })
  assert.equal(answer.headers.get('retry-after'), String(retryAfter))
  const most = window === 'minute' ? 60 : 86_400
  assert.ok(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= most, String(retryAfter))
}

/** Ends all windows that are open now. */
const endWindows = () => pool.query('update rate_limits set expire = 1')

async function limitedKey(requestsPerMinute: number) {
  const customer = await makeCustomer(pool)
  const { key } = await createKey(pool, { userId: customer.userId, mode: 'test', requestsPerMinute })
  return { customer, key }
}

test('the limit of a key counts the jobs that it was given, and nothing else', async () => {
  const { customer, key } = await limitedKey(2)
  for (const path of ['/v1/jobs', '/v1/models', '/v1/catalog/models', '/v1/jobs']) {
    assert.equal((await get(path, key)).status, 200, path)
  }
  // what is refused takes nothing, whatever it is refused for
  for (const [wrong, code] of [
    [{}, 'VALIDATION_ERROR'],
    [body({ input: {} }), 'INVALID_INPUT'],
    [body({ maxCostMicroCents: 1 }), 'COST_LIMIT_EXCEEDED'],
    [body({ quoteId: 'quote_1' }), 'QUOTE_MISMATCH'],
  ] as const) {
    assert.equal(codeOf(await post('submit', key, wrong)), code)
  }
  assert.equal((await post('submit', key, body())).status, 200)
  const headers = { 'idempotency-key': 'second' }
  const taken = await post('submit', key, body(), headers)
  assert.equal(taken.status, 200)
  isLimited(await post('submit', key, body()), 2, 'minute')
  assert.equal((await post('submit', key, body(), headers)).body.jobId, taken.body.jobId)
  assert.equal((await get('/v1/jobs', key)).status, 200)
  assert.equal((await post('submit', customer.key, body())).status, 200, 'the other key of the same user')
  await endWindows()
  assert.equal((await post('submit', key, body())).status, 200)
})

test('a window ends within its time though the clock of the database was set back', async () => {
  const { key } = await limitedKey(1)
  const setBack = async (minutes: number) =>
    pool.query('update rate_limits set expire = $1', [Date.now() + minutes * 60_000])
  assert.equal((await post('submit', key, body())).status, 200)
  await setBack(1)
  isLimited(await post('submit', key, body()), 1, 'minute')
  await setBack(60)
  assert.equal((await post('submit', key, body())).status, 200)
  isLimited(await post('submit', key, body()), 1, 'minute')
})

test('what the balance or the jobs at once refuse takes no place in a limit', async () => {
  const { customer, key } = await limitedKey(1)
  await changeUser(pool, customer.userId, { concurrencyLimit: 1 })
  const { body: job } = await post('submit', customer.key, body())
  assert.equal(codeOf(await post('submit', key, body())), 'CONCURRENT_JOBS_EXCEEDED')
  assert.equal((await gateway.call('POST', `/v1/jobs/${job.jobId}/cancel`, { key })).status, 200)
  const owner = { userId: customer.userId, mode: 'test' as const }
  await debit(pool, owner, await balanceOf(pool, customer.accountId), { mayOwe: false })
  assert.equal(codeOf(await post('submit', key, body())), 'INSUFFICIENT_BALANCE')
  await credit(pool, owner, 10_000_000n, undefined)
  assert.equal((await post('submit', key, body())).status, 200)
  isLimited(await post('submit', key, body()), 1, 'minute')
})

test('of 100 submits at once at two servers exactly ten pass a limit of ten', async () => {
  const { customer, key } = await limitedKey(10)
  await credit(pool, { userId: customer.userId, mode: 'test' }, 100_000_000n, undefined)
  const before = await balanceOf(pool, customer.accountId)
  const asked = Array.from({ length: 100 }, (_, index) =>
    [gateway, second][index % 2]!.call('POST', '/v1/jobs/submit', { key, body: body() }),
  )
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 200).length, 10)
  assert.equal(statuses.filter((status) => status === 429).length, 90)
  assert.equal(await balanceOf(pool, customer.accountId), before - BigInt(10 * listCost))
})

test('a job whose commit fails gives its place back', async () => {
  const { customer, key } = await limitedKey(1)
  // such a job's row can't be written, and its batch is rolled back
  await pool.query(
    `alter table jobs add constraint broken check (account_id <> ${customer.accountId}) not valid`,
  )
  const failed = await post('submit', key, body())
  await pool.query('alter table jobs drop constraint broken')
  assert.equal(failed.status, 500)
  assert.equal((await post('submit', key, body())).status, 200)
  isLimited(await post('submit', key, body()), 1, 'minute')
})

for (const window of ['minute', 'day'] as const) {
  test(`the limit of a model's version a ${window} counts an account's submits at all servers, and nothing else`, async () => {
    const [customer, other] = [await makeCustomer(pool), await makeCustomer(pool)]
    const balance = await balanceOf(pool, customer.accountId)
    const limits = { requestsPerMinute: null, requestsPerDay: null }
    const limit = window === 'minute' ? { requestsPerMinute: 3 } : { requestsPerDay: 3 }
    await setVersion(pool, textToVideo, 'v1.0', limit)
    const { versions } = await versionOf(customer.key)
    assert.deepEqual(versions[0].rateLimits, { ...limits, ...limit })

    const asked = Array.from({ length: 12 }, (_, index) =>
      [gateway, second][index % 2]!.call('POST', '/v1/jobs/submit', { key: customer.key, body: body() }),
    )
    const answers = await Promise.all(asked)
    assert.equal(answers.filter(({ status }) => status === 200).length, 3)
    for (const answer of answers.filter(({ status }) => status !== 200)) isLimited(answer, 3, window)
    assert.equal(await balanceOf(pool, customer.accountId), balance - BigInt(3 * listCost))

    assert.equal((await post('estimate', customer.key, body())).status, 200)
    assert.equal((await get('/v1/jobs', customer.key)).status, 200)
    assert.equal((await post('submit', other.key, body())).status, 200)
    const another = { model: sibling, input: { prompt: 'A lake' } }
    assert.equal((await post('submit', customer.key, another)).status, 200)

    await endWindows()
    assert.equal((await post('submit', customer.key, body())).status, 200)
    await setVersion(pool, textToVideo, 'v1.0', limits)
    assert.equal((await post('submit', customer.key, body())).status, 200)
  })
}

test('a submit that is repeated with its Idempotency-Key is answered over the limit as well', async () => {
  const customer = await makeCustomer(pool)
  await setVersion(pool, textToVideo, 'v1.0', { requestsPerMinute: 1 })
  const submit = (key: string) => post('submit', customer.key, body(), { 'idempotency-key': key })
  const first = await submit('first')
  isLimited(await submit('second'), 1, 'minute')
  const again = await submit('first')
  assert.equal(again.status, 200)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.deepEqual(again.body, first.body)
  await setVersion(pool, textToVideo, 'v1.0', { requestsPerMinute: null })
})
