import type { Logger } from 'pino'
import type { Clock } from './clock.ts'

/**
 * What was read last, at once; where that is older than `maxAgeMs` it is read anew meanwhile, once at a time, and seldom
 * where it takes long. Undefined until the first time.
 */
export function refreshed<T>(
  { clock, log }: { clock: Clock; log: Logger },
  maxAgeMs: number,
  read: () => Promise<T>,
): () => T | undefined {
  let value: T | undefined
  let readAt = Number.NEGATIVE_INFINITY
  let isReading = false
  let restsUntil = Number.NEGATIVE_INFINITY

  async function refresh(): Promise<void> {
    isReading = true
    const begunAt = performance.now()
    try {
      value = await read()
    } catch (error) {
      log.warn({ err: error }, 'what is learnt of jobs could not be read')
    }
    isReading = false
    // the line of 1,000,000 jobs takes half a second to read: about a twentieth of the time is the most
    const tookMs = performance.now() - begunAt
    restsUntil = performance.now() + Math.max(0, 20 * tookMs - maxAgeMs)
  }

  return () => {
    const now = clock.now().getTime()
    // whichever way: the clock may have been set back
    const mayRead = !isReading && performance.now() >= restsUntil
    if (mayRead && Math.abs(now - readAt) >= maxAgeMs) {
      readAt = now
      void refresh()
    }
    return value
  }
}
