const longestWaitMs = 60_000
/** Nothing waits for longer than this because an upstream says so. */
const longestAskedMs = 3_600_000

/**
 * How long to wait before the next call after so many failures in a row, in ms: exponential with full jitter, so that
 * those who failed together don't come back together (Brooker, "Exponential Backoff and Jitter", AWS, 2015). What the
 * upstream asked for (Retry-After) is the least.
 */
export function backoffMs(
  failures: number,
  options: { baseMs?: number; retryAfterMs?: number | undefined } = {},
): number {
  const { baseMs = 1_000, retryAfterMs = 0 } = options
  const capMs = Math.min(longestWaitMs, baseMs * 2 ** Math.min(20, failures))
  return Math.ceil(saneRetryAfterMs(retryAfterMs) + Math.random() * capMs)
}

/** What an upstream has asked for, if that is a time that can be waited for. */
export function saneRetryAfterMs(ms: number): number {
  return Number.isNaN(ms) ? 0 : Math.min(longestAskedMs, Math.max(0, ms))
}
