/**
 * Makes a call that must end within a time: its signal tells it so, and if it does not hear it is given up all the same.
 * Rejects with the signal's reason.
 */
export async function withinTime<T>(limitMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(limitMs)
  const late = Promise.withResolvers<never>()
  const giveUp = () => late.reject(signal.reason)
  signal.addEventListener('abort', giveUp)
  try {
    return await Promise.race([call(signal), late.promise])
  } finally {
    // a rejection that nobody waits for any more would end the process
    signal.removeEventListener('abort', giveUp)
  }
}
