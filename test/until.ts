import { setTimeout as sleep } from 'node:timers/promises'

/** What `look` finds, once it does; false and undefined are nothing yet. */
export async function until<T>(
  look: () => Promise<T | false | undefined> | T | false | undefined,
): Promise<T> {
  for (const deadline = Date.now() + 90_000; Date.now() < deadline; await sleep(50)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
  }
  throw new Error('it did not come')
}
