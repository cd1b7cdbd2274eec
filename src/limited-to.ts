/**
 * Runs tasks, at most so many at once, the others in the order in which they came. The thread pool's own queue does
 * not keep to the order: of five tasks for one thread the second was the last to run.
 */
export function limitedTo(slots: number): <T>(task: () => Promise<T>) => Promise<T> {
  let free = slots
  const waiting: (() => void)[] = []
  return async (task) => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }
}
