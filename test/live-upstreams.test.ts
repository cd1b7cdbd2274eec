import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { atEnd } from './at-end.ts'
import { ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { promptOf, startLiveGateway } from './live-fixture.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'
import { type FalBehaviour, startFal } from './upstreams/fal.ts'
import { type Behaviour, startKling } from './upstreams/kling.ts'
import { listen } from './webhook-fixture.ts'

const behaviours = new Map<string, Behaviour>()
const falBehaviours = new Map<string, FalBehaviour>()
const webhookSecret = 'whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI='
// what ends by itself is told by a callback; what does not, nobody would ask about for a minute
const takesMs = 200
const kling = await startKling({
  webhookSecret,
  behave: ({ body }) => ({ takesMs, ...behaviours.get(promptOf(body)) }),
})
const fal = await startFal({ behave: ({ body }) => ({ takesMs, ...falBehaviours.get(promptOf(body)) }) })
const gateway = await startLiveGateway({
  kling: { apiKey: kling.apiKey, baseUrl: kling.url, webhookSecret },
  fal: { apiKey: fal.apiKey, baseUrl: fal.url },
})
const { pool, customer, order, accepted, fails } = gateway
atEnd(async () => void (await Promise.all([kling.stop(), fal.stop()])))
const pictures = await listen((_, response) => {
  response.setHeader('content-type', 'image/png')
  response.end(createCanvas(640, 360).toBuffer('image/png'))
})

let prompts = 0
/** Kling stands first on the routes of this model. */
async function submit(behaviour: Behaviour = {}, model = 'kling/kling-omni-o1/text-to-video') {
  const prompt = `A lake, number ${++prompts}.`
  behaviours.set(prompt, behaviour)
  return { jobId: await order(model, { prompt, duration: '5' }), prompt }
}

const tasksOf = (jobId: string) => [...kling.tasks.values()].filter(({ externalId }) => externalId === jobId)

for (const model of [imageToVideo, textToVideo]) {
  test(`the published request for ${model} with a live key is made, and its film kept`, async () => {
    const seed = seedBody(model)
    const input = { ...seed.input, ...('image_url' in seed.input && { image_url: `${pictures}/seed.png` }) }
    const { body } = await gateway.call('POST', '/v1/jobs/submit', {
      key: customer.key,
      body: { ...seed, input },
    })
    const job = await gateway.ended(body.jobId, customer.key)
    assert.equal(job.status, 'completed', JSON.stringify(job.error))
    const film = await fetch(job.output)
    assert.equal(film.headers.get('content-type'), 'video/mp4')
    assert.ok((await film.arrayBuffer()).byteLength > 1_000)
    assert.deepEqual(await transfersOf(pool, body.jobId), { charges: 1, refunds: 0 })
  })
}

test('a submit whose answer is lost is found by our own id, and made once', async () => {
  const { jobId } = await submit({ lose: 'after' })
  assert.equal((await gateway.ended(jobId, customer.key)).status, 'completed')
  assert.equal(tasksOf(jobId).length, 1)
})

test('an upstream that answers with its own error although it has the job is not sent it again, nor is another', async () => {
  const { jobId, prompt } = await submit({ crash: { code: 5002 } }, textToVideo)
  falBehaviours.set(prompt, { refuse: { status: 403, text: 'Exhausted balance' } })
  const job = await gateway.ended(jobId, customer.key)
  assert.equal(job.status, 'completed', JSON.stringify(job.error))
  assert.equal(tasksOf(jobId).length, 1)
  await pool.query('delete from upstream_closures')
})

test('a job that fal has no credit for is made by Kling, charged once, and its attempts say so', async () => {
  const { jobId, prompt } = await submit({ billing: [dollars('0.42')] }, textToVideo)
  falBehaviours.set(prompt, { refuse: { status: 403, text: 'Exhausted balance' } })
  const job = await gateway.ended(jobId, customer.key)
  assert.equal(job.status, 'completed', JSON.stringify(job.error))
  const { rows } = await pool.query(
    'select provider, status, billed_micro_cents as billed from attempts where job_id = $1 order by number',
    [jobId],
  )
  assert.deepEqual(rows, [
    { provider: 'fal', status: 'refused', billed: null },
    { provider: 'kling', status: 'accepted', billed: 420_000n },
  ])
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 0 })
  await pool.query('delete from upstream_closures')
})

function dollars(amount: string) {
  return {
    charge_type: 'cash',
    cash_type: 'balance',
    amount,
    currency: 'USD',
    package_type: 'video',
  } as const
}

test('a signed callback brings the result long before anybody would have asked', async () => {
  const { jobId } = await submit({ takesMs: 2_000 })
  await accepted(jobId)
  // nobody asks for an hour
  await pool.query("update polls set due_at = now() + interval '1 hour' where job_id = $1", [jobId])
  assert.equal((await gateway.ended(jobId, customer.key)).status, 'completed')
})

test('a callback that is signed by somebody else is refused', async () => {
  const { jobId } = await submit({ takesMs: 3_600_000 })
  const [task] = await until(async () => {
    const found = tasksOf(jobId)
    return found.length > 0 && found
  })
  const { callback_url: address } = (task!.body as { options: { callback_url: string } }).options
  const body = { id: task!.id, status: 'succeeded', external_id: jobId }
  const headers = {
    'webhook-id': '1',
    'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
    'webhook-signature': 'v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=',
  }
  const answer = await gateway.call('POST', address, { body, headers })
  assert.deepEqual([answer.status, answer.body.error?.code], [401, 'INVALID_WORKER_SECRET'])
})

test('what both refuse for its parameters makes GENERATION_FAILED, and maintenance at both that lasts PROVIDER_UNAVAILABLE', async () => {
  const unwanted = await submit({ refuse: { code: 1200 } }, textToVideo)
  falBehaviours.set(unwanted.prompt, { refuse: { status: 400, type: 'bad_request' } })
  await fails(unwanted.jobId, 'GENERATION_FAILED')
  const { jobId, prompt } = await submit({ refuse: { code: 5001 } }, textToVideo)
  falBehaviours.set(prompt, { refuse: { status: 429 } })
  await until(async () => {
    const { rows } = await pool.query('select provider from attempts where job_id = $1', [jobId])
    return new Set(rows.map(({ provider }) => provider)).size === 2
  })
  await pool.query("update jobs set created_at = now() - interval '25 hours' where id = $1", [jobId])
  await fails(jobId, 'PROVIDER_UNAVAILABLE')
  await pool.query('delete from upstreams')
})

test('the catalog tells which models can be made here; any other is refused with the reason, uncharged, and rendered with a test key', async () => {
  const { body: entries } = await gateway.call('GET', '/v1/catalog/models')
  const names = ['kling', 'fal']
  const listed = [...loadCatalogue().models.values()]
  for (const { slug, available, unavailableReason } of entries) {
    const { routes } = listed.find((model) => model.slug === slug)!.versions[0]!
    assert.equal(
      available,
      routes.some(({ upstream }) => names.includes(upstream)),
      slug,
    )
    assert.equal(unavailableReason === null, available, slug)
  }
  const other = listed.find(({ versions: [version] }) => version!.routes.length === 0)!
  const request = { body: { model: other.slug, input: other.versions[0]!.example } }
  const refused = await gateway.call('POST', '/v1/jobs/submit', { key: customer.key, ...request })
  assert.deepEqual([refused.status, refused.body.error.code], [404, 'MODEL_NOT_FOUND'])
  assert.match(refused.body.error.message, /No upstream makes .* Nothing was charged/)
  const tester = await makeCustomer(pool)
  const rendered = await gateway.call('POST', '/v1/jobs/submit', {
    key: tester.key,
    body: { model: textToVideo, input: { prompt: 'A lake', duration: '3' } },
  })
  assert.equal((await gateway.ended(rendered.body.jobId, tester.key)).status, 'completed')
  assert.equal(tasksOf(rendered.body.jobId).length, 0)
})

test('the ledger balances after all of this', async () => {
  assert.deepEqual(await ledgerProblems(pool), [])
})
