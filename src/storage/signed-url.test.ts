import assert from 'node:assert/strict'
import { test } from 'node:test'
import { signUrl, verifySignedUrl } from './signed-url.ts'

const secret = 'a secret of the server'
const expiresAt = new Date('2026-01-01T00:15:00Z')
const before = new Date('2026-01-01T00:14:59Z')

function requestOf(url: string) {
  const { pathname, searchParams } = new URL(url)
  return { path: pathname, query: Object.fromEntries(searchParams), secret }
}

test('a signed URL is valid until it expires, and says so afterwards', () => {
  const url = signUrl({ origin: 'https://gate.example', path: '/files/outputs/a b.mp4', expiresAt, secret })
  assert.equal(new URL(url).origin, 'https://gate.example')
  assert.equal(verifySignedUrl({ ...requestOf(url), now: before }), 'valid')
  assert.equal(verifySignedUrl({ ...requestOf(url), now: expiresAt }), 'expired')
})

test('another path, method, expiry, signature or secret is forged, even when long expired', () => {
  const url = signUrl({ origin: 'https://gate.example', path: '/files/x', method: 'PUT', expiresAt, secret })
  const signed = { ...requestOf(url), method: 'PUT', now: before }
  assert.equal(verifySignedUrl(signed), 'valid')
  const late = String(expiresAt.getTime() / 1000 + 3600)
  const forgeries = [
    { path: '/files/y' },
    { method: 'GET' },
    { query: { ...signed.query, expires: late } },
    { query: { ...signed.query, signature: `${signed.query.signature!.slice(0, -1)}!` } },
    { query: { ...signed.query, signature: '' } },
    { query: {} },
    { query: { expires: ['1'], signature: ['2'] } },
    { secret: 'another' },
  ]
  for (const forgery of forgeries) {
    assert.equal(verifySignedUrl({ ...signed, ...forgery }), 'forged', JSON.stringify(forgery))
    assert.equal(verifySignedUrl({ ...signed, ...forgery, now: new Date('2027-01-01') }), 'forged')
  }
})

test('a link for GET serves HEAD, and no other way round', () => {
  const signed = requestOf(signUrl({ origin: 'https://gate.example', path: '/files/x', expiresAt, secret }))
  assert.equal(verifySignedUrl({ ...signed, method: 'HEAD', now: before }), 'valid')
  assert.equal(verifySignedUrl({ ...signed, method: 'PUT', now: before }), 'forged')
})
