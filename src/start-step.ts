/** A step of a start did not finish in its time; the message is one line that says what to look at. */
export class StartTimeout extends Error {}

interface StepLog {
  warn(fields: { step: string; limitSeconds: number }, message: string): void
}

/** Runs one named step of a start. What it waits for may go on; its outcome is not looked at any more. */
export type Step = <T>(
  name: string,
  limit: { seconds: number; remedy: string },
  run: () => Promise<T>,
) => Promise<T>

const saidAfterMs = 5_000

/** Gives each step of a start a name and a time limit, and says in the log which one takes long. */
export function createStep(log: StepLog): Step {
  return async (name, { seconds, remedy }, run) => {
    const late = Promise.withResolvers<never>()
    const limit = setTimeout(
      () =>
        late.reject(new StartTimeout(`start step "${name}" did not finish within ${seconds} s: ${remedy}`)),
      seconds * 1000,
    )
    const said = setTimeout(
      () => log.warn({ step: name, limitSeconds: seconds }, 'a step of the start takes long'),
      saidAfterMs,
    )
    try {
      return await Promise.race([run(), late.promise])
    } finally {
      clearTimeout(limit)
      clearTimeout(said)
    }
  }
}
