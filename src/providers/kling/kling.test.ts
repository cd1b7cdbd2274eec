import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type Behaviour, startKling } from '../../../test/upstreams/kling.ts'
import { type Json, type SubmitOutcome, UpstreamBusy } from '../provider.ts'
import { errors, type Treatment } from './errors.ts'
import { accepted, call, contextOf, fox, inWords, pollOne, requestOf } from './fixture.ts'
import { kling } from './kling.ts'

const apiKey = 'a-key-that-nobody-may-see'
const accessKey = 'an-access-key-that-nobody-may-see'
const secretKey = 'a-secret-key-that-nobody-may-see'
let behaviour: Behaviour = {}
const server = await startKling({ apiKey, accessKey, secretKey, behave: () => behaviour })
after(() => server.stop())
const provider = kling.open({ baseUrl: server.url, apiKey })
const byPair = kling.open({ baseUrl: server.url, accessKey, secretKey })
const standards = { new: {}, legacy: { negative_prompt: 'blurry' } }

/** A submit at which Kling behaves so. */
function submit(behave: Behaviour, input: Record<string, Json> = {}, by = provider): Promise<SubmitOutcome> {
  behaviour = behave
  return by.submit(requestOf('text-to-video/kling-3.0', { ...fox, ...input }), contextOf())
}

const isOperation = (value: Json): value is { id: string; path?: string } =>
  typeof value === 'object' && value !== null && 'id' in value

for (const [standard, input] of Object.entries(standards)) {
  test(`in the ${standard} standard a job is sent once, found by our id, and asked about until its film is there`, async () => {
    behaviour = { takesMs: Number.POSITIVE_INFINITY }
    const request = requestOf('text-to-video/kling-3.0', { ...fox, ...input })
    const before = server.transcript.length
    const operation = await accepted(provider.submit(request, contextOf()))
    assert.deepEqual(await pollOne(provider, operation), { status: 'running' })
    assert.deepEqual(await provider.find!(request, call()), { outcome: 'found', operation })
    const asked = server.transcript.slice(before)
    assert.equal(asked.filter(({ method }) => method === 'POST').length, 1)
    assert.ok(asked.every(({ path }) => path.startsWith('/v1/') === (standard === 'legacy')))

    const done = await pollOne(provider, await accepted(submit({}, input)))
    assert.ok(done.status === 'succeeded')
    assert.deepEqual(
      done.outputs.map(({ type }) => type),
      ['video'],
    )
  })

  test(`in the ${standard} standard a job that Kling does not have is absent`, async () => {
    const operation = { id: '123', ...(standard === 'legacy' && { path: '/v1/videos/text2video' }) }
    assert.deepEqual(await pollOne(provider, operation), { status: 'absent' })
    const request = requestOf('text-to-video/kling-3.0', { ...fox, ...input })
    assert.deepEqual(await provider.find!(request, call()), { outcome: 'absent' })
  })

  test(`in the ${standard} standard a job whose answer was lost is found, and a second one of it is never made`, async () => {
    behaviour = { lose: 'after' }
    const request = requestOf('text-to-video/kling-3.0', { ...fox, ...input })
    assert.equal((await provider.submit(request, contextOf())).outcome, 'unknown')
    behaviour = {}
    const tasks = server.tasks.size
    assert.equal((await provider.submit(request, contextOf())).outcome, 'unknown')
    assert.equal(server.tasks.size, tasks)
    const found = await provider.find!(request, call())
    assert.ok(found.outcome === 'found')
    assert.equal((await pollOne(provider, found.operation)).status, 'succeeded')
  })

  test(`in the ${standard} standard a task that fails by itself is a failure, by content or by the model`, async () => {
    const failed = async (fail: string) => {
      const outcome = await pollOne(provider, await accepted(submit({ fail }, input)))
      return outcome.status === 'failed' ? outcome : assert.fail(outcome.status)
    }
    const risky = await failed('Failure to pass the risk control system')
    assert.equal(risky.code, 'CONTENT_POLICY_VIOLATION')
    assert.match(risky.message, /risk control/)
    const broken = await failed('Render node 17 of account 42 went away')
    assert.deepEqual([broken.code, /account/.test(broken.message)], ['GENERATION_FAILED', false])
  })
}

const meant: Record<Treatment, string> = {
  'suspended: upstream (key)': 'suspended upstream key',
  'suspended: upstream (credit)': 'suspended upstream credit',
  'suspended: upstream (permission)': 'suspended upstream permission',
  'suspended: model (credit)': 'suspended model credit',
  'suspended: model (permission)': 'suspended model permission',
  'suspended: model (switched off)': 'suspended model model',
  refused: 'refused GENERATION_FAILED elsewhere',
  'looked up': 'refused GENERATION_FAILED elsewhere',
  content: 'refused CONTENT_POLICY_VIOLATION',
  busy: 'busy',
  unavailable: 'unavailable',
  unknown: 'unknown',
}

test("each code of Kling's error table has its outcome, in both standards, and none of them made a task", async () => {
  const tasks = server.tasks.size
  for (const { code, status, treatment } of errors) {
    for (const input of Object.values(standards)) {
      const outcome = await submit({ refuse: { code, status } }, input)
      assert.equal(inWords(outcome), meant[treatment], `${status}/${code}`)
    }
  }
  assert.equal(server.tasks.size, tasks)
})

test('an error inside Kling may have made a task: it is unknown, and found', async () => {
  for (const code of [5000, 5002]) {
    behaviour = { crash: { code } }
    const request = requestOf('text-to-video/kling-3.0', fox)
    assert.equal((await provider.submit(request, contextOf())).outcome, 'unknown')
    assert.equal((await provider.find!(request, call())).outcome, 'found')
  }
})

test('1201 without a word of our id is not believed either: what is there is the job', async () => {
  behaviour = { crash: { code: 1201, status: 400, message: 'Invalid parameter' } }
  const outcome = await provider.submit(requestOf('text-to-video/kling-3.0', fox), contextOf())
  assert.equal(outcome.outcome, 'accepted')
})

test('1201 whose question has no answer leaves it open whether there is a job', async () => {
  server.interrupt(/^GET \/tasks/, 'cut')
  assert.equal((await submit({ refuse: { code: 1201 } })).outcome, 'unknown')
})

test('what does not come from Kling is judged by its status alone, and never for more than it says', async () => {
  const answers: [number, unknown, string][] = [
    [200, 'all is well', 'unknown'],
    [200, { code: 0, data: {} }, 'unknown'],
    [200, { code: 1, message: 'hm' }, 'unknown'],
    [301, '', 'suspended upstream key'],
    [400, { code: 1299 }, 'refused GENERATION_FAILED elsewhere'],
    [403, '<html>', 'suspended upstream key'],
    [402, '<html>', 'suspended upstream credit'],
    [407, '<html>', 'suspended upstream permission'],
    [410, '<html>', 'suspended model model'],
    [451, '<html>', 'suspended upstream permission'],
    [404, { timestamp: 1, status: 404, error: 'Not Found', path: '/x' }, 'suspended model model'],
    [408, '', 'unknown'],
    [429, 'slow down', 'busy'],
    [429, { code: 1399, message: 'new' }, 'refused GENERATION_FAILED elsewhere'],
    [502, '<html>', 'unknown'],
    // refused by its code, but from a server that is out of order
    [500, { code: 1303, message: 'parallel task over resource pack limit' }, 'unknown'],
  ]
  for (const [status, body, wanted] of answers) {
    server.interrupt(/^POST \/text-to-video/, { status, body })
    assert.equal(inWords(await submit({})), wanted, `${status} ${JSON.stringify(body)}`)
  }
})

test('a submit that reached nobody is unavailable, one whose answer was cut off unknown', async () => {
  const nobody = kling.open({ baseUrl: 'http://127.0.0.1:1', apiKey })
  assert.equal((await submit({}, {}, nobody)).outcome, 'unavailable')
  assert.equal((await submit({ lose: 'before' })).outcome, 'unknown')
})

test('how long Kling wants to be left alone is handed on', async () => {
  const outcome = await submit({ refuse: { code: 1302, headers: { 'retry-after': '7' } } })
  assert.ok(outcome.outcome === 'busy' && outcome.retryAfterMs === 7_000)
  const operation = await accepted(submit({}))
  server.interrupt(/^GET \/tasks/, { status: 429, body: { code: 1302, message: 'too fast' } })
  await assert.rejects(pollOne(provider, operation), UpstreamBusy)
})

test('twenty jobs of both standards are asked about together: one question for the new ones, one each for the others', async () => {
  const operations: Json[] = []
  for (let n = 0; n < 20; n += 1) {
    operations.push(await accepted(submit({}, n < 3 ? standards.legacy : standards.new)))
  }
  const before = server.transcript.length
  const outcomes = await provider.poll(operations, call())
  assert.ok(outcomes.every(({ status }) => status === 'succeeded'))
  assert.equal(server.transcript.length - before, 4)
  const urls = outcomes.map((outcome) =>
    outcome.status === 'succeeded' ? outcome.outputs[0]?.source : undefined,
  )
  assert.equal(new Set(urls.map((url) => JSON.stringify(url))).size, 20)
})

test('a question without an answer does not take the others with it; with none at all there is no answer', async () => {
  const operations = [await accepted(submit({}, standards.legacy)), await accepted(submit({}))]
  server.interrupt(/^GET \/v1/, { status: 500, body: { code: 5000, message: 'inside' } })
  assert.deepEqual(
    (await provider.poll(operations, call())).map(({ status }) => status),
    ['running', 'succeeded'],
  )
  server.interrupt(/^GET /, { status: 500, body: { code: 5000, message: 'inside' } }, 2)
  await assert.rejects(provider.poll(operations, call()))
})

test('an entry that can not be read hides no other, and is never taken for the end of a job', async () => {
  const operation = await accepted(submit({}))
  assert.ok(isOperation(operation))
  const unreadable = { code: 0, data: [{ id: true }] }
  server.interrupt(/^GET \/tasks/, { status: 200, body: unreadable })
  await assert.rejects(pollOne(provider, operation))
  server.interrupt(/^GET \/tasks/, { status: 200, body: unreadable })
  await assert.rejects(provider.find!(requestOf('text-to-video/kling-3.0', fox), call()))
  server.interrupt(/^GET \/tasks/, {
    status: 200,
    body: { code: 0, data: [{ id: true }, { id: operation.id, status: 'paused' }] },
  })
  assert.deepEqual(await pollOne(provider, operation), { status: 'running' })
})

test('what was paid in dollars is told in micro-cents; units, and what is paid in part with them, in words only', async () => {
  const cash = (amount: string, currency = 'USD') => ({
    charge_type: 'cash' as const,
    cash_type: 'balance' as const,
    amount,
    currency: currency as 'USD',
    package_type: 'video' as const,
    list_price: amount,
  })
  const units = { charge_type: 'unit' as const, amount: '2.4', package_type: 'video' as const }
  const billed = async (billing: Behaviour['billing']) => {
    const outcome = await pollOne(provider, await accepted(submit({ billing: billing! })))
    return outcome.status === 'succeeded' ? outcome.billed : assert.fail(outcome.status)
  }
  assert.equal((await billed([cash('0.42'), cash('0.000001')]))?.microCents, 420_001)
  assert.deepEqual(await billed([units]), { statement: [units] })
  assert.equal((await billed([units, cash('0.1')]))?.microCents, undefined)
  assert.equal((await billed([cash('3', 'CNY')]))?.microCents, undefined)
})

test('a token that is refused as stale is signed anew once, and the submit repeated, as nothing was made', async () => {
  for (const code of [1003, 1004]) {
    const stale = { status: 401, body: { code, message: 'token' } }
    server.interrupt(/^POST \/v1/, stale)
    assert.equal((await submit({}, {}, byPair)).outcome, 'accepted')
    server.interrupt(/^POST \/v1/, stale, 2)
    assert.equal(inWords(await submit({}, {}, byPair)), 'suspended upstream key')
  }
})

test('with a static key no refusal is answered with a second submit', async () => {
  const before = server.transcript.length
  assert.equal(inWords(await submit({ refuse: { code: 1004 } })), 'suspended upstream key')
  assert.equal(server.transcript.length, before + 1)
})

for (const [standard, path, other] of [
  ['new', /^GET \/tasks/, [{ id: '7', status: 'succeeded', external_id: 'job-of-somebody-else' }]],
  [
    'new',
    /^GET \/tasks/,
    [
      { id: '7', status: 'succeeded' },
      { id: '8', status: 'succeeded' },
    ],
  ],
  [
    'legacy',
    /^GET \/v1/,
    { task_id: '7', task_status: 'succeed', task_info: { external_task_id: 'another' } },
  ],
] as const) {
  test(`a task that is another customer's is never taken for the lost one (${standard}, ${JSON.stringify(other).length})`, async () => {
    const request = requestOf('text-to-video/kling-3.0', { ...fox, ...standards[standard] })
    server.interrupt(path, { status: 200, body: { code: 0, data: other } })
    await assert.rejects(provider.find!(request, call()), /nothing that can be used/)
  })
}

test('an id that no question can be asked with is none', async () => {
  server.interrupt(/^POST/, { status: 200, body: Buffer.from('{"code":0,"data":{"id":1e21}}') })
  assert.equal((await submit({})).outcome, 'unknown')
})

test('what is quoted of Kling has nothing that a terminal would obey', async () => {
  const operation = await accepted(submit({ fail: 'a risk\u001b]0;x\u0007\u001b[2J\u202egnp\u0000' }))
  const outcome = await pollOne(provider, operation)
  assert.ok(outcome.status === 'failed')
  assert.doesNotMatch(outcome.message, /\p{C}/u)
})

test('no key is in what is told, whatever Kling repeats of it', async () => {
  const token = 'eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln'
  const sides = [
    { by: provider, secrets: [apiKey] },
    { by: byPair, secrets: [accessKey, secretKey, token] },
  ]
  for (const { by, secrets } of sides) {
    const words = secrets.join(', ')
    const told: unknown[] = []
    for (const { code, status } of errors) {
      told.push(await submit({ refuse: { code, status, message: words } }, {}, by))
    }
    const billing = [{ charge_type: 'unit' as const, amount: '1', package_type: secrets[0] as 'video' }]
    const operation = await accepted(submit({ fail: `a risk: ${words}`, billing }, {}, by))
    told.push(operation, await pollOne(by, operation))
    server.interrupt(/^GET/, { status: 401, body: { code: 1000, message: words } }, 2)
    told.push(await pollOne(by, operation).catch((error: Error) => error), await by.check!(call()))
    const text = JSON.stringify(told, withErrors)
    assert.match(text, /\(key\)|\(token\)/)
    assert.deepEqual(
      secrets.filter((secret) => text.includes(secret)),
      [],
    )
  }
})

function withErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.stack} ${value.cause}` : value
}
