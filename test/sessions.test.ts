import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey, deactivateKey, type KeyScope, newToken } from '../src/accounts/keys.ts'
import { removeOldSessions } from '../src/accounts/sessions.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, role: 'api' })
const customer = await makeCustomer(pool)
const other = await startGateway({ databaseUrl: url, role: 'api' })

const makeKey = (options: Partial<Parameters<typeof createKey>[1]> = {}) =>
  createKey(pool, { userId: customer.userId, mode: 'test', ...options })
const openSession = async (key: string, body?: object) => {
  const answer = await gateway.call('POST', '/v1/sessions', { key, ...(body && { body }) })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as { sessionId: string; token: string; expiresAt: string }
}
const revoke = (sessionId: string, key: string) =>
  gateway.call('DELETE', `/v1/sessions/${sessionId}`, { key })
const list = (token: string) => gateway.call('GET', '/v1/jobs', { key: token })
const refused = async (token: string, status: number, code: string) => {
  const answer = await list(token)
  assert.deepEqual([answer.status, answer.body.error?.code], [status, code])
  assert.ok(!JSON.stringify(answer.body).includes(token), 'the token is repeated')
}

test('a session does what its key may, for an hour, and shows nothing of it', async () => {
  const before = Date.now()
  const { token, expiresAt } = await openSession(customer.key)
  const lifeMs = Date.parse(expiresAt) - before
  assert.ok(lifeMs > 3_590_000 && lifeMs < 3_660_000, expiresAt)
  assert.match(token, /^ses_/)
  assert.ok(!token.includes(customer.key.slice(8, 30)))
  const submitted = await gateway.call('POST', '/v1/jobs/submit', { key: token, body: seedBody(textToVideo) })
  assert.equal(submitted.status, 200, JSON.stringify(submitted.body))
  const { body } = await gateway.call('GET', '/v1/jobs', { key: customer.key })
  assert.deepEqual(
    body.jobs.map((job: { jobId: string }) => job.jobId),
    [submitted.body.jobId],
  )
  assert.equal((await gateway.call('GET', '/v1/jobs', { headers: { 'x-api-key': token } })).status, 200)
})

test('every key makes sessions, whatever its scopes, and a session has no other scopes', async () => {
  for (const scope of ['submit_job', 'check_status', 'list_models', 'admin'] as KeyScope[]) {
    const { key } = await makeKey({ scopes: [scope] })
    const { token } = await openSession(key)
    if (scope === 'check_status') assert.equal((await list(token)).status, 200)
    else await refused(token, 403, 'OPERATION_NOT_ALLOWED')
  }
  assert.equal((await gateway.call('POST', '/v1/sessions')).body.error.code, 'UNAUTHORIZED')
})

test('a session ends with its key: deactivated, expired, banned, not from here, used too often', async () => {
  const { key, keyId } = await makeKey()
  const { token } = await openSession(key)
  const change = (set: string) => pool.query(`update api_keys set ${set} where id = $1`, [keyId])
  assert.equal((await list(token)).status, 200)

  await change("allowed_ips = '{203.0.113.0/24}'")
  await refused(token, 403, 'IP_NOT_WHITELISTED')
  await change("allowed_ips = '{}', scopes = '{list_models}'")
  await refused(token, 403, 'OPERATION_NOT_ALLOWED')
  await change("scopes = '{}', expires_at = now()")
  await refused(token, 401, 'API_KEY_EXPIRED')
  await change('expires_at = null')
  await pool.query("update users set status = 'banned' where id = $1", [customer.userId])
  await refused(token, 403, 'USER_BANNED')
  await pool.query("update users set status = 'active' where id = $1", [customer.userId])

  // what a session submits counts as its key's
  await change('requests_per_minute = 1')
  const submit = (asker: string) =>
    gateway.call('POST', '/v1/jobs/submit', { key: asker, body: seedBody(textToVideo) })
  assert.equal((await submit(key)).status, 200)
  assert.equal((await submit(token)).body.error?.code, 'RATE_LIMIT_EXCEEDED')

  await change('requests_per_minute = null')
  await deactivateKey(pool, keyId)
  await refused(token, 401, 'API_KEY_INACTIVE')
  await pool.query('delete from api_keys where id = $1', [keyId])
  await refused(token, 401, 'INVALID_SESSION')
})

test('a session does not outlive its key, and one made with a session does not outlive that', async () => {
  const expiresAt = new Date(Date.now() + 1_800_000)
  const { key, keyId } = await makeKey({ expiresAt })
  const first = await openSession(key)
  assert.equal(first.expiresAt, expiresAt.toISOString())
  await pool.query('update api_keys set expires_at = null where id = $1', [keyId])
  const second = await openSession(first.token)
  assert.equal(second.expiresAt, first.expiresAt)
})

test('a session that was forged, changed or is over is INVALID_SESSION', async () => {
  const { token, sessionId } = await openSession(customer.key)
  const last = token.endsWith('0') ? '1' : '0'
  for (const wrong of [
    'ses_',
    'ses_nonsense',
    token.slice(0, -1),
    `${token}A`,
    token.slice(0, -1) + last,
    newToken('ses'),
  ]) {
    await refused(wrong, 401, 'INVALID_SESSION')
  }
  assert.equal((await list(token)).status, 200)
  await pool.query('update sessions set expires_at = filmgate_now() where id = $1', [sessionId])
  await refused(token, 401, 'INVALID_SESSION')
  await removeOldSessions(pool, new Date(Date.now() + 1_000))
  await refused(token, 401, 'INVALID_SESSION')
})

test('the life of a session is chosen, from a minute to 12 hours', async () => {
  for (const expiresInSeconds of [60, 43_200]) {
    const before = Date.now()
    const { expiresAt } = await openSession(customer.key, { expiresInSeconds })
    const lifeMs = Date.parse(expiresAt) - before
    assert.ok(Math.abs(lifeMs - expiresInSeconds * 1000) < 10_000, expiresAt)
  }
  await openSession(customer.key, { scopes: null, expiresInSeconds: null })
  for (const expiresInSeconds of [59, 43_201, 60.5, '60', -1, 0, true]) {
    const { status, body } = await gateway.call('POST', '/v1/sessions', {
      key: customer.key,
      body: { expiresInSeconds },
    })
    assert.deepEqual([status, body.error?.code], [400, 'VALIDATION_ERROR'], String(expiresInSeconds))
  }
})

test('scopes of a session are chosen within those of its key, and are never admin', async () => {
  const { key } = await makeKey({ scopes: ['check_status', 'submit_job', 'admin'] })
  const { token } = await openSession(key, { scopes: ['check_status'] })
  const submit = (token: string) =>
    gateway.call('POST', '/v1/jobs/submit', { key: token, body: seedBody(textToVideo) })
  assert.equal((await list(token)).status, 200)
  assert.equal((await submit(token)).body.error.code, 'OPERATION_NOT_ALLOWED')
  for (const [asker, scopes, status, code] of [
    [key, ['list_models'], 403, 'OPERATION_NOT_ALLOWED'],
    [token, ['submit_job'], 403, 'OPERATION_NOT_ALLOWED'],
    [key, ['admin'], 400, 'VALIDATION_ERROR'],
    [key, [], 400, 'VALIDATION_ERROR'],
    [key, ['check_status', 'check_status'], 400, 'VALIDATION_ERROR'],
    [key, 'check_status', 400, 'VALIDATION_ERROR'],
  ] as const) {
    const answer = await gateway.call('POST', '/v1/sessions', { key: asker, body: { scopes } })
    assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(scopes))
  }
  // all of the key, but what is the operator's; and one made with a session has no more than that
  const whole = await openSession(key)
  assert.equal((await submit(whole.token)).status, 200)
  const admin = await gateway.call('GET', '/v1/admin/price-overrides', { key: whole.token })
  assert.deepEqual([admin.status, admin.body.error.code], [403, 'FORBIDDEN'])
  const child = await openSession(token)
  assert.equal((await submit(child.token)).body.error.code, 'OPERATION_NOT_ALLOWED')
})

test('a revoked session is refused at once by every process, with those that were made with it', async () => {
  const { key } = await makeKey()
  const [parent, apart] = [await openSession(key), await openSession(key)]
  const child = await openSession(parent.token)
  const grandchild = await openSession(child.token)
  const elsewhere = (token: string) => other.call('GET', '/v1/jobs', { key: token })
  assert.equal((await elsewhere(grandchild.token)).status, 200)
  assert.deepEqual((await revoke(parent.sessionId, key)).body, { sessionId: parent.sessionId, revoked: true })
  for (const { token } of [parent, child, grandchild]) {
    assert.equal((await elsewhere(token)).body.error.code, 'INVALID_SESSION')
    await refused(token, 401, 'INVALID_SESSION')
  }
  assert.equal((await elsewhere(apart.token)).status, 200)
  assert.equal((await revoke(parent.sessionId, key)).status, 404)
})

test('a session is revoked by its key, or by itself, and by nobody else', async () => {
  const { key } = await makeKey()
  const [first, second] = [await openSession(key), await openSession(key)]
  const stranger = await makeCustomer(pool)
  const ofStranger = await openSession(stranger.key)
  for (const [sessionId, asker] of [
    [first.sessionId, customer.key],
    [first.sessionId, stranger.key],
    [first.sessionId, ofStranger.token],
    [first.sessionId, second.token],
    ['session_1', key],
  ] as const) {
    const { status, body } = await revoke(sessionId, asker)
    assert.deepEqual([status, body.error?.code], [404, 'NOT_FOUND'])
  }
  assert.equal((await list(first.token)).status, 200)
  assert.equal((await revoke(first.sessionId, first.token)).status, 200)
  await refused(first.token, 401, 'INVALID_SESSION')
  assert.equal((await list(second.token)).status, 200)
})

test('a key has 10,000 sessions at most at once', async () => {
  const { key, keyId } = await makeKey()
  await pool.query(
    `insert into sessions (id, key_id, hash, expires_at)
     select $1 || n, $1, sha256(($1 || n)::bytea), filmgate_now() + interval '30 s' from generate_series(1, 10000) as n`,
    [keyId],
  )
  const { status, headers, body } = await gateway.call('POST', '/v1/sessions', { key })
  assert.deepEqual([status, body.error?.code], [429, 'RATE_LIMIT_EXCEEDED'])
  assert.ok(Number(headers.get('retry-after')) <= 30)
  assert.equal((await revoke(`${keyId}1`, key)).status, 200)
  await openSession(key)
})
