import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atEnd } from './at-end.ts'
import { database, filmgate } from './command-line.ts'
import { makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { promptOf } from './live-fixture.ts'
import { startFal } from './upstreams/fal.ts'
import { type Behaviour, startKling } from './upstreams/kling.ts'

const { pool } = database
const behaviours = new Map<string, Behaviour>()
const webhookSecret = 'whsec_aHVudGVyNGh1bnRlcjRodW50ZXI0aHVudGVyNA=='
const kling = await startKling({
  apiKey: 'hunter1-kling-api-key',
  webhookSecret,
  behave: ({ body }) => ({ takesMs: 100, ...behaviours.get(promptOf(body)) }),
})
const fal = await startFal({ apiKey: 'hunter2-id:hunter3-secret', behave: () => ({ takesMs: 100 }) })
atEnd(async () => void (await Promise.all([kling.stop(), fal.stop()])))
const upstreams = {
  kling: { apiKey: kling.apiKey, baseUrl: kling.url, webhookSecret },
  fal: { apiKey: fal.apiKey, baseUrl: fal.url },
}
const gateway = await startGateway({
  databaseUrl: database.url,
  allowPrivateNetwork: true,
  settings: { upstreams },
})
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
const model = 'kling/kling-omni-o1/text-to-video'

/** Runs a command in a terminal that has no key, and holds it to telling none of the servers'. */
async function run(args: string) {
  const outcome = await filmgate(args)
  assert.doesNotMatch(outcome.stdout + outcome.stderr, /hunter|aHVudGVy/)
  return outcome
}

async function json(args: string) {
  const { stdout, stderr } = await run(`${args} --json`)
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
    goodwillMicroCents: 0,
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
  assert.match(human.stdout, /^margin +\$0\.05$/m)
  assert.match(human.stdout, /\$0\.30 billed/)
  const list = await run('job list')
  assert.match(list.stdout, /\$0\.35 +\$0\.05/)
})

test('upstreams are listed as the running servers have them, with what is suspended and what was spent today', async () => {
  await pool.query(
    "insert into upstream_closures (upstream, model, reason, cause, retry_at) values ('fal', '', 'key', 'wrong key', now() + interval '1 hour')",
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
  assert.deepEqual(third.servers, [])
  const [server] = first.servers
  assert.deepEqual(
    [server.role, server.pid, server.isAlive, server.baseHost, server.credentials],
    ['all', process.pid, true, new URL(kling.url).host, 'api key'],
  )
  assert.match(server.fingerprint, /^[0-9a-f]{16}$/)
  assert.deepEqual([server.hasWebhookSecret, second.servers[0].hasWebhookSecret], [true, false])
  assert.deepEqual(first.circuit, { state: 'ok', failures: 0, until: null })
  assert.deepEqual(first.today, {
    attempts: 2,
    accepted: 2,
    costMicroCents: 300_000,
    ofUnknownCost: 0,
    chargedMicroCents: 350_000,
    marginMicroCents: 50_000,
  })
  const [suspension] = second.suspensions
  assert.deepEqual([suspension.model, suspension.reason, suspension.cause], [null, 'key', 'wrong key'])
  const human = await run('upstream list --no-check')
  assert.match(human.stdout, /^kling +api key +1 +ok .*\$0\.30 +\$0\.05$/m)
  assert.match(human.stdout, /^fal +api key +1 +ok +all: key /m)
  assert.match(human.stdout, /^fal is suspended \(key\): wrong key \(looked at again /m)
  assert.match(human.stdout, /^wavespeed +not set up +0 /m)
  assert.doesNotMatch(human.stdout, /closed/)
})

test('a server checks its upstream for a command without a key, and what the answer proves takes jobs again', async () => {
  await pool.query(
    "insert into upstream_closures (upstream, model, reason, cause, retry_at) values ('fal', 'theirs', 'model', 'off', now() + interval '1 hour')",
  )
  const well = await json('upstream check fal')
  assert.deepEqual([well.isWell, well.wasOpened, well.resumed, well.toBeTried], [true, true, 1, 1])
  const { rows } = await pool.query(
    'select reason, is_checked, retry_at <= now() as is_due from upstream_closures',
  )
  assert.deepEqual(rows, [{ reason: 'model', is_checked: true, is_due: true }])
  assert.equal((await pool.query('select from upstream_checks')).rowCount, 0)
  await pool.query('delete from upstream_closures')
})

test('a check that is not well says what to do and exits 1, and each key that servers have is asked once', async () => {
  const other = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    settings: { upstreams: { kling: { apiKey: 'hunter9-wrong', baseUrl: kling.url } } },
  })
  const wrong = await run('upstream check kling')
  assert.equal(wrong.code, 1)
  assert.match(wrong.stdout, /^Kling: NOT well$/m)
  assert.match(wrong.stdout, /the credentials are good/)
  assert.match(wrong.stdout, /The key is (wrong|not valid)/)
  const { upstreams: listed } = await json('upstream list')
  assert.deepEqual([listed[0].reachable, listed[0].well, listed[0].servers.length], [true, false, 2])
  await other.stop()
  assert.equal((await json('upstream list --no-check')).upstreams[0].servers.length, 1)
})

test('a server that is gone is told so, and asked nothing', async () => {
  await pool.query(
    `insert into servers (id, role, host, pid, upstreams, beat_at) values ('gone', 'api', 'far', 7,
       '[{"name": "wavespeed", "baseHost": "far.example", "credentials": "api key", "fingerprint": "f", "hasWebhookSecret": false}]',
       now() - interval '1 minute')`,
  )
  const human = await run('upstream list --no-check')
  assert.match(human.stdout, /^far 7 +api +gives no sign of life +wavespeed +far\.example/m)
  assert.match(human.stdout, /^wavespeed +not set up +0 /m)
  const check = await run('upstream check wavespeed')
  assert.match(
    check.stderr,
    /WaveSpeedAI is not set up on any running server .*: set WAVESPEED_API_KEY for it/,
  )
  assert.equal(check.code, 1)
  await pool.query("delete from servers where id = 'gone'")
})

test('an upstream that is not known is told so, and what this terminal has set does not count', async () => {
  const unknown = await run('upstream check klimg')
  assert.match(unknown.stderr, /there is no upstream klimg: did you mean "kling"\?/)
  assert.equal(unknown.code, 1)
  const { stdout } = await filmgate('upstream list --no-check --json', {
    WAVESPEED_API_KEY: 'hunter-of-mine',
  })
  assert.equal(JSON.parse(stdout).upstreams[2].configured, false)
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
    "insert into upstream_closures (upstream, model, reason, cause, retry_at) values ('kling', '', 'credit', 'no credit', now() + interval '1 hour')",
  )
  const human = await run(`route ${model}`)
  assert.match(human.stdout, /^A live job would go to fal/)
  assert.match(human.stdout, /^kling +omni-video\/kling-o1 +suspended .*takes no jobs: no credit/m)
  await pool.query('delete from upstream_closures')
})

test('margins are shown as the running servers have them set, by table and as JSON', async () => {
  const { minMarginPercent, margins } = await json('margin --provider kling')
  assert.equal(minMarginPercent, null)
  const shown = new Map<string, boolean>()
  for (const { upstream, configured, refused, byDefault, worst } of margins) {
    shown.set(upstream, configured)
    assert.equal(refused, 'none')
    for (const each of [byDefault, worst]) {
      if (each === null || each.costMicroCents === null) continue
      assert.equal(each.marginMicroCents, each.priceMicroCents - each.costMicroCents)
    }
  }
  assert.deepEqual(Object.fromEntries(shown), { kling: true, fal: true, wavespeed: false })
  const shares = margins.flatMap(({ byDefault }: { byDefault: { marginPercent: number | null } }) =>
    byDefault.marginPercent === null ? [] : [byDefault.marginPercent],
  )
  assert.deepEqual(
    shares,
    shares.toSorted((a: number, b: number) => a - b),
    'the least first',
  )
  const human = await run(`margin --model ${model}`)
  assert.match(
    human.stdout,
    /^model +upstream +set up +model there +price +cost +margin +by default +worst$/m,
  )
  assert.match(
    human.stdout,
    /^kling\/kling-omni-o1\/text-to-video +kling +yes +omni-video\/kling-o1 +\$0\.35 +\$0\.42 +-\$0\.07 +-20 % /m,
  )
  assert.match(human.stdout, /^kling\/kling-omni-o1\/text-to-video +wavespeed +no +/m)
  assert.match(human.stdout, /^FILMGATE_MIN_MARGIN of the servers: none\.$/m)
})

test('a route that the least margin of the servers keeps jobs off is shown so, whatever this terminal has', async () => {
  const strict = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    settings: { upstreams, minMargin: '5' },
  })
  const shown = await json(`route ${model} duration=10 quality=pro`)
  assert.notEqual(shown.chosen.upstream, 'kling')
  const kept = shown.routes.find(({ upstream }: { upstream: string }) => upstream === 'kling')
  assert.deepEqual(
    [kept.standing, kept.score, kept.costMicroCents, kept.marginMicroCents],
    ['below margin', null, 1_120_000, -70_000],
  )
  assert.equal(kept.why, 'leaves -6.66 % of the price: FILMGATE_MIN_MARGIN of the servers is 5 %')
  const table = await run(`margin --model ${model} --upstream kling`)
  assert.match(table.stdout, /^kling.* not taken$/m)
  assert.match(table.stdout, /servers differ in FILMGATE_MIN_MARGIN: .* the strictest, 5 %/)
  assert.equal((await json(`margin --model ${model}`)).minMarginPercent, 5)
  await strict.stop()
  const mine = await filmgate(`margin --model ${model} --json`, { FILMGATE_MIN_MARGIN: '99' })
  assert.equal(JSON.parse(mine.stdout).minMarginPercent, null)
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

test('without a running server the commands say that there is none, and the database holds no key', async () => {
  const { rows } = await pool.query("select string_agg(to_jsonb(s)::text, '') as text from servers s")
  assert.doesNotMatch(rows[0].text, /hunter|aHVudGVy/)
  await gateway.stop()
  const check = await run('upstream check kling')
  assert.match(
    check.stderr,
    /no server runs on this database.*start one with "filmgate serve", and set KLING_API_KEY/,
  )
  assert.match((await run('upstream list')).stdout, /No server runs on this database/)
  const shown = await json(`route ${model}`)
  assert.equal(shown.chosen, null)
  assert.match(shown.routes[0].why, /no server runs on this database/)
  const { stdout } = await run(`margin --model ${model}`)
  assert.match(stdout, /^No server runs on this database, so that no upstream is set up/m)
})
