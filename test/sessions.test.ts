import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey, deactivateKey, type KeyScope } from '../src/accounts/keys.ts'
import { issueSession, readSession, sessionLifeMs } from '../src/accounts/sessions.ts'
import { newId } from '../src/ids.ts'
import { deriveSecret, loadSigningSecret } from '../src/signing-secret.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, role: 'api' })
const customer = await makeCustomer(pool)
const secret = deriveSecret(await loadSigningSecret(pool, gateway.dataDir), 'sessions')

const makeKey = (options: Partial<Parameters<typeof createKey>[1]> = {}) =>
  createKey(pool, { userId: customer.userId, mode: 'test', ...options })
const openSession = async (key: string) => {
  const answer = await gateway.call('POST', '/v1/sessions', { key })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as { token: string; expiresAt: string }
}
const list = (token: string) => gateway.call('GET', '/v1/jobs', { key: token })
const refused = async (token: string, status: number, code: string) => {
  const answer = await list(token)
  assert.deepEqual([answer.status, answer.body.error?.code], [status, code])
  assert.ok(!JSON.stringify(answer.body).includes(token), 'the token is repeated')
}

test('a session does what its key may, for 12 hours, and shows nothing of it', async () => {
  const before = Date.now()
  const { token, expiresAt } = await openSession(customer.key)
  const lifeMs = Date.parse(expiresAt) - before
  assert.ok(lifeMs >= sessionLifeMs && lifeMs < sessionLifeMs + 60_000, expiresAt)
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

  await change('requests_per_minute = 2')
  assert.equal((await list(key)).status, 200)
  assert.equal((await list(token)).status, 200)
  await refused(token, 429, 'RATE_LIMIT_EXCEEDED')

  await change('requests_per_minute = null')
  await deactivateKey(pool, keyId)
  await refused(token, 401, 'API_KEY_INACTIVE')
  await pool.query('delete from api_keys where id = $1', [keyId])
  await refused(token, 401, 'INVALID_SESSION')
})

test('a session does not outlive its key, and one made with a session does not outlive that', async () => {
  const expiresAt = new Date(Date.now() + 3_600_000)
  const { key, keyId } = await makeKey({ expiresAt })
  const first = await openSession(key)
  assert.equal(first.expiresAt, expiresAt.toISOString())
  await pool.query('update api_keys set expires_at = null where id = $1', [keyId])
  const second = await openSession(first.token)
  assert.equal(second.expiresAt, first.expiresAt)
})

test('a session that was forged, changed, signed for something else or is over is INVALID_SESSION', async () => {
  const { keyId } = customer
  const other = await makeKey()
  const expiresAt = new Date(Date.now() + 60_000)
  const good = issueSession({ keyId, expiresAt }, secret)
  assert.equal((await list(good)).status, 200)
  const [, expiry, , , signature] = good.split('_')
  const raw = Buffer.from(await loadSigningSecret(pool, gateway.dataDir))
  for (const token of [
    'ses_',
    'ses_nonsense',
    good.slice(0, -1),
    `${good}A`,
    good.replace(keyId, other.keyId),
    good.replace(expiry!, String(Number(expiry) + 1)),
    good.replace(signature!, 'A'.repeat(43)),
    issueSession({ keyId, expiresAt }, raw),
    issueSession({ keyId, expiresAt }, deriveSecret(raw.toString(), 'callbacks')),
    issueSession({ keyId, expiresAt: new Date(Date.now() - 1) }, secret),
    issueSession({ keyId: newId('key', new Date()), expiresAt }, secret),
  ]) {
    await refused(token, 401, 'INVALID_SESSION')
  }
})

test('a session is over at its very end', () => {
  const expiresAt = new Date('2026-11-20T12:00:00Z')
  const token = issueSession({ keyId: 'key_1', expiresAt }, secret)
  assert.deepEqual(readSession(token, new Date(expiresAt.getTime() - 1), secret), {
    keyId: 'key_1',
    expiresAt,
  })
  assert.throws(() => readSession(token, expiresAt, secret), { code: 'INVALID_SESSION' })
})
