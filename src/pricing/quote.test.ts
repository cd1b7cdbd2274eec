import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashJson, issueQuote, quotedVersion, quoteLifeMs, redeemQuote } from './quote.ts'

const secret = 'a secret of this test'
const madeAt = new Date('2026-11-20T12:00:00Z')
const subject = {
  accountId: 7n,
  modelSlug: 'kling/kling-omni-o1/image-to-video',
  modelVersion: 'v1.0',
  inputHash: hashJson({ prompt: 'x', duration: '5' }),
}
const expiresAt = new Date(madeAt.getTime() + quoteLifeMs)
const token = issueQuote({ ...subject, costMicroCents: 350_000n, expiresAt }, secret)
const redeem = (text: string, changes: Partial<typeof subject> = {}, now = madeAt) =>
  redeemQuote(text, { ...subject, ...changes }, now, secret)

test('a quote gives back its price until the last millisecond of its 15 minutes', () => {
  assert.equal(quoteLifeMs, 900_000)
  assert.deepEqual(redeem(token), { costMicroCents: 350_000n })
  assert.deepEqual(redeem(token, {}, new Date(expiresAt.getTime() - 1)), { costMicroCents: 350_000n })
  assert.equal(redeem(token, {}, expiresAt), 'expired')
  assert.equal(redeem(token, {}, new Date(expiresAt.getTime() + quoteLifeMs)), 'expired')
})

test('a price above what a JSON number holds survives', () => {
  const dear = issueQuote({ ...subject, costMicroCents: 999_999_999_999_999_999n, expiresAt }, secret)
  assert.deepEqual(redeem(dear), { costMicroCents: 999_999_999_999_999_999n })
})

test('a quote tells its version, and what is none tells nothing', () => {
  assert.equal(quotedVersion(token), 'v1.0')
  assert.equal(quotedVersion(`${token}A`), undefined)
})

test('another account, model, version or input is a mismatch', () => {
  assert.equal(redeem(token, { accountId: 8n }), 'mismatch')
  assert.equal(redeem(token, { modelSlug: 'kling/kling-omni-o1/text-to-video' }), 'mismatch')
  assert.equal(redeem(token, { modelVersion: 'v1.1' }), 'mismatch')
  assert.equal(redeem(token, { inputHash: hashJson({ prompt: 'x', duration: '10' }) }), 'mismatch')
})

test('a mismatch is told even when the quote has expired as well', () => {
  assert.equal(redeem(token, { accountId: 8n }, expiresAt), 'mismatch')
})

test('a later expiry or a lower price cannot be written into a quote', () => {
  const [, expiry, cost, signature] = /^quote_(\d+)_(\d+)_(.+)$/.exec(token)!
  assert.equal(redeem(`quote_${Number(expiry) + 1}_${cost}_${signature}`), 'mismatch')
  assert.equal(redeem(`quote_${expiry}_1_${signature}`), 'mismatch')
  assert.equal(redeem(`quote_${expiry}_0${cost}_${signature}`), 'mismatch')
  assert.equal(redeem(`quote_${expiry}${cost}__${signature}`), 'mismatch')
})

test('no character of the signature can be changed', () => {
  const start = token.lastIndexOf('_', token.length - 44) + 1
  // the last character carries two bits that base64url leaves unused
  for (let index = start; index < token.length - 1; index++) {
    const other = token[index] === 'A' ? 'B' : 'A'
    assert.equal(redeem(token.slice(0, index) + other + token.slice(index + 1)), 'mismatch', String(index))
  }
})

test('a quote of another server secret, or no quote at all, is a mismatch', () => {
  const foreign = issueQuote({ ...subject, costMicroCents: 1n, expiresAt }, 'another secret')
  assert.equal(redeem(foreign), 'mismatch')
  for (const text of [
    '',
    'quote_',
    'quote_1_2_3',
    token.slice(0, -1),
    `${token}A`,
    ` ${token}`,
    `${token}\n`,
  ]) {
    assert.equal(redeem(text), 'mismatch', JSON.stringify(text))
  }
})

test('parts cannot be moved from one field to the next', () => {
  const moved = { modelSlug: 'kling/kling-omni-o1/image-to-video\nv1.0', modelVersion: '' }
  assert.equal(redeem(token, moved), 'mismatch')
})

test('the order of fields makes no difference to the hash, at any depth', () => {
  assert.deepEqual(
    hashJson({ a: 1, b: [{ c: 'x', d: null }], e: { f: true, g: {} } }),
    hashJson({ e: { g: {}, f: true }, b: [{ d: null, c: 'x' }], a: 1 }),
  )
  assert.deepEqual(hashJson({ a: 1, b: undefined }), hashJson({ a: 1 }))
})

test('a value nested deeper than the call stack has a hash, which is that of no shallow one', () => {
  const nested = (levels: number, core = '') =>
    hashJson(JSON.parse(`${'['.repeat(levels)}${core}${']'.repeat(levels)}`)).toString('hex')
  assert.equal(nested(200_000), nested(200_000))
  assert.equal(new Set([nested(40), nested(41), nested(40, '"…"'), nested(200_000)]).size, 4)
})

test('what differs has another hash', () => {
  const values = [
    {},
    [],
    null,
    '',
    0,
    false,
    { a: 1 },
    { a: '1' },
    { a: true },
    { a: [1] },
    { a: [1, 2] },
    { a: [2, 1] },
    { a: [12] },
    { a: null },
    { 'a":1,"b': 1 },
    { a: 1, b: 1 },
    [{ a: 1 }],
    { a: { a: 1 } },
    JSON.parse('{"__proto__":1}'),
  ]
  const hashes = new Set(values.map((value) => hashJson(value).toString('hex')))
  assert.equal(hashes.size, values.length)
})
