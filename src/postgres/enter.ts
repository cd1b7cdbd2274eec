import { realpath } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { ensureCluster } from './cluster.ts'
import { type Place, prepareSocketDir } from './place.ts'
import {
  livePostmaster,
  type StartedPostmaster,
  setAsideStaleLocks,
  startPostmaster,
  stopPostmaster,
} from './postmaster.ts'
import {
  becomeServer,
  claimLast,
  connectSupervisor,
  declarePresence,
  identify,
  provision,
  type Role,
} from './session.ts'
import { codeOf, oneLine, PostgresUnavailable } from './unavailable.ts'

/** The part of a pino logger that the supervisor uses. */
export interface SupervisorLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** What an attempt to use a cluster needs to know. */
export interface Entry {
  place: Place
  role: Role
  log: SupervisorLog
  signal: AbortSignal
  /** Crash recovery may take this long. */
  limitMs?: number
}

/** A use of the cluster: it lasts as long as its connection. */
export interface Session {
  client: Client
  /** True if this entry created the application's database. */
  firstStart: boolean
}

/** Two processes that start one cluster at once, or backends that outlive their postmaster for a moment. */
const passingComplaint = /lock file|shared memory block/

/**
 * Uses the cluster's postmaster if it runs, starts it if not, and keeps trying while it starts, recovers or is
 * being stopped by its last user.
 */
export async function enter(entry: Entry): Promise<Session> {
  const { place, log, signal, limitMs = 60_000 } = entry
  const began = performance.now()
  const attempt = new Attempt(entry)
  for (let nextLineMs = 5_000; ; await delay(10, undefined, { signal })) {
    const outcome = await attempt.step()
    if (typeof outcome !== 'string') return outcome
    const waitedMs = performance.now() - began
    if (waitedMs > limitMs) throw tooLate(place, limitMs, outcome)
    if (waitedMs > nextLineMs) {
      nextLineMs += 5_000
      log.info({ dataDir: place.dataDir, reason: outcome }, 'still waiting for the embedded PostgreSQL')
    }
  }
}

function tooLate(place: Place, limitMs: number, reason: string): PostgresUnavailable {
  return new PostgresUnavailable(
    `the embedded PostgreSQL of ${place.dataDir} was not ready within ${limitMs / 1000} s (${reason}): start filmgate ` +
      `again, and if that does not help see ${place.logFile}, or set FILMGATE_DATA_DIR or DATABASE_URL`,
  )
}

/** One entry's tries; it remembers the postmaster that it started. */
class Attempt {
  #entry: Entry
  #started: StartedPostmaster | undefined

  constructor(entry: Entry) {
    this.#entry = entry
  }

  /** The session, or what to wait for. */
  async step(): Promise<Session | string> {
    const { place, role } = this.#entry
    await ensureCluster(place)
    await prepareSocketDir(place)
    const client = await connectSupervisor(place, role)
    if (!('listening' in client)) return this.#join(client)
    if (!client.listening) await this.#startIfGone()
    return client.reason
  }

  async #join(client: Client): Promise<Session | string> {
    const { place, role, log } = this.#entry
    try {
      if (!(await isUsable(client, this.#entry)))
        return await endWith(client, 'replacing an older postmaster')
      if (!(await declarePresence(client))) return await endWith(client, 'its last user is stopping it')
      if (role === 'server') await becomeServer(client, place)
      return { client, firstStart: await provision(client, place) }
    } catch (error) {
      await leave(client, place, log)
      if (error instanceof PostgresUnavailable || !isLoss(error)) throw error
      return oneLine(error)
    }
  }

  async #startIfGone(): Promise<void> {
    const { place, log } = this.#entry
    const ended = this.#started?.ended()
    if (ended instanceof PostgresUnavailable) throw ended
    if (ended !== undefined && !passingComplaint.test(ended.complaint))
      throw didNotStart(place, ended.complaint)
    if ((this.#started !== undefined && ended === undefined) || (await livePostmaster(place.cluster))) return
    await setAsideStaleLocks(place)
    log.info({ dataDir: place.dataDir, user: place.account.name }, 'starting the embedded PostgreSQL')
    this.#started = await startPostmaster(place)
  }
}

function didNotStart(place: Place, complaint: string): PostgresUnavailable {
  return new PostgresUnavailable(
    `the embedded PostgreSQL of ${place.dataDir} did not start (${complaint}): see ${place.logFile}, set ` +
      'FILMGATE_DATA_DIR to a folder on a local disk with space, or set DATABASE_URL',
  )
}

/** Whether the connected postmaster is this folder's and of our version. One that nobody uses is replaced. */
async function isUsable(client: Client, { place, log }: Entry): Promise<boolean> {
  const found = await identify(client)
  const sameFolder = (await realpath(found.cluster).catch(() => undefined)) === place.cluster
  if (sameFolder && found.versionNumber === place.binaries.versionNumber) return true
  if (await claimLast(client)) {
    log.warn({ dataDir: place.dataDir, ...found }, 'replacing a PostgreSQL of another version or folder')
    if (await stopPostmaster(place.cluster)) return false
  }
  // Minor versions read each other's files: while others use an older one, so do we.
  if (sameFolder) return true
  throw new PostgresUnavailable(
    `the socket in ${place.socketDir} is served by the PostgreSQL of ${found.cluster}, not by that of ` +
      `${place.dataDir}: stop it, or set FILMGATE_DATA_DIR to another folder`,
  )
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
    await endWith(client, '')
  }
}

async function endWith(client: Client, reason: string): Promise<string> {
  await client.end().catch(() => {})
  return reason
}

/** The connection is gone or going (57P0x), as opposed to a statement that failed; pg's own losses carry no SQLSTATE. */
function isLoss(error: unknown): boolean {
  const code = codeOf(error)
  return code === undefined || code.startsWith('57P') || code.startsWith('E')
}
