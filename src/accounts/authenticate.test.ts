import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { createPolicySource } from '../policy/policy.ts'
import { createAuthenticate } from './authenticate.ts'
import { createKey, deactivateKey, type KeyScope, newKey } from './keys.ts'

const { pool } = await cloneDatabase()
const customer = await makeCustomer(pool, { mode: 'test' })
let now = new Date('2026-11-20T12:00:00Z')
const policies = createPolicySource(pool, { now: () => now })
const authenticate = createAuthenticate(pool, policies, { now: () => now })

const refused = (
  code: string,
  key: string | undefined,
  scope: KeyScope = 'submit_job',
  address = '127.0.0.1',
) => assert.rejects(authenticate(key, scope, address), { name: 'ApiError', code })
const keyWith = async (options: Partial<Parameters<typeof createKey>[1]>) =>
  (await createKey(pool, { userId: customer.userId, mode: 'test', ...options })).key

test('a good key tells whose request it is, and in which mode', async () => {
  const { policy, ...caller } = await authenticate(customer.key, 'submit_job', '127.0.0.1')
  assert.ok(policy.number > 0n)
  assert.deepEqual(caller, {
    keyId: customer.keyId,
    sessionId: null,
    scopes: ['submit_job', 'check_status', 'list_models'],
    userId: customer.userId,
    accountId: customer.accountId,
    mode: 'test',
    segments: [],
    allowedModels: [],
    requestsPerMinute: null,
  })
  const live = await authenticate(await keyWith({ mode: 'live' }), 'submit_job', '127.0.0.1')
  assert.equal(live.mode, 'live')
  assert.equal(live.userId, customer.userId)
  assert.notEqual(live.accountId, customer.accountId)
})

test('no key is UNAUTHORIZED', () => refused('UNAUTHORIZED', undefined))

test('a key that nobody made is INVALID_API_KEY', () => refused('INVALID_API_KEY', newKey('test')))

test('a mistyped key is INVALID_API_KEY without asking the database', async () => {
  const silent = { query: () => assert.fail('the database was asked') } as unknown as pg.Pool
  const { key } = customer
  for (const text of [
    '',
    'x',
    `${key}0`,
    key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'),
    "' or 1=1 --",
  ]) {
    const deaf = createAuthenticate(silent, policies, { now: () => now })
    await assert.rejects(deaf(text, 'submit_job', '127.0.0.1'), { code: 'INVALID_API_KEY' })
  }
})

test('a key stops at once when it is deactivated', async () => {
  const made = await createKey(pool, { userId: customer.userId, mode: 'test' })
  await authenticate(made.key, 'submit_job', '127.0.0.1')
  await deactivateKey(pool, made.keyId)
  await refused('API_KEY_INACTIVE', made.key)
})

test('a key ends at the moment of its expiry', async () => {
  const expiresAt = new Date('2026-11-20T13:00:00Z')
  const key = await keyWith({ expiresAt })
  await authenticate(key, 'submit_job', '127.0.0.1')
  now = new Date(expiresAt.getTime() - 1)
  await authenticate(key, 'submit_job', '127.0.0.1')
  now = expiresAt
  await refused('API_KEY_EXPIRED', key)
})

test('a key with allowed addresses works from those alone', async () => {
  const key = await keyWith({ allowedIps: ['10.0.0.0/8', '2001:db8::/32'] })
  await authenticate(key, 'submit_job', '10.1.2.3')
  await authenticate(key, 'submit_job', '::ffff:10.1.2.3')
  await authenticate(key, 'submit_job', '2001:db8::1')
  await refused('IP_NOT_WHITELISTED', key, 'submit_job', '11.0.0.1')
  await refused('IP_NOT_WHITELISTED', key, 'submit_job', '::1')
})

test('a key with scopes may do those alone, one without may do all', async () => {
  const key = await keyWith({ scopes: ['check_status'] })
  await authenticate(key, 'check_status', '127.0.0.1')
  await refused('OPERATION_NOT_ALLOWED', key, 'submit_job')
  await refused('OPERATION_NOT_ALLOWED', key, 'list_models')
  for (const scope of ['submit_job', 'check_status', 'list_models'] as const) {
    await authenticate(customer.key, scope, '127.0.0.1')
  }
})

test('keys of a banned or inactive user are refused, each with its code', async () => {
  const other = await makeCustomer(pool)
  const setStatus = (status: string) =>
    pool.query('update users set status = $2 where id = $1', [other.userId, status])
  await setStatus('banned')
  await refused('USER_BANNED', other.key)
  await setStatus('inactive')
  await refused('USER_INACTIVE', other.key)
  await setStatus('active')
  await authenticate(other.key, 'submit_job', '127.0.0.1')
})

test('requests that arrive together each get their own answer', async () => {
  const customers = await Promise.all(Array.from({ length: 6 }, () => makeCustomer(pool)))
  const asked = Array.from({ length: 120 }, (_, index) => customers[index % 7])
  const answers = await Promise.allSettled(
    asked.map((one) => authenticate(one?.key ?? newKey('test'), 'submit_job', '127.0.0.1')),
  )
  for (const [index, answer] of answers.entries()) {
    const one = asked[index]
    if (answer.status === 'fulfilled') assert.equal(answer.value.accountId, one?.accountId)
    else assert.deepEqual([one, answer.reason.code], [undefined, 'INVALID_API_KEY'])
  }
})
