import { createHmac, timingSafeEqual } from 'node:crypto'
import { ApiError } from '../errors.ts'

/** A session holds for 12 hours, or until its key does not. */
export const sessionLifeMs = 12 * 3_600_000

/** True if what was sent in place of a key is meant as a session. */
export function isSession(text: string): boolean {
  return text.startsWith('ses_')
}

/**
 * A session as a token, `ses_<expiry, ms>_<key id>_<signature>`: it stands for its key, which is looked up again at
 * every use, so nothing is stored. A browser can hold it where it should hold no key.
 */
export function issueSession(session: { keyId: string; expiresAt: Date }, secret: Buffer): string {
  const terms = `${session.expiresAt.getTime()}_${session.keyId}`
  return `ses_${terms}_${sign(terms, secret).toString('base64url')}`
}

/** The key and end of a session; throws INVALID_SESSION unless it was issued here and is not over. */
export function readSession(token: string, now: Date, secret: Buffer): { keyId: string; expiresAt: Date } {
  const [, expiry = '', keyId = '', signature = ''] =
    /^ses_(\d{1,15})_(key_[0-9a-z]{1,60})_([\w-]{43})$/.exec(token) ?? []
  const given = Buffer.from(signature, 'base64url')
  const wanted = sign(`${expiry}_${keyId}`, secret)
  // the signature first: a forged token learns nothing of when it would end
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new ApiError('INVALID_SESSION', 'The session is not one that this server made.')
  }
  const expiresAt = new Date(Number(expiry))
  if (expiresAt <= now) {
    throw new ApiError('INVALID_SESSION', `The session ended at ${expiresAt.toISOString()}: make a new one.`)
  }
  return { keyId, expiresAt }
}

function sign(terms: string, secret: Buffer): Buffer {
  return createHmac('sha256', secret).update(terms).digest()
}
