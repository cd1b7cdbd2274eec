import { createHmac, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

/** A new signing secret, in the form that Standard Webhooks libraries take. */
export function createWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

/**
 * The signature headers of one attempt, in both schemes. They differ in the key: the X-PixelByte one is keyed with
 * the secret's text as it stands, Standard Webhooks with the bytes that the base64 after `whsec_` stands for.
 * They differ, too, while two secrets are good: X-PixelByte-Signature has room for the first only, `webhook-signature`
 * takes one signature of each.
 */
export function signWebhook(options: {
  id: string
  body: string
  secrets: readonly [string, ...string[]]
  now: Date
}) {
  const { id, body, secrets, now } = options
  const timestamp = String(Math.floor(now.getTime() / 1000))
  const signature = createHmac('sha256', secrets[0]).update(`${timestamp}.${body}`).digest('hex')
  return {
    'x-pixelbyte-timestamp': timestamp,
    'x-pixelbyte-signature': `sha256=${signature}`,
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, now, body)).join(' '),
  }
}
