import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { validateWebhook } from 'replicate'
import { Webhook } from 'standardwebhooks'
import { createOutbound } from '../src/outbound.ts'
import { createDeliver } from '../src/webhooks/deliver.ts'
import {
  findWebhookSecrets,
  finishRotation,
  replaceWebhookSecret,
  rotateWebhookSecret,
} from '../src/webhooks/secrets.ts'
import { atEnd } from './at-end.ts'
import { type Customer, cloneDatabase, makeCustomer } from './database.ts'
import { addEndedJobs, type Received, startReceiver } from './webhook-fixture.ts'

const { pool } = await cloneDatabase()
const outbound = createOutbound({ allowPrivate: true })
atEnd(() => outbound.close())
const deliver = createDeliver({ pool, outbound, clock: { now: () => new Date() } })
const hourMs = 3_600_000

/** As the published sample of a receiver does it: over the body parsed and written again, with the one secret it knows. */
function verifiesPixelByte({ headers, body }: Received, secret: string): boolean {
  const text = `${headers['x-pixelbyte-timestamp']}.${JSON.stringify(JSON.parse(body))}`
  return (
    headers['x-pixelbyte-signature'] === `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`
  )
}

async function verifiesStandard({ headers, body }: Received, secret: string): Promise<boolean> {
  const standard = headers as Record<string, string>
  const byReplicate = await validateWebhook({
    id: standard['webhook-id']!,
    timestamp: standard['webhook-timestamp']!,
    signature: standard['webhook-signature']!,
    body,
    secret,
  })
  let byStandard = true
  try {
    new Webhook(secret).verify(body, standard)
  } catch {
    byStandard = false
  }
  assert.equal(byStandard, byReplicate)
  return byStandard
}

/** Tells a receiver that answers 401 to what `accepts` doesn't, in as many attempts as it is given. */
async function tell(customer: Customer, attempts: number, accepts: (entry: Received) => boolean) {
  const receiver = await startReceiver({ '/': [(entry) => (accepts(entry) ? 200 : 401)] })
  const [made] = await addEndedJobs(pool, customer, receiver.url)
  for (let count = 0; count < attempts; count++) await deliver({ webhookId: made!.webhookId })
  const { rows } = await pool.query('select status from webhooks where id = $1', [made!.webhookId])
  return { status: rows[0].status as string, received: receiver.received }
}

test('while a rotation overlaps, Standard Webhooks verifies with the old and with the new secret', async () => {
  const customer = await makeCustomer(pool)
  const rotated = await rotateWebhookSecret(pool, customer.userId, new Date())
  const { received } = await tell(customer, 1, () => true)
  assert.ok(await verifiesStandard(received[0]!, customer.webhookSecret))
  assert.ok(await verifiesStandard(received[0]!, rotated!.secret))
  assert.ok(!(await verifiesStandard(received[0]!, (await makeCustomer(pool)).webhookSecret)))
})

test('while a rotation overlaps, X-PixelByte reaches who knows the old secret at once and who knows the new one at the second attempt', async () => {
  const customer = await makeCustomer(pool)
  const rotated = await rotateWebhookSecret(pool, customer.userId, new Date())
  const behind = await tell(customer, 2, (entry) => verifiesPixelByte(entry, customer.webhookSecret))
  assert.deepEqual([behind.status, behind.received.length], ['sent', 1])
  const ahead = await tell(customer, 2, (entry) => verifiesPixelByte(entry, rotated!.secret))
  assert.deepEqual([ahead.status, ahead.received.length], ['sent', 2])
})

test('after 24 hours the new secret signs alone', async () => {
  const customer = await makeCustomer(pool)
  const rotated = await rotateWebhookSecret(pool, customer.userId, new Date(Date.now() - 24 * hourMs))
  const { received } = await tell(customer, 2, () => false)
  for (const entry of received) {
    assert.ok(verifiesPixelByte(entry, rotated!.secret))
    assert.ok(await verifiesStandard(entry, rotated!.secret))
    assert.ok(!(await verifiesStandard(entry, customer.webhookSecret)))
  }
  assert.equal(received.length, 2)
})

test('a second rotation waits for the end of the first, so that no third secret is out', async () => {
  const { userId, webhookSecret } = await makeCustomer(pool)
  const start = new Date()
  const outcomes = await Promise.all(
    Array.from({ length: 5 }, () => rotateWebhookSecret(pool, userId, start)),
  )
  const [first] = outcomes.filter((outcome) => outcome !== undefined)
  assert.equal(outcomes.filter((outcome) => outcome !== undefined).length, 1)
  const until = new Date(start.getTime() + 24 * hourMs)
  assert.deepEqual(first!.previous, { secret: webhookSecret, until })
  assert.equal(await rotateWebhookSecret(pool, userId, new Date(until.getTime() - 1)), undefined)
  assert.deepEqual(await findWebhookSecrets(pool, userId, new Date(until.getTime() - 1)), first)
  assert.deepEqual((await rotateWebhookSecret(pool, userId, until))?.previous?.secret, first!.secret)
})

test('a rotation can be finished early, and a leaked secret replaced at once', async () => {
  const { userId } = await makeCustomer(pool)
  const now = new Date()
  assert.equal(await finishRotation(pool, userId, now), false)
  const rotated = await rotateWebhookSecret(pool, userId, now)
  assert.equal(await finishRotation(pool, userId, now), true)
  assert.deepEqual(await findWebhookSecrets(pool, userId, now), { secret: rotated!.secret, previous: null })
  await rotateWebhookSecret(pool, userId, now)
  const replaced = await replaceWebhookSecret(pool, userId)
  assert.deepEqual(await findWebhookSecrets(pool, userId, now), { secret: replaced.secret, previous: null })
})
