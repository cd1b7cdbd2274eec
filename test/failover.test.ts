import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FindOutcome, PollOutcome, Provider, SubmitOutcome, Unfit } from '../src/providers/provider.ts'
import { cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { textToVideo } from './seeds.ts'
import { until } from './until.ts'

/** What an upstream answers to a job of one prompt: to its first submit, its second, … the last for all further ones. */
interface Script {
  submit?: SubmitOutcome[]
  find?: FindOutcome[]
  poll?: PollOutcome
  unfit?: Unfit
}

const accepted: SubmitOutcome = { outcome: 'accepted', operation: null }
const suspendedFor = (scope: 'upstream' | 'model'): SubmitOutcome => ({
  outcome: 'suspended',
  scope,
  reason: scope === 'model' ? 'model' : 'credit',
  cause: 'no credit',
})

/** An upstream that does as it is told, and keeps in mind what it was asked. */
function createScripted(name: string) {
  const scripts = new Map<string, Script>()
  const asked: string[] = []
  const prompts = new Map<string, string>()
  const turn = <T>(key: string, of: T[]): T => {
    asked.push(key)
    return of[Math.min(of.length, asked.filter((known) => known === key).length) - 1]!
  }
  const provider: Provider = {
    name,
    pollBatch: 1,
    settleMs: 0,
    pollDelayMs: () => 50,
    timeLimitMs: () => 60_000,
    fits: ({ input }) => scripts.get(String(input.prompt))?.unfit,
    async submit({ jobId, input }) {
      const prompt = String(input.prompt)
      prompts.set(jobId, prompt)
      const outcome = turn(`submit ${prompt}`, scripts.get(prompt)?.submit ?? [accepted])
      return outcome.outcome === 'accepted' ? { ...outcome, operation: prompt } : outcome
    },
    find: async ({ jobId }) => {
      const prompt = prompts.get(jobId)!
      return turn(`find ${prompt}`, scripts.get(prompt)?.find ?? [{ outcome: 'absent' }])
    },
    poll: async ([prompt]) => [
      scripts.get(String(prompt))?.poll ?? {
        status: 'failed',
        // of the customer's own doing, so that it tells nothing of the route
        code: 'CONTENT_POLICY_VIOLATION',
        message: 'Made by nobody.',
        billed: { microCents: 7_000, statement: { units: '1' } },
      },
    ],
  }
  const submits = (prompt: string) => asked.filter((key) => key === `submit ${prompt}`).length
  return { provider, scripts, submits }
}

const { pool, url } = await cloneDatabase()
const [first, second] = [createScripted('first'), createScripted('second')]
const cost = {
  baseCostMicroCents: 60_000,
  unit: 'per_second' as const,
  factors: { duration: { 5: '5', 10: '10' } },
}
const gateway = await startGateway({
  databaseUrl: url,
  allowPrivateNetwork: true,
  upstreams: [first.provider, second.provider],
  routesOf: () => [
    { upstream: 'first', model: 'theirs/one', settings: { tier: 'pro' }, cost },
    { upstream: 'second', model: 'theirs/two' },
    { upstream: 'not-set-up', model: 'theirs/three' },
  ],
})
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })

let prompts = 0
async function submit(scripts: { first?: Script; second?: Script }) {
  const prompt = `prompt ${++prompts}`
  first.scripts.set(prompt, scripts.first ?? {})
  second.scripts.set(prompt, scripts.second ?? {})
  const answer = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: { model: textToVideo, input: { prompt, duration: '5' } },
  })
  return { prompt, answer, jobId: answer.body.jobId as string }
}

/** Submits, and waits until an upstream has taken the job or it has ended. */
async function settled(scripts: { first?: Script; second?: Script }) {
  const { prompt, jobId, answer } = await submit(scripts)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  const { error } = await gateway.ended(jobId, customer.key)
  const { rows } = await pool.query(
    `select provider, status, route ->> 'model' as model, listed_cost_micro_cents as listed,
       billed_micro_cents as billed, refusal_code as refusal
     from attempts where job_id = $1 order by number`,
    [jobId],
  )
  return { prompt, jobId, error, attempts: rows }
}

const ways = (attempts: { provider: string; status: string }[]) =>
  attempts.map(({ provider, status }) => `${provider} ${status}`)
const open = () => pool.query('with c as (delete from upstream_closures) delete from upstreams')

test('a job goes to the first of its routes, and its attempt keeps route, list price and bill', async () => {
  const { prompt, jobId, attempts } = await settled({})
  assert.deepEqual(attempts, [
    {
      provider: 'first',
      status: 'accepted',
      model: 'theirs/one',
      listed: 300_000n,
      billed: 7_000n,
      refusal: null,
    },
  ])
  assert.equal(second.submits(prompt), 0)
  const { rows } = await pool.query('select provider from jobs where id = $1', [jobId])
  assert.equal(rows[0].provider, 'first')
})

test('what an upstream refuses for reasons of its own goes to the next, is charged once and kept with its reason', async () => {
  const { jobId, attempts, error } = await settled({
    first: {
      submit: [{ outcome: 'refused', code: 'GENERATION_FAILED', message: 'No such size.', elsewhere: true }],
    },
  })
  assert.deepEqual(ways(attempts), ['first refused', 'second accepted'])
  assert.equal(attempts[0].refusal, 'GENERATION_FAILED')
  assert.match(error.message, /Made by nobody/)
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
  const { rows } = await pool.query('select provider from jobs where id = $1', [jobId])
  assert.equal(rows[0].provider, 'second')
})

test('what is refused for its content goes nowhere else', async () => {
  const { prompt, error, attempts } = await settled({
    first: { submit: [{ outcome: 'refused', code: 'CONTENT_POLICY_VIOLATION', message: 'No.' }] },
  })
  assert.equal(error.code, 'CONTENT_POLICY_VIOLATION')
  assert.deepEqual(ways(attempts), ['first refused'])
  assert.equal(second.submits(prompt), 0)
})

test('a job that every upstream refuses fails once, refunded, and none is asked twice', async () => {
  const refusal: SubmitOutcome = {
    outcome: 'refused',
    code: 'GENERATION_FAILED',
    message: 'No.',
    elsewhere: true,
  }
  const { prompt, jobId, error } = await settled({
    first: { submit: [refusal] },
    second: { submit: [refusal] },
  })
  assert.equal(error.code, 'GENERATION_FAILED')
  assert.deepEqual([first.submits(prompt), second.submits(prompt)], [1, 1])
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
})

for (const outcome of ['busy', 'unavailable'] as const) {
  test(`a job that an upstream does not take, being ${outcome}, goes to the next at once`, async () => {
    const { attempts } = await settled({ first: { submit: [{ outcome, cause: new Error('503') }] } })
    assert.deepEqual(ways(attempts), ['first refused', 'second accepted'])
    await open()
  })
}

test('a submit of unknown outcome goes to no other upstream, not even when its own has said that it has no such job', async () => {
  const { prompt, attempts } = await settled({
    first: { submit: [{ outcome: 'unknown', cause: new Error('reset') }, accepted] },
  })
  assert.deepEqual(ways(attempts), ['first absent', 'first accepted'])
  assert.equal(second.submits(prompt), 0)
  await open()
})

test('an upstream without credit is left out by the jobs that follow, of all models, until its time is over', async () => {
  const { attempts } = await settled({ first: { submit: [suspendedFor('upstream')] } })
  assert.deepEqual(ways(attempts), ['first refused', 'second accepted'])
  const next = await settled({})
  assert.deepEqual(ways(next.attempts), ['second accepted'])
  const { rows } = await pool.query('select upstream, model, cause from upstream_closures')
  assert.deepEqual(rows, [{ upstream: 'first', model: '', cause: 'no credit' }])
  await pool.query("update upstream_closures set retry_at = now() - interval '1 s'")
  const last = await settled({})
  assert.deepEqual(ways(last.attempts), ['first accepted'])
  assert.equal((await pool.query('select from upstream_closures')).rowCount, 0)
})

test('of the jobs that come once the time of a closure is over one tries whether the upstream is open again', async () => {
  await pool.query(
    "insert into upstream_closures (upstream, model, cause, retry_at) values ('first', '', 'no credit', now() - interval '1 s')",
  )
  const closed = { first: { submit: [suspendedFor('upstream')] } }
  const ended = await Promise.all(Array.from({ length: 8 }, () => settled(closed)))
  assert.equal(ended.filter(({ attempts }) => attempts[0].provider === 'first').length, 1)
  assert.ok(ended.every(({ attempts }) => attempts.at(-1).provider === 'second'))
  const { rows } = await pool.query(
    'select times, is_probed, retry_at > now() as is_closed from upstream_closures',
  )
  assert.deepEqual(rows, [{ times: 2, is_probed: false, is_closed: true }])
  await open()
})

test('a job that is refused does not show that an upstream is open again', async () => {
  await pool.query(
    "insert into upstream_closures (upstream, model, cause, retry_at) values ('first', '', 'no credit', now() - interval '1 s')",
  )
  const { attempts } = await settled({
    first: { submit: [{ outcome: 'refused', code: 'INPUT_MEDIA_INVALID', message: 'Too long.' }] },
  })
  assert.deepEqual(ways(attempts), ['first refused'])
  const { attempts: next } = await settled({})
  assert.deepEqual(ways(next), ['second accepted'])
  await open()
})

test('a model that is switched off closes that model alone, for longer each time that it is found so', async () => {
  await settled({ first: { submit: [suspendedFor('model')] } })
  await pool.query("update upstream_closures set retry_at = now() - interval '1 s'")
  await settled({ first: { submit: [suspendedFor('model')] } })
  const { rows } = await pool.query(
    `select model, times, round(extract(epoch from retry_at - now()) / 60)::int as minutes from upstream_closures`,
  )
  assert.deepEqual(rows, [{ model: 'theirs/one', times: 2, minutes: 2 }])
  await open()
})

test('a job whose upstreams are all closed waits, and is sent once the operator has opened one', async () => {
  const { jobId, prompt } = await submit({
    first: { submit: [suspendedFor('upstream'), accepted] },
    second: { submit: [suspendedFor('upstream'), accepted] },
  })
  await until(async () => (await pool.query('select from upstream_closures')).rowCount === 2)
  await until(async () => {
    const { rows } = await pool.query(
      "select run_at from graphile_worker.jobs where key = 'dispatch:' || $1",
      [jobId],
    )
    return rows[0]?.run_at > new Date()
  })
  await open()
  await pool.query(
    "select graphile_worker.reschedule_jobs(array[id], run_at => now()) from graphile_worker.jobs where key = 'dispatch:' || $1",
    [jobId],
  )
  await gateway.ended(jobId, customer.key)
  assert.deepEqual([first.submits(prompt), second.submits(prompt)], [2, 1])
})

const suspendAll = (retryAt: string) =>
  pool.query(
    `insert into upstream_closures (upstream, model, reason, cause, retry_at)
     select name, '', 'credit', 'no credit', ${retryAt} from unnest(array['first', 'second']) as name`,
  )

async function isListed(): Promise<boolean> {
  const path = `/v1/catalog/models/${textToVideo}`
  return (await gateway.call('GET', path, { key: customer.key })).body.available
}

test('while all routes are suspended a submit is refused, uncharged, with the time of the next look', async () => {
  await suspendAll("now() + interval '10 minutes'")
  const { answer } = await submit({})
  assert.deepEqual([answer.status, answer.body.error.code], [503, 'PROVIDER_UNAVAILABLE'])
  assert.equal(answer.headers.get('retry-after'), '300')
  assert.match(answer.body.error.message, /Nothing was charged/)
  await pool.query(
    "update upstream_closures set retry_at = now() + interval '20 s' where upstream = 'second'",
  )
  const { answer: sooner } = await submit({})
  assert.ok(Number(sooner.headers.get('retry-after')) <= 20)
  await open()
})

test('where an upstream has no check one submit is let through, and one that comes to nothing gives its turn back', async () => {
  await suspendAll("now() - interval '1 s'")
  const poor = await makeCustomer(pool, { mode: 'live', microCents: 0n })
  const body = { model: textToVideo, input: { prompt: 'poor', duration: '5' } }
  const broke = await gateway.call('POST', '/v1/jobs/submit', { key: poor.key, body })
  assert.equal(broke.body.error.code, 'INSUFFICIENT_BALANCE')
  await pool.query(
    "update upstream_closures set retry_at = now() + interval '1 hour' where upstream = 'second'",
  )
  // the catalog says what a submit would be told
  await until(isListed)
  const answers = await Promise.all(Array.from({ length: 8 }, () => submit({})))
  const taken = answers.filter(({ answer }) => answer.status === 200)
  assert.equal(taken.length, 1)
  await gateway.ended(taken[0]!.jobId, customer.key)
  const { rows } = await pool.query('select upstream from upstream_closures')
  assert.deepEqual(rows, [{ upstream: 'second' }])
  await open()
})

test('while a job tries the catalog says that none is taken; one that shows nothing leaves it to another', async () => {
  await suspendAll("now() - interval '1 s'")
  await until(isListed)
  const refusal: SubmitOutcome = { outcome: 'refused', code: 'INPUT_MEDIA_INVALID', message: 'No.' }
  const { jobId, answer } = await submit({ first: { submit: [refusal] }, second: { submit: [refusal] } })
  assert.equal(answer.status, 200)
  await gateway.ended(jobId, customer.key)
  const { rows } = await pool.query('select is_probed from upstream_closures where probe_job_id = $1', [
    jobId,
  ])
  assert.deepEqual(rows, [{ is_probed: true }])
  await pool.query(
    "update upstream_closures set retry_at = now() + interval '1 hour', is_checked = false where probe_job_id is null",
  )
  await until(async () => !(await isListed()))
  await pool.query("update upstream_closures set retry_at = now() - interval '1 s' where probe_job_id = $1", [
    jobId,
  ])
  await until(isListed)
  await gateway.ended((await submit({})).jobId, customer.key)
  assert.equal((await pool.query('select from upstream_closures')).rowCount, 1)
  await open()
})

test('a model that is suspended for the input alone that others can not do refuses that input alone', async () => {
  await pool.query(
    "insert into upstream_closures (upstream, model, reason, cause, retry_at) values ('first', 'theirs/one', 'model', 'off', now() + interval '1 hour')",
  )
  const unfit = { path: 'seed', message: 'is not possible.' }
  const { answer } = await submit({ second: { unfit } })
  assert.equal(answer.body.error.code, 'PROVIDER_UNAVAILABLE')
  assert.deepEqual(ways((await settled({})).attempts), ['second accepted'])
  await open()
})

test('with FILMGATE_WHEN_SUSPENDED=hold a submit is taken, and the catalog still says what is so', async () => {
  const holding = await startGateway({
    databaseUrl: url,
    role: 'api',
    upstreams: [first.provider],
    settings: { whenSuspended: 'hold' },
  })
  await suspendAll("now() + interval '1 hour'")
  const body = { model: textToVideo, input: { prompt: 'held', duration: '5' } }
  const held = await holding.call('POST', '/v1/jobs/submit', { key: customer.key, body })
  assert.equal(held.status, 200, JSON.stringify(held.body))
  const listed = await holding.call('GET', `/v1/catalog/models/${textToVideo}`, { key: customer.key })
  assert.equal(listed.body.available, false)
  const cancelled = await holding.call('POST', `/v1/jobs/${held.body.jobId}/cancel`, { key: customer.key })
  assert.equal(cancelled.body.status, 'cancelled')
  await holding.stop()
  await open()
})

test('a job that only the second can do goes there, and one that none can do is refused with the field, uncharged', async () => {
  const unfit = { path: 'seed', message: 'is not possible.' }
  const { attempts } = await settled({ first: { unfit } })
  assert.deepEqual(ways(attempts), ['second accepted'])
  const { answer } = await submit({ first: { unfit }, second: { unfit } })
  assert.deepEqual([answer.status, answer.body.error.code], [400, 'INVALID_INPUT'])
  assert.deepEqual(answer.body.error.details, { issues: [unfit] })
})

test('an open circuit sends jobs to the next upstream without asking', async () => {
  await pool.query(
    "insert into upstreams (name, failures, open_until) values ('first', 5, now() + interval '1 minute')",
  )
  const { prompt, attempts } = await settled({})
  assert.deepEqual(ways(attempts), ['second accepted'])
  assert.equal(first.submits(prompt), 0)
  await open()
})

test('the ledger balances after all of this', async () => {
  assert.deepEqual(await ledgerProblems(pool), [])
})
