import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHealth } from '../src/health.ts'
import { balanceOf, cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'

const silent = { info() {}, warn() {}, error() {} } as never

test('readiness is ok, degraded with a reason, or unavailable, as the worst check is', async () => {
  const report = async (checks: Parameters<typeof createHealth>[0]) => {
    const health = createHealth(checks, [], silent)
    const found = await health.report()
    health.stop()
    return found
  }
  const well = async () => undefined
  const half = async () => 'no worker is alive'
  const ill = async () => {
    throw new Error('password hunter2 refused')
  }
  assert.deepEqual(await report({ a: well }), { status: 'ok', checks: { a: 'ok' }, reasons: [] })
  assert.deepEqual(await report({ a: well, b: half }), {
    status: 'degraded',
    checks: { a: 'ok', b: 'degraded' },
    reasons: ['no worker is alive'],
  })
  const failed = await report({ a: ill, b: half })
  assert.equal(failed.status, 'unavailable')
  assert.doesNotMatch(JSON.stringify(failed), /hunter2/)
})

test('a check that hangs is answered for within seconds, and is asked once however many wait', async () => {
  let asked = 0
  const hang = () => {
    asked++
    return new Promise<undefined>(() => {})
  }
  const health = createHealth({ a: hang, b: async () => undefined }, [], silent)
  const begun = performance.now()
  const reports = await Promise.all(Array.from({ length: 100 }, () => health.report()))
  assert.ok(performance.now() - begun < 5_000)
  assert.equal((await health.report()).status, 'unavailable')
  health.stop()
  assert.deepEqual(reports[0]!.checks, { a: 'failed', b: 'ok' })
  assert.equal(asked, 1)
})

test('a server without a live worker serves, and says that jobs wait', async () => {
  const database = await cloneDatabase()
  const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
  const { status, body } = await gateway.call('GET', '/health/ready')
  assert.equal(status, 200)
  assert.equal(body.status, 'degraded')
  assert.equal(body.checks.workers, 'degraded')
  assert.match(body.reasons.join(), /no worker is alive/)
})

test('below its reserve of free space a server takes no job and no upload, and charges nothing', async () => {
  const database = await cloneDatabase()
  const gateway = await startGateway({
    databaseUrl: database.url,
    settings: { minFreeDiskBytes: Number.MAX_SAFE_INTEGER },
  })
  const customer = await makeCustomer(database.pool, { microCents: 1_000_000n })
  const { key } = customer
  const health = await gateway.call('GET', '/health/ready')
  assert.deepEqual([health.status, health.body.checks.disk], [503, 'failed'])
  for (const [path, body] of [
    ['/v1/jobs/submit', seedBody(textToVideo)],
    ['/v1/uploads/presign', { filename: 'a.png', contentType: 'image/png' }],
  ] as const) {
    const answer = await gateway.call('POST', path, { key, body })
    assert.deepEqual([answer.status, answer.body.error.code], [503, 'SERVICE_UNAVAILABLE'], path)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
  }
  assert.equal(await balanceOf(database.pool, customer.accountId), 1_000_000n)
  assert.equal((await gateway.call('GET', '/v1/models', { key })).status, 200)
})
