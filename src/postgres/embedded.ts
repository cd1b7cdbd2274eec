import type { Binaries } from './binaries.ts'
import { readPassword } from './cluster.ts'
import { type Entry, enter, type Session } from './enter.ts'
import { leave, type SupervisorLog } from './leave.ts'
import { trimLog } from './log-file.ts'
import { findPlace, port } from './place.ts'
import { applicationName, type Role } from './session.ts'
import { removeAbandoned } from './side-folder.ts'
import { oneLine } from './unavailable.ts'

/** How to open the embedded database. */
export interface EmbeddedPostgresOptions {
  dataDir: string
  /** A second server on one data dir fails with DataDirBusy; commands run beside a server and each other. */
  role: Role
  log: SupervisorLog
  /**
   * Called if the database died and could not be had again, or another server took the data dir meanwhile: the
   * process must end.
   */
  lost?: (error: Error) => void
  /** Other binaries than those that npm installed. */
  binaries?: Binaries
}

/** An open embedded database. */
export interface EmbeddedPostgres {
  /** Usable as pg's PoolConfig. */
  connection: { host: string; port: number; user: string; password: string; database: string; ssl: false }
  /** True if this call created the database. */
  firstStart: boolean
  /** Ends this use; the last user stops PostgreSQL. Close pools first. */
  close(): Promise<void>
}

const logCheckIntervalMs = 10 * 60_000

/**
 * Opens the PostgreSQL that lies in the data dir, starting it where it does not run. While it is open, a
 * postmaster that dies is started again. Expected trouble is thrown as PostgresUnavailable, one line each.
 */
export async function openEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const place = await findPlace(options.dataDir, options.binaries)
  await removeAbandoned(place.home)
  const closing = new AbortController()
  const entry: Entry = { place, role: options.role, log: options.log, signal: closing.signal }
  const first = await enter(entry)
  const keeper = keep(entry, first, options.lost)
  const logCheck = setInterval(() => trimLog(place.logFile), logCheckIntervalMs).unref()
  let closed: Promise<void> | undefined
  return {
    connection: {
      host: place.socketDir,
      port,
      user: applicationName,
      password: await readPassword(place),
      database: applicationName,
      ssl: false,
    },
    firstStart: first.firstStart,
    close() {
      clearInterval(logCheck)
      closing.abort()
      closed ??= keeper.release()
      return closed
    },
  }
}

/** Holds the session, and gets a new one where its connection is lost. */
function keep(entry: Entry, first: Session, lost: ((error: Error) => void) | undefined) {
  let session: Promise<Session | undefined> = Promise.resolve(first)
  const watch = ({ client }: Session) => {
    client.once('end', () => {
      if (!entry.signal.aborted) session = regain()
    })
  }
  const regain = async () => {
    entry.log.warn({ dataDir: entry.place.dataDir }, 'lost the embedded PostgreSQL; bringing it back')
    try {
      const next = await enter(entry)
      watch(next)
      entry.log.info({ dataDir: entry.place.dataDir }, 'the embedded PostgreSQL is back')
      return next
    } catch (error) {
      if (entry.signal.aborted) return undefined
      entry.log.warn(
        { dataDir: entry.place.dataDir, reason: oneLine(error) },
        'the embedded PostgreSQL is gone',
      )
      lost?.(error instanceof Error ? error : new Error(oneLine(error)))
      return undefined
    }
  }
  watch(first)
  return {
    async release() {
      const held = await session
      if (held !== undefined) await leave(held.client, entry.place, entry.log)
    },
  }
}
