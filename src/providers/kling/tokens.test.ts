import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { createTokens } from './tokens.ts'

const startedAt = Date.parse('2026-01-01T00:00:00Z')

function partsOf(token: string) {
  const [header = '', claims = '', signature] = token.split('.')
  const read = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString())
  return { header: read(header), claims: read(claims), signed: `${header}.${claims}`, signature }
}

test("a token is signed as the vendor's sample has it, with the secret's own characters", async () => {
  const token = await createTokens('access', 'secret', { now: () => new Date(startedAt) })()
  const { header, claims, signed, signature } = partsOf(token)
  assert.deepEqual(header, { alg: 'HS256', typ: 'JWT' })
  assert.deepEqual(claims, { iss: 'access', exp: startedAt / 1000 + 1800, nbf: startedAt / 1000 - 5 })
  assert.equal(signature, createHmac('sha256', 'secret').update(signed).digest('base64url'))
})

test('a token is kept until it is near its end, and signed anew then, or once it is refused', async () => {
  let now = startedAt
  const tokens = createTokens('access', 'secret', { now: () => new Date(now) })
  const first = await tokens()
  now += 1499_000
  assert.equal(await tokens(), first)
  now += 1_000
  const second = await tokens()
  assert.notEqual(second, first)
  now += 1_000
  assert.notEqual(await tokens(true), second)
})
