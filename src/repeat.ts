/**
 * Starts `work` every so often until it is stopped, but not while it is under way: what is slow leaves no line of runs
 * to catch up with. `stop` waits for the run under way.
 */
export function repeat(
  everyMs: number,
  work: () => Promise<unknown>,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  const timer = setInterval(() => {
    running ??= Promise.resolve()
      .then(work)
      .then(() => {}, onError)
      .finally(() => {
        running = undefined
      })
  }, everyMs)
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
