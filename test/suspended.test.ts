import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Config } from '../src/config.ts'
import type { SuspensionReason } from '../src/providers/provider.ts'
import { atEnd } from './at-end.ts'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { until } from './until.ts'
import { startFal } from './upstreams/fal.ts'
import { startKling } from './upstreams/kling.ts'
import { startWavespeed } from './upstreams/wavespeed.ts'
import { startFront, type Trouble, type VendorFront } from './vendor-front.ts'

const takesMs = 100
const [kling, fal, wavespeed] = await Promise.all([
  startKling({ behave: () => ({ takesMs }) }),
  startFal({ behave: () => ({ takesMs }) }),
  startWavespeed({ level: 'gold', balance: 1_000, behave: () => ({ takesMs }) }),
])
atEnd(async () => void (await Promise.all([kling, fal, wavespeed].map((vendor) => vendor.stop()))))

interface Vendor {
  url: string
  /** One that goes to this vendor alone here. */
  model: string
  settings(front: VendorFront): Config['upstreams']
  troubles: Record<SuspensionReason, Trouble>
  /** What its free check proves to be mended. */
  proves: SuspensionReason[]
}

const submits = /^POST /
const klingSays = (match: RegExp, status: number, code: number): Trouble => ({
  match,
  status,
  body: { code, message: 'no', request_id: 'x' },
})
const says = (match: RegExp, status: number, body: object = {}): Trouble => ({
  match,
  status,
  body: { code: status, message: 'no', ...body },
})
const vendors: Record<'kling' | 'fal' | 'wavespeed', Vendor> = {
  kling: {
    url: kling.url,
    model: 'kling/kling-omni-o1/text-to-video',
    settings: ({ url }) => ({ kling: { apiKey: kling.apiKey, baseUrl: url } }),
    troubles: {
      key: klingSays(/./, 401, 1000),
      credit: klingSays(submits, 429, 1101),
      permission: klingSays(submits, 429, 1304),
      model: klingSays(submits, 404, 1203),
    },
    proves: ['key'],
  },
  fal: {
    url: fal.url,
    model: 'kling-plus/kling-o3-standard/text-to-video',
    settings: ({ url }) => ({ fal: { apiKey: fal.apiKey, baseUrl: url } }),
    troubles: {
      key: says(/./, 401),
      credit: says(submits, 402),
      permission: says(submits, 403),
      model: says(submits, 404),
    },
    proves: ['key'],
  },
  wavespeed: {
    url: wavespeed.url,
    model: 'kling-plus/kling-o3-pro/text-to-video',
    settings: ({ url }) => ({ wavespeed: { apiKey: wavespeed.apiKey, baseUrl: `${url}/api/v3` } }),
    troubles: {
      key: says(/./, 401),
      credit: says(submits, 402),
      permission: says(submits, 403),
      model: says(submits, 404),
    },
    proves: ['key', 'credit'],
  },
}

const fronts = new Map<string, VendorFront>()
for (const [name, { url }] of Object.entries(vendors)) fronts.set(name, await startFront(url))
const database = await cloneDatabase()
const { pool } = database
const upstreams = Object.assign(
  {},
  ...Object.entries(vendors).map(([name, vendor]) => vendor.settings(fronts.get(name)!)),
)
/** Two servers on one database, of which one has no worker. */
const start = (role: 'all' | 'api') =>
  startGateway({
    databaseUrl: database.url,
    role,
    allowPrivateNetwork: true,
    settings: { upstreams },
    routesOf({ slug, versions }) {
      const own = Object.entries(vendors).find(([, { model }]) => model === slug)?.[0]
      return versions.at(-1)!.routes.filter(({ upstream }) => upstream === own)
    },
  })
const gateways = [await start('all'), await start('api')] as const
type Gateway = (typeof gateways)[number]

/** A customer of one vendor's model. */
async function comeTo(upstream: keyof typeof vendors) {
  const { model } = vendors[upstream]
  const front = fronts.get(upstream)!
  const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
  const { key } = customer
  const body = { model, input: { prompt: 'A lake.', duration: '5' } }
  const submit = (gateway: Gateway, headers = {}) =>
    gateway.call('POST', '/v1/jobs/submit', { key, headers, body })
  const listed = async (gateway: Gateway, asKey?: string) => {
    const path = `/v1/catalog/models/${model}`
    const found = await gateway.call('GET', path, asKey === undefined ? {} : { key: asKey })
    const { available, unavailableReason: reason } = found.body
    return { available, reason, tag: found.headers.get('etag') }
  }
  const isAvailable = async () => {
    const found = await Promise.all(gateways.flatMap((gateway) => [listed(gateway), listed(gateway, key)]))
    return found.every(({ available }) => available)
  }
  const suspensions = async () =>
    (
      await pool.query(
        'select reason, times, is_checked as "isChecked" from upstream_closures where upstream = $1',
        [upstream],
      )
    ).rows
  const passTime = () =>
    pool.query(
      "update upstream_closures set retry_at = filmgate_now() - interval '1 s' where upstream = $1",
      [upstream],
    )
  return { body, front, customer, submit, listed, isAvailable, suspensions, passTime }
}

type Visit = Awaited<ReturnType<typeof comeTo>>

/** The vendor refuses a job: its customer, and all who come after, are told, and nobody pays. */
async function suspends({ body: asked, customer, submit, listed, suspensions }: Visit, reason: string) {
  const before = await listed(gateways[1])
  const balance = await balanceOf(pool, customer.accountId)
  const idempotency = { 'idempotency-key': `order-${reason}` }
  const first = await submit(gateways[0], idempotency)
  assert.equal(first.status, 200)
  await until(async () => (await suspensions()).length === 1)
  assert.equal((await suspensions())[0].reason, reason)
  const suspendedAt = performance.now()
  await until(async () => !(await listed(gateways[1])).available)
  assert.ok(performance.now() - suspendedAt < 2_000, 'the catalog of the other server was late')
  for (const gateway of gateways) {
    const refused = await submit(gateway)
    assert.deepEqual([refused.status, refused.body.error.code], [503, 'PROVIDER_UNAVAILABLE'])
    const retryAfter = Number(refused.headers.get('retry-after'))
    assert.ok(retryAfter > 0 && retryAfter <= 60, `retry after ${retryAfter}`)
    for (const key of [undefined, customer.key]) {
      const { available, reason: why, tag } = await listed(gateway, key)
      assert.equal(available, false)
      assert.match(why, /suspended until the operator has mended something/)
      assert.notEqual(tag, before.tag)
    }
    const { body } = await gateway.call('GET', '/v1/models', { key: customer.key })
    const shown = body.models.find(({ slug }: { slug: string }) => slug === asked.model)
    assert.equal(shown.available, false)
    const replayed = await submit(gateway, idempotency)
    assert.deepEqual([replayed.status, replayed.body.jobId], [200, first.body.jobId])
    const estimate = await gateway.call('POST', '/v1/jobs/estimate', {
      key: customer.key,
      body: asked,
    })
    assert.equal(estimate.status, 200)
  }
  const cancelled = await gateways[1].call('POST', `/v1/jobs/${first.body.jobId}/cancel`, {
    key: customer.key,
  })
  assert.equal(cancelled.body.status, 'cancelled', JSON.stringify(cancelled.body))
  assert.deepEqual(await transfersOf(pool, first.body.jobId), { charges: 1, refunds: 1 })
  assert.equal(await balanceOf(pool, customer.accountId), balance)
}

/** What the check does not prove one job tries, of all that come at once to both servers. */
async function oneJobTries({ customer, submit, suspensions, isAvailable }: Visit) {
  await until(async () => (await suspensions())[0]?.isChecked)
  // who goes by the catalog must come, or it would never open
  await until(isAvailable)
  const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => submit(gateways[index % 2]!)))
  const taken = answers.filter(({ status }) => status === 200)
  assert.equal(
    taken.length,
    1,
    JSON.stringify([await suspensions(), answers.map(({ body }) => body.error ?? body.jobId)]),
  )
  assert.ok(answers.every(({ status, body }) => status === 200 || body.error.code === 'PROVIDER_UNAVAILABLE'))
  const { jobId } = taken[0]!.body
  const job = await gateways[0].ended(jobId, customer.key)
  assert.equal(job.status, 'completed', JSON.stringify(job))
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 0 })
}

suite('at each upstream', { concurrency: 3 }, () => {
  for (const name of ['kling', 'fal', 'wavespeed'] as const) {
    test(`${name}: a job that nothing takes suspends the model, and it opens again by itself`, async () => {
      const visit = await comeTo(name)
      const vendor = vendors[name]
      const { front, isAvailable, suspensions, passTime } = visit
      for (const reason of ['key', 'credit', 'permission', 'model'] as const) {
        front.trouble = vendor.troubles[reason]
        await suspends(visit, reason)
        if (reason === 'key') {
          await passTime()
          // the check is asked, and no job: it is not mended
          const submitted = front.calls.filter((call) => submits.test(call)).length
          await until(async () => (await suspensions())[0]?.times === 2)
          assert.equal(front.calls.filter((call) => submits.test(call)).length, submitted)
        }
        front.trouble = undefined
        await passTime()
        if (!vendor.proves.includes(reason)) await oneJobTries(visit)
        await until(isAvailable)
        assert.deepEqual(await suspensions(), [])
      }
    })
  }
})

test('where an upstream refuses jobs although its check is good, one job tries at a time', async () => {
  const visit = await comeTo('kling')
  const { front, submit, isAvailable, suspensions, passTime, customer } = visit
  front.trouble = klingSays(submits, 401, 1000)
  // the tests before have opened it by a check as well
  await pool.query("delete from upstreams where name = 'kling'")
  /** Its job is refused there, and would be the next one to try. */
  const isRefused = async () => {
    const { jobId } = (await submit(gateways[0])).body
    await until(async () => (await suspensions())[0]?.isChecked === false)
    await gateways[0].call('POST', `/v1/jobs/${jobId}/cancel`, { key: customer.key })
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
    await passTime()
  }
  await isRefused()
  await until(isAvailable)
  assert.deepEqual(await suspensions(), [])
  await isRefused()
  await until(isAvailable)
  await isRefused()
  await until(isAvailable)
  assert.deepEqual(await suspensions(), [{ reason: 'key', times: 2, isChecked: true }])
  front.trouble = undefined
  await oneJobTries(visit)
  await until(isAvailable)
  assert.deepEqual(await suspensions(), [])
})

test('a server that starts, perhaps with another key, has what is suspended checked at once', async () => {
  const { isAvailable, suspensions } = await comeTo('kling')
  await pool.query(
    `insert into upstream_closures (upstream, model, reason, cause, retry_at)
     values ('kling', '', 'key', 'Kling answered 401', now() + interval '15 minutes')`,
  )
  await until(async () => !(await isAvailable()))
  const started = await start('api')
  await until(isAvailable)
  assert.deepEqual(await suspensions(), [])
  await started.stop()
})

test('the ledger balances after all of this', async () => {
  assert.deepEqual(await ledgerProblems(pool), [])
})
