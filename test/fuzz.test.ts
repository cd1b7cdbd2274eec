import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey, keyScopes } from '../src/accounts/keys.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, role: 'api' })
const { userId } = await makeCustomer(pool)
const { key } = await createKey(pool, { userId, mode: 'test', scopes: [...keyScopes] })
const { key: operator } = await createKey(pool, { userId, mode: 'live', scopes: [...keyScopes] })

interface Operation {
  requestBody?: { content: Record<string, { example?: unknown }> }
  parameters?: { name: string; in: string }[]
}

/** The same numbers each time, so that a failure can be met again. */
function createRandom(seed: number): (most: number) => number {
  let state = seed
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * most)
  }
}
const random = createRandom(10)
const pick = <T>(items: readonly T[]): T => items[random(items.length)]!

const oddTexts = [
  ...[
    '',
    ' ',
    '\0',
    '\ud800',
    '🎬'.repeat(50),
    '__proto__',
    'constructor',
    "' or 1=1 --",
    '../../etc/passwd',
    'null',
  ],
  ...[
    'data:,',
    'https://u:p@x.example/',
    'http://[::1]/',
    '-1',
    '1e400',
    '0x10',
    '9'.repeat(400),
    'a'.repeat(5_000),
  ],
]
const oddValues: unknown[] = [
  ...[
    null,
    true,
    0,
    -1,
    -0,
    0.1,
    1e15,
    2 ** 31,
    Number.MAX_SAFE_INTEGER,
    [],
    {},
    [[]],
    [null],
    { a: { b: null } },
  ],
  ...oddTexts,
]

/** The value with one thing in it changed, taken out or added. */
function spoil(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random(4) === 0) return pick(oddValues)
  if (Array.isArray(value)) return value.length === 0 ? [pick(oddValues)] : value.map(spoil)
  const entries = Object.entries(value)
  const at = random(entries.length + 1)
  if (at === entries.length) return Object.fromEntries([...entries, [pick(oddTexts), pick(oddValues)]])
  if (random(5) === 0) return Object.fromEntries(entries.toSpliced(at, 1))
  return Object.fromEntries(entries.map(([name, item], index) => [name, index === at ? spoil(item) : item]))
}

/** The text with one character too many, too few or another, and at times with bytes that are no text. */
function breakText(text: string): Uint8Array {
  const bytes = [...Buffer.from(text)]
  const insert = Array.from({ length: random(3) }, () => random(256))
  return new Uint8Array(bytes.toSpliced(random(bytes.length + 1), random(3), ...insert))
}

const { body: document } = await gateway.call('GET', '/openapi.json')
const operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
)

function makeRequest({ path, method, operation }: (typeof operations)[number]) {
  const address = path.replace(/\{\w+\}/g, () => encodeURIComponent(pick(oddTexts).toWellFormed()) || 'x')
  const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
  const query = named
    .filter(() => random(3) === 0)
    .map(({ name }) => `${name}=${encodeURIComponent(pick(oddTexts).toWellFormed())}`)
  const example = operation.requestBody?.content['application/json']?.example
  const body = spoil(random(3) === 0 ? spoil(example) : example)
  const text = JSON.stringify(body)
  const sent = random(4) === 0 ? breakText(text) : text
  const headers: Record<string, string> = {
    // live jobs have no upstream here
    'x-api-key': path.startsWith('/v1/admin/') ? operator : key,
    ...(random(8) === 0 && { 'content-type': pick(['text/plain', 'application/json; charset=latin1', 'a']) }),
    ...(random(8) === 0 && { 'content-encoding': pick(['gzip', 'identity', ',']) }),
    ...(random(4) === 0 && { 'idempotency-key': pick(['a', 'b', ' ', 'x'.repeat(300)]) }),
    ...(random(8) === 0 && {
      range: 'bytes=9-1',
      'if-none-match': '"x',
      'last-event-id': '-1',
      prefer: 'wait=',
    }),
  }
  const hasBody = method !== 'GET'
  return {
    method,
    path: `${address}${query.length > 0 ? `?${query.join('&')}` : ''}`,
    headers,
    ...(hasBody && { body: sent }),
  }
}

test('no random request to any operation of the OpenAPI document is answered with a 5xx', async () => {
  const rounds = 25
  const statuses = new Map<number, number>()
  for (let round = 0; round < rounds; round++) {
    const requests = operations.map(makeRequest)
    const answers = await Promise.all(
      requests.map(({ method, path, ...options }) => gateway.call(method, path, options)),
    )
    for (const [index, { status, body }] of answers.entries()) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      assert.ok(status < 500, `${JSON.stringify(requests[index])} ${status} ${JSON.stringify(body)}`)
      if (status >= 400 && requests[index]!.method !== 'HEAD') assert.equal(body.success, false)
    }
  }
  const count = (from: number) =>
    [...statuses].filter(([status]) => status >= from).reduce((sum, [, n]) => sum + n, 0)
  assert.ok(count(400) > 300, JSON.stringify([...statuses]))
})
