import { SignJWT } from 'jose'
import type { Clock } from '../../clock.ts'

const lifeSeconds = 1800
const earlySeconds = 5
/** A token is signed anew while it would still be good for the longest call. */
const renewBeforeSeconds = 300

/** Gives the token to send; `isRefused`: the last one was not taken. */
export type TokenSource = (isRefused?: boolean) => Promise<string>

/** Tokens of a pair of keys, as the vendor's sample makes them: HS256, with the secret as its text stands. */
export function createTokens(accessKey: string, secretKey: string, clock: Clock): TokenSource {
  const key = new TextEncoder().encode(secretKey)
  let kept: { token: string; renewAt: number } | undefined
  return async (isRefused = false) => {
    const seconds = Math.floor(clock.now().getTime() / 1000)
    if (kept === undefined || isRefused || seconds >= kept.renewAt) {
      const token = await new SignJWT()
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(accessKey)
        .setExpirationTime(seconds + lifeSeconds)
        .setNotBefore(seconds - earlySeconds)
        .sign(key)
      kept = { token, renewAt: seconds + lifeSeconds - renewBeforeSeconds }
    }
    return kept.token
  }
}
