import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer } from './database.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { mountSmallDisk, startLogged } from './small-disk.ts'
import { until } from './until.ts'

const megabyte = 1000 ** 2

test('a disk that fills up is said, refuses what needs it uncharged, and opens by itself', async (t) => {
  const disk = await mountSmallDisk(t, 64)
  if (disk === undefined) return
  const database = await cloneDatabase()
  const customer = await makeCustomer(database.pool, { microCents: 10_000_000n })
  const server = await startLogged({
    DATABASE_URL: database.url,
    FILMGATE_DATA_DIR: disk.path,
    FILMGATE_MIN_FREE_DISK: '20MB',
  })
  const headers = { 'x-api-key': customer.key, 'content-type': 'application/json' }
  const post = (path: string, body: unknown) =>
    fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  const ready = async () => {
    const answer = await fetch(`${server.url}/health/ready`)
    return { code: answer.status, ...(await answer.json()) }
  }
  const said = (level: number, words: RegExp) =>
    until(() => server.log.find((line) => line.level === level && words.test(line.msg)))

  assert.equal((await ready()).status, 'ok')
  const picture = { filename: 'a.png', contentType: 'image/png' }
  const upload = (await (await post('/v1/uploads/presign', picture)).json()).data

  await disk.fill(30 * megabyte)
  const low = await until(async () => {
    const found = await ready()
    return found.status === 'degraded' && found
  })
  assert.deepEqual([low.code, low.checks.disk], [200, 'degraded'])
  await said(40, /the disk is filling up/)

  // the log needs nobody who asks
  await disk.fill(10 * megabyte)
  await said(50, /the disk is nearly full/)
  const full = await until(async () => {
    const found = await ready()
    return found.code === 503 && found
  })
  assert.equal(full.checks.disk, 'failed')
  const put = fetch(upload.uploadUrl, { method: 'PUT', headers: { 'content-type': 'image/png' }, body: 'x' })
  for (const refused of [
    await post('/v1/jobs/submit', seedBody(textToVideo)),
    await post('/v1/uploads/presign', picture),
    await put,
  ]) {
    assert.equal(refused.status, 503)
    assert.ok(Number(refused.headers.get('retry-after')) > 0)
    assert.equal((await refused.json()).error.code, 'SERVICE_UNAVAILABLE')
  }
  assert.equal(await balanceOf(database.pool, customer.accountId), 10_000_000n)
  assert.equal((await fetch(`${server.url}/v1/models`, { headers })).status, 200)

  await disk.empty()
  await said(30, /the disk has room again/)
  await until(async () => (await ready()).status === 'ok')
  assert.equal((await post('/v1/jobs/submit', seedBody(textToVideo))).status, 200)
  assert.deepEqual(await ledgerProblems(database.pool), [])
  assert.equal(await server.stop(), 0)
})
