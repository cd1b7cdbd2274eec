import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, open, readFile, readlink, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ageByFileTime } from '../file-time.ts'
import { cannotRun, cleanEnvironment, userOf } from './cluster.ts'
import { complaintSince, trimLog } from './log-file.ts'
import { type Place, port } from './place.ts'
import type { PostgresUnavailable } from './unavailable.ts'

/** A postmaster that was started and may have ended since. */
export interface StartedPostmaster {
  /** Undefined while it runs; then what its log says, and whether another try can go better. */
  ended(): { complaint: string; passing: boolean } | PostgresUnavailable | undefined
}

/**
 * Two processes start one cluster at once; backends outlive their postmaster for a moment; somebody who came and
 * went stopped it again.
 */
const passingComplaint =
  /lock file ".*" (?:already exists|is empty)|pre-existing shared memory block|database system is shut down/

const fastStopMs = 30_000
const immediateStopMs = 5_000

/** A pid file this old with nothing in it was left by a crash, not by a start that is writing it. */
const emptyPidFileMs = 5_000

/** Starts a postmaster in a session of its own, so that a Ctrl-C meant for filmgate does not end it first. */
export async function startPostmaster(place: Place): Promise<StartedPostmaster> {
  await trimLog(place.logFile)
  const logFile = await open(place.logFile, 'a', 0o600)
  try {
    const logStart = (await logFile.stat()).size
    if (place.account.switched) await logFile.chown(place.account.uid, place.account.gid)
    const child = spawn(join(place.binaries.folder, 'bin', 'postgres'), argumentsFor(place), {
      cwd: place.home,
      env: cleanEnvironment,
      detached: true,
      stdio: ['ignore', logFile.fd, logFile.fd],
      ...userOf(place.account),
    })
    child.unref()
    let failure: PostgresUnavailable | undefined
    child.once('error', (error) => {
      failure = cannotRun(place, error)
    })
    return {
      ended() {
        if (failure !== undefined) return failure
        const { exitCode, signalCode } = child
        if (exitCode === null && signalCode === null) return undefined
        const complaint = complaintSince(place.logFile, logStart)
        const stopped = exitCode === 0 || signalCode !== null
        return { complaint, passing: stopped || passingComplaint.test(complaint) }
      },
    }
  } finally {
    await logFile.close()
  }
}

/** -D comes first: it is how `ps` tells our postmaster from others. */
function argumentsFor(place: Place): string[] {
  const required = {
    listen_addresses: '',
    unix_socket_directories: `"${place.socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    port,
    logging_collector: 'off',
    log_destination: 'stderr',
  }
  return [
    '-D',
    place.cluster,
    ...Object.entries(required).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
}

/** The pid of the postmaster that runs this cluster, if there is one: the pid file's word alone is not enough. */
export async function livePostmaster(cluster: string): Promise<number | undefined> {
  const named = await readPidFile(join(cluster, 'postmaster.pid'))
  return named?.pid !== undefined && (await isPostmasterOf(named.pid, cluster)) ? named.pid : undefined
}

/**
 * PostgreSQL refuses to start while the pid in its lock files is alive, whatever that process is. Where it is
 * not our postmaster, the files are moved out of its way. PostgreSQL's own check of shared memory, keyed by the
 * folder's inode, still refuses a second postmaster if one slipped in between.
 */
export async function setAsideStaleLocks(place: Place): Promise<void> {
  const files = [join(place.cluster, 'postmaster.pid'), join(place.socketDir, `.s.PGSQL.${port}.lock`)]
  for (const path of files) {
    const seen = await readPidFile(path)
    if (seen === undefined || (await isBeingWritten(path, seen.text))) continue
    if (seen.pid !== undefined && (await isPostmasterOf(seen.pid, place.cluster))) continue
    const aside = `${path}.stale-${randomBytes(4).toString('hex')}`
    try {
      await rename(path, aside)
      // Written anew since it was read: put it back, unless there is a newer one already.
      if ((await readFile(aside, 'utf8')) !== seen.text) await link(aside, path)
    } catch {
      // Somebody else moved it or wrote a new one: the next look decides.
    } finally {
      await rm(aside, { force: true })
    }
  }
}

async function readPidFile(path: string): Promise<{ pid: number | undefined; text: string } | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  // The first line is negative for a single-user backend.
  const pid = Math.abs(Number.parseInt(text, 10))
  return { pid: Number.isSafeInteger(pid) && pid > 1 ? pid : undefined, text }
}

async function isBeingWritten(path: string, text: string): Promise<boolean> {
  if (text !== '') return false
  const ageMs = await ageByFileTime(path, dirname(path)).catch(() => undefined)
  return ageMs !== undefined && ageMs < emptyPidFileMs
}

/** By its command line, or by its working directory where the data dir was moved under it. */
async function isPostmasterOf(pid: number, cluster: string): Promise<boolean> {
  if (existsSync('/proc/self/cmdline')) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
    if (basename(words[0] ?? '') !== 'postgres') return false
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
    return folder === cluster || words[words.indexOf('-D') + 1] === cluster
  }
  const line = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(
    () => undefined,
  )
  return line?.stdout.includes(`/postgres -D ${cluster} `) ?? false
}

/** Ends the cluster's postmaster: fast (a checkpoint, no waiting for clients), then immediate. True when it is gone. */
export async function stopPostmaster(cluster: string): Promise<boolean> {
  const pid = await livePostmaster(cluster)
  if (pid === undefined) return true
  return (
    (await signalAndWait(pid, cluster, 'SIGINT', fastStopMs)) ||
    (await signalAndWait(pid, cluster, 'SIGQUIT', immediateStopMs))
  )
}

async function signalAndWait(pid: number, cluster: string, signal: NodeJS.Signals, limitMs: number) {
  const deadline = performance.now() + limitMs
  try {
    process.kill(pid, signal)
  } catch {
    return !(await isPostmasterOf(pid, cluster))
  }
  while (await isPostmasterOf(pid, cluster)) {
    if (performance.now() > deadline) return false
    await delay(10)
  }
  return true
}
