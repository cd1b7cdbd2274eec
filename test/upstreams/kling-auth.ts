import { errors, jwtVerify } from 'jose'
import { klingError } from './kling-answers.ts'
import type { Answer } from './protocol-server.ts'

export interface KlingKeys {
  apiKey: string
  accessKey: string
  secretKey: string
}

/** What is wrong with the Authorization header; undefined if it is good for this generation of the API. */
export async function authFault(
  header: string | undefined,
  generation: 'new' | 'legacy',
  keys: KlingKeys,
  now: Date,
): Promise<Answer | undefined> {
  if (header === undefined || header.trim() === '') return klingError(1001)
  const token = /^Bearer (\S+)$/.exec(header)?.[1]
  if (token === undefined) return klingError(1002)
  if (token === keys.apiKey) return undefined
  if (token.split('.').length !== 3) return klingError(1000)
  if (generation === 'new') return klingError(1002, { message: 'AK/SK is not supported by this API' })
  return await signedTokenFault(token, keys, now)
}

async function signedTokenFault(token: string, keys: KlingKeys, now: Date): Promise<Answer | undefined> {
  try {
    await jwtVerify(token, new TextEncoder().encode(keys.secretKey), {
      algorithms: ['HS256'],
      issuer: keys.accessKey,
      typ: 'JWT',
      requiredClaims: ['iss', 'exp', 'nbf'],
      currentDate: now,
    })
    return undefined
  } catch (error) {
    if (error instanceof errors.JWTExpired) return klingError(1004)
    if (error instanceof errors.JWTClaimValidationFailed) {
      return klingError(error.claim === 'nbf' && error.reason === 'check_failed' ? 1003 : 1002)
    }
    return klingError(error instanceof errors.JWSSignatureVerificationFailed ? 1000 : 1002)
  }
}
