const longestWaitMs = 60_000

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
  return Math.ceil(retryAfterMs + Math.random() * capMs)
}
