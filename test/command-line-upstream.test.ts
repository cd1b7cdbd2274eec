import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { atEnd } from './at-end.ts'
import { database, filmgate, start } from './command-line.ts'
import { makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { promptOf } from './live-fixture.ts'
import { startFal } from './upstreams/fal.ts'
import { type Behaviour, startKling } from './upstreams/kling.ts'

const { pool } = database
const behaviours = new Map<string, Behaviour>()
const kling = await startKling({
  apiKey: 'hunter1-kling-api-key',
  behave: ({ body }) => ({ takesMs: 100, ...behaviours.get(promptOf(body)) }),
})
const fal = await startFal({ apiKey: 'hunter2-id:hunter3-secret', behave: () => ({ takesMs: 100 }) })
atEnd(async () => void (await Promise.all([kling.stop(), fal.stop()])))
const upstreams = {
  kling: { apiKey: kling.apiKey, baseUrl: kling.url },
  fal: { apiKey: fal.apiKey, baseUrl: fal.url },
}
const gateway = await startGateway({
  databaseUrl: database.url,
  allowPrivateNetwork: true,
  settings: { upstreams },
})
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
const environment = {
  KLING_API_KEY: kling.apiKey,
  KLING_BASE_URL: kling.url,
  KLING_WEBHOOK_SECRET: 'whsec_aHVudGVyNGh1bnRlcjRodW50ZXI0aHVudGVyNA==',
  FAL_API_KEY: fal.apiKey,
  FAL_BASE_URL: fal.url,
}
const model = 'kling/kling-omni-o1/text-to-video'

/** Runs a command with the keys set, and holds it to telling none of them. */
async function run(args: string, more: Record<string, string> = {}) {
  const outcome = await filmgate(args, { ...environment, ...more })
  assert.doesNotMatch(outcome.stdout + outcome.stderr, /hunter|aHVudGVy/)
  return outcome
}

async function json(args: string, more?: Record<string, string>) {
  const { stdout, stderr } = await run(`${args} --json`, more)
  assert.equal(stderr, '')
  return JSON.parse(stdout)
}

let prompts = 0
async function make(behaviour: Behaviour = {}): Promise<string> {
  const prompt = `A lake, number ${++prompts}.`
  behaviours.set(prompt, behaviour)
  const { body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: { model, input: { prompt, duration: '5' } },
  })
  await gateway.ended(body.jobId, customer.key)
  return body.jobId
}

const billed = {
  charge_type: 'cash',
  cash_type: 'balance',
  amount: '0.3',
  currency: 'USD',
  package_type: 'video',
} as const

test('a job tells its operator what it brought in and what it cost, by bill where there is one', async () => {
  const made = await make({ billing: [billed] })
  const failed = await make({ fail: 'No luck' })
  const [job, lost] = [await json(`job show ${made}`), await json(`job show ${failed}`)]
  assert.deepEqual(job.money, {
    chargedMicroCents: 350_000,
    refundedMicroCents: 0,
    costMicroCents: 300_000,
    marginMicroCents: 50_000,
  })
  const [attempt] = job.attempts
  assert.deepEqual(
    [attempt.provider, attempt.model, attempt.listedCostMicroCents, attempt.billedCostMicroCents],
    ['kling', 'omni-video/kling-o1', 420_000, 300_000],
  )
  assert.deepEqual(attempt.billing, [billed])
  // by the vendor's word a generation that failed costs nothing
  assert.deepEqual([lost.money.costMicroCents, lost.money.marginMicroCents], [0, 0])
  const human = await run(`job show ${made}`)
  assert.match(human.stdout, /^marginMicroCents +\$0\.05$/m)
  assert.match(human.stdout, /\$0\.30 billed/)
  const list = await run('job list')
  assert.match(list.stdout, /\$0\.35 +\$0\.05/)
})

test('upstreams are listed with what is set up, whether it answers, what is closed, and what was spent today', async () => {
  await pool.query(
    "insert into upstream_closures (upstream, model, cause, retry_at) values ('fal', '', 'no credit', now() + interval '1 hour')",
  )
  const { upstreams: listed } = await json('upstream list')
  const [first, second, third] = listed
  assert.deepEqual(
    listed.map(({ name, configured, reachable }: Record<string, unknown>) => [name, configured, reachable]),
    [
      ['kling', true, true],
      ['fal', true, true],
      ['wavespeed', false, null],
    ],
  )
  assert.deepEqual(
    [first.credentials, first.hasWebhookSecret, second.hasWebhookSecret],
    ['api key', true, false],
  )
  assert.deepEqual(first.circuit, { state: 'closed', failures: 0, until: null })
  assert.deepEqual(first.today, {
    attempts: 2,
    accepted: 2,
    costMicroCents: 300_000,
    ofUnknownCost: 0,
    chargedMicroCents: 350_000,
    marginMicroCents: 50_000,
  })
  assert.deepEqual([second.closures[0].model, second.closures[0].cause], [null, 'no credit'])
  assert.equal(third.credentials, null)
  const human = await run('upstream list --no-check')
  assert.match(human.stdout, /^kling +api key +closed .*\$0\.30 +\$0\.05$/m)
  assert.match(human.stdout, /fal takes no jobs: no credit/)
})

test('a check of an upstream that is well opens it, and one that is not says what to do and exits 1', async () => {
  const well = await json('upstream check fal')
  assert.deepEqual([well.isWell, well.wasOpened], [true, true])
  assert.equal((await pool.query('select from upstream_closures')).rowCount, 0)
  const wrong = await run('upstream check kling', { KLING_API_KEY: 'hunter9-wrong' })
  assert.equal(wrong.code, 1)
  assert.match(wrong.stdout, /Kling: NOT well[\s\S]*KLING_API_KEY/)
  const listed = await json('upstream list', {
    KLING_API_KEY: 'hunter9-wrong',
    FAL_BASE_URL: 'http://127.0.0.1:9',
  })
  assert.deepEqual(
    listed.upstreams.map(({ reachable, well }: Record<string, unknown>) => [reachable, well]),
    [
      [true, false],
      [false, false],
      [null, null],
    ],
  )
  const gone = await run('upstream check kling', { KLING_BASE_URL: 'http://127.0.0.1:9' })
  assert.match(gone.stdout, /KLING_BASE_URL/)
  assert.equal(gone.code, 1)
})

test('an upstream that is not set up or not known is told so, and a wrong address is not repeated', async () => {
  const unset = await filmgate('upstream check wavespeed', { WAVESPEED_API_KEY: '' })
  assert.match(unset.stderr, /WaveSpeedAI is not set up: set WAVESPEED_API_KEY/)
  const unknown = await run('upstream check klimg')
  assert.match(unknown.stderr, /there is no upstream klimg: did you mean "kling"\?/)
  const wrong = await run('upstream list', { FAL_BASE_URL: 'https://hunter5@fal.example' })
  assert.match(wrong.stderr, /^filmgate: FAL_BASE_URL is not the address of an upstream/)
  const secret = await run('upstream list', { KLING_WEBHOOK_SECRET: 'hunter7!' })
  assert.match(secret.stderr, /^filmgate: KLING_WEBHOOK_SECRET is not a secret of Standard Webhooks/)
  assert.deepEqual([unset.code, unknown.code, wrong.code, secret.code], [1, 1, 1, 1])
})

test('the ways of a job are shown in the order in which they would be tried, each with its reason', async () => {
  const shown = await json(`route ${model} duration=10 quality=pro`)
  assert.deepEqual(shown.chosen, { upstream: 'kling', model: 'omni-video/kling-o1' })
  const [first] = shown.routes
  assert.deepEqual(
    [first.standing, first.costMicroCents, first.succeeded, first.failed],
    ['ready', 1_120_000, 1, 1],
  )
  // the published price is below what the vendor lists
  assert.equal(first.marginMicroCents, 1_050_000 - 1_120_000)
  const last = shown.routes.at(-1)
  assert.deepEqual([last.upstream, last.standing, last.score], ['wavespeed', 'not set up', null])
  assert.match(last.why, /WAVESPEED_API_KEY/)
  await pool.query(
    "insert into upstream_closures (upstream, model, cause, retry_at) values ('kling', '', 'no credit', now() + interval '1 hour')",
  )
  const human = await run(`route ${model}`)
  assert.match(human.stdout, /^A live job would go to fal/)
  assert.match(human.stdout, /^kling +omni-video\/kling-o1 +closed .*takes no jobs: no credit/m)
  await pool.query('delete from upstream_closures')
})

test('a model without a way says why, a field that decides counts, and wrong fields are named', async () => {
  const none = await json('route google/veo-3.1/text-to-video').catch(() => undefined)
  const veo = none ?? (await json('route openai/sora-2/text-to-video'))
  assert.deepEqual([veo.chosen, veo.routes], [null, []])
  const seeded = await json('route kling/kling-text2video-v25/text-to-video seed=7')
  assert.equal(seeded.chosen, null)
  assert.ok(seeded.routes.every(({ standing }: { standing: string }) => standing !== 'ready'))
  assert.match((await run(`route ${model} colour=red`)).stderr, /colour/)
  assert.match((await run(`route ${model} duration=7`)).stderr, /duration/)
})

test('no key is on a command line that other users of the machine can see', async () => {
  const asked = Promise.withResolvers<void>()
  const seen = Promise.withResolvers<void>()
  const slow = createServer(async (_, answer) => {
    asked.resolve()
    await seen.promise
    answer.writeHead(503).end()
  }).listen(0, '127.0.0.1')
  atEnd(async () => {
    slow.closeAllConnections()
    slow.close()
  })
  await once(slow, 'listening')
  const { port } = slow.address() as AddressInfo
  const running = run('upstream check kling', { KLING_BASE_URL: `http://127.0.0.1:${port}` })
  await Promise.race([asked.promise, running])
  const { stdout } = await start('ps', ['-eo', 'args'])
  seen.resolve()
  await running
  assert.match(stdout, /src\/main\.ts upstream check kling/)
  assert.doesNotMatch(stdout, /hunter|aHVudGVy/)
})
