const lookEveryMs = 1_000

/**
 * Calls `then` once the program that started this one has ended, whatever it died of. The wrapper of an older Node is
 * known by its channel, which closes with it; npm, whose script `start` this may be, by the parent's pid, which changes.
 */
export function whenParentEnds(then: () => void): void {
  if (process.channel !== undefined && process.channel !== null) {
    process.once('disconnect', then)
    process.channel.unref()
    return
  }
  const { npm_lifecycle_event: event, npm_package_name: name } = process.env
  if (event !== 'start' || name !== 'filmgate') return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    then()
  }, lookEveryMs).unref()
}
