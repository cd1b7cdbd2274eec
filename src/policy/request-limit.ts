import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { ApiError } from '../errors.ts'

export interface RequestLimit {
  /** Counts a request of a key from an address, or of an address without a key; throws RATE_LIMIT_EXCEEDED if it is one too many. */
  take(address: string, keyId?: string): void
}

const windowMs = 60_000
/** So many are counted apart; beyond that the oldest is forgotten, so that no number of addresses fills the memory. */
const mostCounted = 100_000

/**
 * Limits the requests of one process, in its memory: a count for each minute, which begins with the first request after the
 * last one has ended.
 */
export function createRequestLimit(perMinute: number, nowMs = () => performance.now()): RequestLimit {
  const counts = new Map<string, number>()
  let endsAt = 0
  return {
    take(address, keyId) {
      if (nowMs() >= endsAt) {
        counts.clear()
        endsAt = nowMs() + windowMs
      }
      const name = keyId === undefined ? networkOf(address) : `${networkOf(address)} ${keyId}`
      const count = (counts.get(name) ?? 0) + 1
      if (count === 1 && counts.size >= mostCounted) counts.delete(counts.keys().next().value!)
      if (count <= perMinute) return void counts.set(name, count)
      const retryAfter = Math.max(1, Math.ceil((endsAt - nowMs()) / 1000))
      const whose = keyId === undefined ? 'An address without a good key' : 'A key'
      throw new ApiError(
        'RATE_LIMIT_EXCEEDED',
        `${whose} may make ${perMinute} requests a minute${keyId === undefined ? '' : ' from one address'}. Try again in ${retryAfter} seconds.`,
        { retryAfter, limit: perMinute, window: 'minute' },
      )
    },
  }
}

// A customer of an IPv6 network has a whole /64 of addresses.
function networkOf(address: string): string {
  return isIPv6(address) ? ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toString() : address
}
