import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changeUser } from '../src/accounts/users.ts'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { debit } from '../src/ledger/by-hand.ts'
import { setVersion, setVisibility } from '../src/policy/settings.ts'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer } from './database.ts'
import { type Answer, type Gateway, startGateway } from './gateway.ts'
import { textToVideo } from './seeds.ts'
import { until } from './until.ts'

const { pool, url } = await cloneDatabase()
const [gateway, second] = await Promise.all([
  startGateway({ databaseUrl: url, role: 'api', allowPrivateNetwork: true }),
  startGateway({ databaseUrl: url, role: 'api', allowPrivateNetwork: true }),
])
const customer = await makeCustomer(pool, { microCents: 1_000_000_000n })
const webhookUrl = 'https://127.0.0.1/hook'
const input = { prompt: 'A lake', duration: '5', aspect_ratio: '16:9' }
const plain = { model: textToVideo, input }

let keys = 0
const newKey = () => `order-${++keys}`

const submit = (
  key: string,
  body: unknown,
  { at = gateway, headers = {} }: { at?: Gateway; headers?: Record<string, string> } = {},
) =>
  at.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body,
    headers: { 'idempotency-key': key, ...headers },
  })

async function first(body: unknown): Promise<{ key: string; jobId: string }> {
  const key = newKey()
  const answer = await submit(key, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return { key, jobId: answer.body.jobId }
}

function isReplay(answer: Answer, jobId: string, what?: string): void {
  assert.deepEqual([answer.status, answer.body.jobId], [200, jobId], what ?? JSON.stringify(answer.body))
  assert.equal(answer.headers.get('idempotent-replayed'), 'true')
}

function isConflict(answer: Answer, what?: string): void {
  assert.deepEqual([answer.status, answer.body.error?.code], [422, 'IDEMPOTENCY_CONFLICT'], what)
}

test('values that the API takes for equal are the same body, at every server', async () => {
  const full = { ...plain, webhookUrl, metadata: { order: '7' }, maxCostMicroCents: 9_000_000 }
  const { key, jobId } = await first(full)
  const catalogue = loadCatalogue()
  const { inputSchema } = catalogue.models.get(textToVideo)!.versions.at(-1)!
  const properties = inputSchema.properties as Record<string, { default?: unknown }>
  const defaults = Object.fromEntries(
    Object.entries(properties).flatMap(([name, { default: value }]) =>
      value === undefined ? [] : [[name, value]],
    ),
  )
  const same: Record<string, unknown> = {
    'as it was': full,
    'a number for an option': { ...full, input: { ...input, duration: 5 } },
    'defaults written out': { ...full, input: { ...defaults, ...input } },
    'a boolean for an option': { ...full, input: { ...input, has_sound: false } },
    'the other name of the model': { ...full, model: undefined, modelSlug: textToVideo },
    'both names': { ...full, modelSlug: textToVideo },
    'the version written out': { ...full, version: 'v1.0' },
    'its other name': { ...full, modelVersion: 'v1.0' },
    'nulls for what is left out': { ...full, quoteId: null, version: null, modelVersion: null },
    'an URL in another form': { ...full, webhookUrl: 'https://127.0.0.1:443/hook' },
  }
  for (const [what, body] of Object.entries(same)) {
    isReplay(await submit(key, body, { at: what.length % 2 === 0 ? gateway : second }), jobId, what)
  }
  const explicit = await first({ ...plain, input: { ...defaults, ...input } })
  isReplay(await submit(explicit.key, plain), explicit.jobId, 'defaults left out the second time')
})

test('another body is a conflict before anything else is said of it', async () => {
  const { key } = await first(plain)
  const others: Record<string, unknown> = {
    'another value': { ...plain, input: { ...input, prompt: 'A sea' } },
    'a wrong value': { ...plain, input: { ...input, duration: '99' } },
    'an unknown field': { ...plain, input: { ...input, colour: 'red' } },
    'no input': { model: textToVideo },
    'an unknown model': { ...plain, model: 'a/b/c' },
    'no model': { input },
    'a malformed model': { ...plain, model: 'A B' },
    'two models': { ...plain, modelSlug: 'a/b/c' },
    'an unknown version': { ...plain, version: 'v9.9' },
    'a wrong field of the envelope': { ...plain, colour: 'red' },
    'a wrong type': { ...plain, input: 5 },
    'nothing in an unknown field': { ...plain, colour: null },
    'a webhook': { ...plain, webhookUrl: 'http://x' },
    'a limit': { ...plain, maxCostMicroCents: 1 },
    'a quote': { ...plain, quoteId: 'quote_1' },
    metadata: { ...plain, metadata: { a: 'b' } },
    'a list': [plain],
    'no JSON': '{"model": ',
    nothing: '',
    'too much': { ...plain, input: { ...input, prompt: 'x'.repeat(1_100_000) } },
  }
  for (const [what, body] of Object.entries(others)) isConflict(await submit(key, body), what)
  isConflict(await submit(key, plain, { headers: { 'content-type': 'text/plain' } }), 'no JSON type')
})

test('a refused body leaves its key free, and is told why as without one', async () => {
  const key = newKey()
  for (const [body, code] of [
    [{ ...plain, input: { ...input, duration: '99' } }, 'INVALID_INPUT'],
    [{ ...plain, colour: 'red' }, 'VALIDATION_ERROR'],
    ['{"model": ', 'VALIDATION_ERROR'],
    [{ ...plain, maxCostMicroCents: 1 }, 'COST_LIMIT_EXCEEDED'],
  ] as const) {
    assert.equal((await submit(key, body)).body.error.code, code)
  }
  const answer = await submit(key, plain)
  assert.equal(answer.status, 200)
  isReplay(await submit(key, plain), answer.body.jobId)
})

test('a repeat is never refused: not by balance, debts, limits, quotes, versions or what is hidden', async () => {
  const quote = await gateway.call('POST', '/v1/jobs/estimate', { key: customer.key, body: plain })
  const quoted = { ...plain, quoteId: quote.body.quoteId, maxCostMicroCents: 100_000_000 }
  const [one, other] = [await first(plain), await first(quoted)]
  const owner = { userId: customer.userId, mode: 'test' as const }
  await debit(pool, owner, 2_000_000_000n, { mayOwe: true })
  await changeUser(pool, customer.userId, { concurrencyLimit: 1 })
  await setVersion(pool, textToVideo, 'v1.0', { status: 'deleted', requestsPerDay: 1 })
  await setVisibility(pool, textToVideo, { visibility: 'private' })
  try {
    isReplay(await submit(one.key, plain), one.jobId)
    isReplay(await submit(one.key, { ...plain, input: { ...input, duration: 5 } }, { at: second }), one.jobId)
    isReplay(await submit(other.key, quoted), other.jobId)
    isConflict(await submit(other.key, plain))
    assert.equal((await submit(newKey(), plain)).status, 403)
    await setVisibility(pool, textToVideo, { visibility: 'public' })
    await setVersion(pool, textToVideo, 'v1.0', { status: null, requestsPerDay: null })
    await changeUser(pool, customer.userId, { concurrencyLimit: null })
    const owing = await submit(newKey(), plain)
    assert.deepEqual([owing.status, owing.body.error.code], [402, 'INSUFFICIENT_BALANCE'])
    assert.ok(owing.body.error.details.owedMicroCents > 0)
  } finally {
    const { credit } = await import('../src/ledger/ledger.ts')
    await credit(pool, owner, 5_000_000_000n, undefined)
  }
  assert.equal((await submit(newKey(), plain)).status, 200)
})

test('a request under way is waited for: a wrong body that comes beside it is a conflict', async () => {
  const before = await balanceOf(pool, customer.accountId)
  let conflicts = 0
  for (let turn = 0; turn < 10; turn++) {
    const key = newKey()
    const [good, wrong, ...more] = await Promise.all([
      submit(key, { ...plain, webhookUrl: 'https://localhost/hook' }),
      submit(key, { ...plain, input: { ...input, duration: '99' } }),
      submit(key, { ...plain, webhookUrl: 'https://localhost/hook' }, { at: second }),
      submit(key, { ...plain, webhookUrl: 'https://localhost/hook' }),
    ])
    assert.equal(good.status, 200, JSON.stringify(good.body))
    for (const answer of more) assert.equal(answer.body.jobId, good.body.jobId)
    const { code } = wrong.body.error
    assert.ok(['IDEMPOTENCY_CONFLICT', 'INVALID_INPUT'].includes(code), code)
    if (code === 'IDEMPOTENCY_CONFLICT') conflicts++
  }
  // which of the two is read first is the network's choice
  assert.ok(conflicts > 0)
  const after = await balanceOf(pool, customer.accountId)
  const { body } = await gateway.call('POST', '/v1/jobs/estimate', { key: customer.key, body: plain })
  assert.equal(before - after, 10n * BigInt(body.estimatedCostMicroCents))
  assert.deepEqual(await ledgerProblems(pool), [])
})

test('a wrong body is a conflict also while another process is writing the job of its key', async () => {
  const key = newKey()
  const client = await pool.connect()
  try {
    // both wait for the account, the one that writes before the one that asks
    await client.query('begin')
    await client.query('select from accounts where id = $1 for update', [customer.accountId])
    const waiting = (count: number) =>
      until(async () => {
        const { rows } = await pool.query(
          `select count(*)::int as count from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`,
        )
        return rows[0].count === count
      })
    const good = submit(key, plain)
    await waiting(1)
    const wrong = submit(key, { ...plain, input: { ...input, duration: '99' } }, { at: second })
    await waiting(2)
    await client.query('commit')
    assert.equal((await good).status, 200)
    isConflict(await wrong)
  } finally {
    client.release()
  }
  // one that is refused keeps nobody's key
  const refused = await submit(newKey(), { ...plain, input: { ...input, duration: '99' } }, { at: second })
  assert.equal(refused.body.error.code, 'INVALID_INPUT')
})
