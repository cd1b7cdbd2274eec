import type { Client } from 'pg'
import type { Place } from './place.ts'
import { stopPostmaster } from './postmaster.ts'
import { claimLast, isLoss } from './session.ts'

/** The part of a pino logger that the supervisor uses. */
export interface SupervisorLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** Ends the use of a cluster; the last user stops the postmaster. */
export async function leave(client: Client, place: Place, log: SupervisorLog): Promise<void> {
  try {
    if ((await claimLast(client)) && !(await stopPostmaster(place.cluster))) {
      log.warn(
        { dataDir: place.dataDir },
        'the embedded PostgreSQL did not stop in time; the next start uses it',
      )
    }
  } catch (error) {
    if (!isLoss(error)) throw error
  } finally {
    await sayGoodbye(client, undefined)
  }
}

/** Closes a connection that may be gone already, and hands `outcome` on. */
export async function sayGoodbye<T>(client: Client, outcome: T): Promise<T> {
  await client.end().catch(() => {})
  return outcome
}
