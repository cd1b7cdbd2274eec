import { realpath } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { ensureCluster } from './cluster.ts'
import { leave, type SupervisorLog, sayGoodbye } from './leave.ts'
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
  isLoss,
  provision,
  type Role,
} from './session.ts'
import { oneLine, PostgresUnavailable } from './unavailable.ts'

/** What an attempt to use a cluster needs to know. */
export interface Entry {
  place: Place
  role: Role
  log: SupervisorLog
  signal: AbortSignal
}

/** Crash recovery may take this long. */
const limitMs = 60_000

/** A use of the cluster: it lasts as long as its connection. */
export interface Session {
  client: Client
  /** True if this entry created the application's database. */
  firstStart: boolean
}

/**
 * Uses the cluster's postmaster if it runs, starts it if not, and keeps trying while it starts, recovers or is
 * being stopped by its last user.
 */
export async function enter(entry: Entry): Promise<Session> {
  const { place, log, signal } = entry
  const began = performance.now()
  const start = starter(entry)
  let nextLineMs = 5_000
  // Growing, since PostgreSQL logs each connection that it turns away while it recovers.
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.2, 250)) {
    const outcome = await tryOnce(entry, start)
    if (typeof outcome !== 'string') return outcome
    await delay(pauseMs, undefined, { signal })
    const waitedMs = performance.now() - began
    if (waitedMs > limitMs) throw tooLate(place, outcome)
    if (waitedMs > nextLineMs) {
      nextLineMs += 5_000
      log.info({ dataDir: place.dataDir, reason: outcome }, 'still waiting for the embedded PostgreSQL')
    }
  }
}

/** The session, or what to wait for. */
async function tryOnce(entry: Entry, start: () => Promise<string>): Promise<Session | string> {
  await ensureCluster(entry.place)
  await prepareSocketDir(entry.place)
  const client = await connectSupervisor(entry.place, entry.role)
  if (!('listening' in client)) return join(client, entry)
  return client.listening ? client.reason : start()
}

async function join(client: Client, entry: Entry): Promise<Session | string> {
  const { place, role, log } = entry
  try {
    if (!(await isUsable(client, entry))) return await sayGoodbye(client, 'replacing an older postmaster')
    if (!(await declarePresence(client))) return await sayGoodbye(client, 'its last user is stopping it')
    if (role === 'server') await becomeServer(client, place)
    return { client, firstStart: await provision(client, place) }
  } catch (error) {
    await leave(client, place, log)
    if (!isLoss(error)) throw error
    return oneLine(error)
  }
}

/**
 * Whether the connected postmaster is this folder's. One of another minor version, or that was started before the
 * folder was moved, is replaced where nobody uses it and used where somebody does.
 */
async function isUsable(client: Client, { place, log }: Entry): Promise<boolean> {
  const found = await identify(client)
  const samePath = (await realpath(found.cluster).catch(() => undefined)) === place.cluster
  if (samePath && found.versionNumber === place.binaries.versionNumber) return true
  const ours = found.pid === (await livePostmaster(place.cluster))
  if (ours && (await claimLast(client))) {
    log.warn({ dataDir: place.dataDir, ...found }, 'replacing a PostgreSQL of another version or path')
    if (await stopPostmaster(place.cluster)) return false
  }
  if (ours) return true
  throw new PostgresUnavailable(
    `the socket in ${place.socketDir} is served by the PostgreSQL of ${found.cluster}, not by that of ` +
      `${place.dataDir}: stop it, or set FILMGATE_DATA_DIR to another folder`,
  )
}

/** Starts the postmaster where none runs, remembering the one it started; answers what to wait for. */
function starter({ place, log }: Entry): () => Promise<string> {
  let started: StartedPostmaster | undefined
  return async () => {
    const ended = started?.ended()
    if (ended instanceof PostgresUnavailable) throw ended
    if (ended?.passing === false) throw didNotStart(place, ended.complaint)
    if (started !== undefined && ended === undefined) return 'it is starting'
    const pid = await livePostmaster(place.cluster)
    if (pid !== undefined) return `pid ${pid} is starting or stopping, nobody listens in ${place.socketDir}`
    await setAsideStaleLocks(place)
    if (ended === undefined) log.info({ dataDir: place.dataDir }, 'starting the embedded PostgreSQL')
    started = await startPostmaster(place)
    return ended?.complaint ?? 'it is starting'
  }
}

function didNotStart(place: Place, complaint: string): PostgresUnavailable {
  return new PostgresUnavailable(
    `the embedded PostgreSQL of ${place.dataDir} did not start (${complaint}): see ${place.logFile}, set ` +
      'FILMGATE_DATA_DIR to a folder on a local disk with space, or set DATABASE_URL',
  )
}

function tooLate(place: Place, reason: string): PostgresUnavailable {
  return new PostgresUnavailable(
    `the embedded PostgreSQL of ${place.dataDir} was not ready within ${limitMs / 1000} s (${reason}): start ` +
      `filmgate again, and if that does not help see ${place.logFile}, or set FILMGATE_DATA_DIR or DATABASE_URL`,
  )
}
