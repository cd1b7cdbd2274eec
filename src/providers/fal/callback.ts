import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Clock } from '../../clock.ts'
import { callUpstream } from '../call.ts'
import type { UpstreamCallback } from '../provider.ts'

const keySet = Type.Object({
  keys: Type.Array(
    Type.Object({ kty: Type.String(), crv: Type.Optional(Type.String()), x: Type.Optional(Type.String()) }),
  ),
})
const keysAgeMs = 24 * 3_600_000
/** A signature that no key fits makes us look for new keys, but not at anyone's pace. */
const keysRestMs = 60_000
const keysLimitMs = 5_000
/** Each is tried at every signature. */
const mostKeys = 20
const toleranceSeconds = 300

/** Why a callback is not fal's own; undefined: it is. Throws where the keys can't be had, so that nothing can be said. */
export type VerifyCallback = (callback: UpstreamCallback) => Promise<string | undefined>

/** fal signs with Ed25519, and publishes the keys as a JWKS at `url`. */
export function createVerifier(url: string, clock: Clock): VerifyCallback {
  let keys: KeyObject[] | undefined
  let readAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  async function read(): Promise<void> {
    triedAt = clock.now().getTime()
    const answer = await callUpstream({ url, method: 'GET', signal: AbortSignal.timeout(keysLimitMs) })
    if (answer.status !== 200 || !Value.Check(keySet, answer.json)) {
      throw new Error(`the keys of fal's callbacks could not be read (${answer.status})`)
    }
    keys = answer.json.keys.slice(0, mostKeys).flatMap(({ kty, crv, x }) => {
      if (kty !== 'OKP' || crv !== 'Ed25519' || !/^[\w-]{43}$/.test(x ?? '')) return []
      return [createPublicKey({ key: { kty, crv, x: x! }, format: 'jwk' })]
    })
    readAt = triedAt
  }

  // whoever comes meanwhile waits for the same reading
  const refresh = () => {
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }

  return async ({ headers, body }) => {
    const [requestId, userId, timestamp, signature] = ['request-id', 'user-id', 'timestamp', 'signature'].map(
      (name) => headers[`x-fal-webhook-${name}`],
    )
    if (
      typeof requestId !== 'string' ||
      typeof userId !== 'string' ||
      typeof timestamp !== 'string' ||
      typeof signature !== 'string'
    ) {
      return 'it is not signed'
    }
    const now = clock.now().getTime()
    // NaN is within nothing
    if (!(Math.abs(now / 1000 - Number(timestamp)) <= toleranceSeconds)) return 'its time is not now'
    if (!/^[0-9a-f]{128}$/i.test(signature)) return 'its signature is not one'
    const digest = createHash('sha256').update(body).digest('hex')
    const message = Buffer.from([requestId, userId, timestamp, digest].join('\n'))
    const isSigned = () =>
      (keys ?? []).some((key) => verify(null, message, key, Buffer.from(signature, 'hex')))
    if (keys === undefined || now - readAt > keysAgeMs) await refresh()
    else if (!isSigned() && now - triedAt > keysRestMs) await refresh()
    return isSigned() ? undefined : 'no key fits its signature'
  }
}
