import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startKling } from '../../../test/upstreams/kling.ts'
import { call } from './fixture.ts'
import { kling } from './kling.ts'

const apiKey = 'a-key'
const pair = { accessKey: 'access', secretKey: 'a-secret-of-many-characters' }
const server = await startKling({ apiKey, ...pair })
after(() => server.stop())
const check = (keys: object, baseUrl = server.url) => kling.open({ baseUrl, ...keys }).check!(call())

test('good credentials are told from bad ones by one free question', async () => {
  for (const keys of [{ apiKey }, pair]) {
    const before = server.transcript.length
    assert.equal((await check(keys)).isWell, true)
    assert.equal(server.transcript.length, before + 1)
    assert.equal(server.tasks.size, 0)
  }
  assert.match((await check(pair)).explanation, /KLING_API_KEY reaches both/)
  for (const keys of [{ apiKey: 'not-the-key' }, { ...pair, secretKey: 'not-the-key' }]) {
    const outcome = await check(keys)
    assert.equal(outcome.isWell, false)
    assert.doesNotMatch(outcome.explanation, /not-the-key/)
  }
})

test('of each trouble with the account it is said what to do', async () => {
  const remedies: [number, number, RegExp][] = [
    [401, 1000, /set KLING_API_KEY/],
    [401, 1001, /did not arrive/],
    [401, 1002, /not valid/],
    [401, 1003, /clock is fast/],
    [401, 1004, /clock is slow/],
    [429, 1100, /ask the vendor/],
    [429, 1101, /in arrears/],
    [429, 1102, /resource pack/],
    [403, 1103, /enabled/],
    [429, 1304, /list of allowed/],
    [500, 5000, /Try again/],
  ]
  for (const [status, code, remedy] of remedies) {
    server.interrupt(/^GET \/tasks/, { status, body: { code, message: 'said so' } })
    const { isWell, explanation } = await check({ apiKey })
    assert.equal(isWell, false)
    assert.match(explanation, remedy)
    assert.match(explanation, new RegExp(`${status} \\(code ${code}\\)`))
  }
})

test('an address where no Kling answers is told from a wrong key', async () => {
  server.interrupt(/^GET \/tasks/, { status: 404, body: { status: 404, error: 'Not Found', path: '/tasks' } })
  assert.match((await check({ apiKey })).explanation, /is KLING_BASE_URL right/)
  assert.match(
    (await check({ apiKey }, 'http://127.0.0.1:1')).explanation,
    /could not be reached.*KLING_BASE_URL/,
  )
})
