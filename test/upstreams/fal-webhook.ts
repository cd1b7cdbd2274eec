import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** A pair of keys: the private one signs, the public one stands in the list of keys. */
export interface FalKey {
  privateKey: KeyObject
  jwk: object
}

/** A new pair, as fal has them. */
export function newFalKey(): FalKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { privateKey, jwk: publicKey.export({ format: 'jwk' }) }
}

/** The headers of a webhook; `timestamp` is in seconds. */
export function signFalWebhook(
  { privateKey }: FalKey,
  requestId: string,
  userId: string,
  timestamp: number,
  body: string,
): Record<string, string> {
  const digest = createHash('sha256').update(body).digest('hex')
  const message = [requestId, userId, timestamp, digest].join('\n')
  return {
    'x-fal-webhook-request-id': requestId,
    'x-fal-webhook-user-id': userId,
    'x-fal-webhook-timestamp': String(timestamp),
    'x-fal-webhook-signature': sign(null, Buffer.from(message), privateKey).toString('hex'),
  }
}
