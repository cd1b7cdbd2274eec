/**
 * Collects the calls that arrive while one run is under way and gives them to the next run together: at rest
 * a call goes at once, under load one run serves many. `run` answers one result per item, in order.
 */
export function coalesce<Item, Result>(
  maxItems: number,
  run: (items: Item[]) => Promise<Result[]>,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void }
  let waiting: Waiting[] = []
  let running = false

  async function drain() {
    running = true
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxItems)
      waiting = waiting.slice(maxItems)
      try {
        const results = await run(batch.map((entry) => entry.item))
        batch.forEach((entry, index) => {
          entry.resolve(results[index] as Result)
        })
      } catch (error) {
        for (const entry of batch) entry.reject(error)
      }
    }
    running = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      // after this turn of the event loop, so that requests read from the sockets together go together
      if (!running) {
        running = true
        setImmediate(drain)
      }
    })
}
