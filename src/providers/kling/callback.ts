import { timingSafeEqual } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { parseJson } from '../call.ts'
import type { CallbackVerdict, UpstreamCallback } from '../provider.ts'
import type { Model } from './models.ts'
import { calledBack } from './tasks.ts'

const toleranceMs = 5 * 60_000
const legacyBody = Type.Object({ task_id: Type.Unknown() })

interface Expected {
  jobId: string
  model: Model | undefined
  secret: string | undefined
  now: Date
}

/**
 * Kling signs by Standard Webhooks once the account has a secret; callbacks of the legacy standard perhaps not even then.
 * The library's own check can't be given a time, so only its signing is used.
 */
export function readCallback(callback: UpstreamCallback, expected: Expected): CallbackVerdict {
  const { secret, jobId, model, now } = expected
  if (secret === undefined) return { verdict: 'unsigned' }
  const body = parseJson(callback.body.toString())
  const signature = callback.headers['webhook-signature']
  if (signature === undefined) {
    const isLegacy = Value.Check(legacyBody, body)
    return isLegacy ? { verdict: 'unsigned' } : forged('it is not signed, though there is a webhook secret')
  }
  const fault = signatureFault(callback, secret, now)
  if (fault !== undefined) return forged(fault)
  const told = model && calledBack(body, model.legacyPath)
  // only with our id in it is it certain to be about this job
  if (told?.jobId === undefined) return { verdict: 'genuine' }
  if (told.jobId !== jobId) return forged('it is about another job')
  const made = model?.maxElements !== undefined && { elementsOf: jobId }
  return { verdict: 'genuine', operation: { ...told.operation, ...made } }
}

function signatureFault({ headers, body }: UpstreamCallback, secret: string, now: Date): string | undefined {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(
    (name) => headers[name],
  )
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') {
    return 'a header of its signature is missing or there twice'
  }
  const at = Number(timestamp) * 1000
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now.getTime() - at) > toleranceMs) {
    return 'its time is more than five minutes from ours'
  }
  const right = Buffer.from(new Webhook(secret).sign(id, new Date(at), body.toString()))
  // while a secret is being replaced there is one of each
  const isRight = signatures.split(' ').some((text) => {
    const given = Buffer.from(text)
    return given.length === right.length && timingSafeEqual(given, right)
  })
  return isRight ? undefined : 'its signature is wrong'
}

function forged(cause: string): CallbackVerdict {
  return { verdict: 'forged', cause }
}
