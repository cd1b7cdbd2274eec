import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { createWebhookSecret, signWebhook } from './sign.ts'

const body = JSON.stringify({
  jobId: 'job_1',
  status: 'completed',
  output: { metadata: { n: 1.5 }, s: 'Käse 🐈\n"' },
})

test('a Standard Webhooks library verifies the attempt', () => {
  const secret = createWebhookSecret()
  const headers = signWebhook({ id: 'evt_1', body, secrets: [secret], now: new Date() })
  assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body))
  assert.equal(headers['webhook-id'], 'evt_1')
  assert.throws(() => new Webhook(createWebhookSecret()).verify(body, headers))
  assert.throws(() => new Webhook(secret).verify(`${body} `, headers))
})

test('a receiver that parses and re-serialises the body verifies the X-PixelByte signature', () => {
  const secret = createWebhookSecret()
  const headers = signWebhook({
    id: 'evt_1',
    body,
    secrets: [secret],
    now: new Date('2026-01-01T00:00:00.900Z'),
  })
  const again = JSON.stringify(JSON.parse(body))
  const signed = `${headers['x-pixelbyte-timestamp']}.${again}`
  assert.equal(headers['x-pixelbyte-timestamp'], '1767225600')
  assert.equal(
    headers['x-pixelbyte-signature'],
    `sha256=${createHmac('sha256', secret).update(signed).digest('hex')}`,
  )
})

test('while two secrets are good, Standard Webhooks libraries verify with either and X-PixelByte with the first', () => {
  const [first, second] = [createWebhookSecret(), createWebhookSecret()]
  const headers = signWebhook({ id: 'evt_1', body, secrets: [first, second], now: new Date() })
  for (const secret of [first, second])
    assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body))
  const signed = `${headers['x-pixelbyte-timestamp']}.${body}`
  assert.equal(
    headers['x-pixelbyte-signature'],
    `sha256=${createHmac('sha256', first).update(signed).digest('hex')}`,
  )
})

test('secrets are 32 random bytes behind whsec_', () => {
  const secrets = [createWebhookSecret(), createWebhookSecret()]
  assert.notEqual(secrets[0], secrets[1])
  for (const secret of secrets) {
    assert.match(secret, /^whsec_/)
    assert.equal(Buffer.from(secret.slice(6), 'base64').length, 32)
  }
})
