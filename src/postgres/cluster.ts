import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Account } from './account.ts'
import { firstGraveLine } from './log-file.ts'
import type { Place } from './place.ts'
import { syncFolder, uniqueSibling } from './side-folder.ts'
import { fileTrouble, oneLine, PostgresUnavailable } from './unavailable.ts'

/** The supervisor's own role. The application's role, `filmgate`, is not a superuser. */
export const superuser = 'postgres'

const initdbTimeoutMs = 120_000

/** What PostgreSQL's programs see: nothing of the operator's locale, PG* variables or preloaded libraries. */
export const cleanEnvironment = { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' }

/** Written to postgresql.conf at init, where an operator may tune them. */
const settings = {
  shared_buffers: '128MB',
  max_connections: '200',
  max_wal_size: '1GB',
  commit_delay: '0',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Rejected statements are the application's to report; their texts hold customers' data.
  log_min_error_statement: 'panic',
}

/** Makes sure that a cluster of our major version is there. True if this call created it. */
export async function ensureCluster(place: Place): Promise<boolean> {
  if (existsSync(place.cluster)) {
    await checkVersion(place)
    return false
  }
  try {
    return await createCluster(place)
  } catch (error) {
    throw fileTrouble(`cannot create the database in ${place.home}`, error)
  }
}

async function checkVersion(place: Place): Promise<void> {
  const found = await readFile(join(place.cluster, 'PG_VERSION'), 'utf8').catch((error) => {
    throw fileTrouble(`cannot read the database in ${place.home}`, error)
  })
  if (found.trim() === place.binaries.major) return
  throw new PostgresUnavailable(
    `${place.cluster} was written by PostgreSQL ${found.trim()} and this filmgate brings ${place.binaries.major}: ` +
      'dump it with the filmgate that wrote it and load it into a new FILMGATE_DATA_DIR, or set DATABASE_URL',
  )
}

/** Init happens in a side folder, so that a kill in its middle leaves nothing under the final name. */
async function createCluster(place: Place): Promise<boolean> {
  const side = uniqueSibling(place.home)
  try {
    await mkdir(side, { mode: 0o700 })
    await give(side, place.account)
    await writePassword(join(side, 'password'), place.account)
    await runInitdb(place, side)
    await syncFolder(side)
    return await moveIntoPlace(side, place.home)
  } finally {
    await rm(side, { recursive: true, force: true })
  }
}

/** Of two first starts at once one rename succeeds; the other finds a full folder and uses that. */
async function moveIntoPlace(side: string, home: string): Promise<boolean> {
  try {
    await rename(side, home)
  } catch (error) {
    if (existsSync(join(home, 'cluster'))) return false
    throw error
  }
  await syncFolder(dirname(home))
  return true
}

async function writePassword(path: string, account: Account): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(`${randomBytes(32).toString('base64url')}\n`)
    if (account.switched) await file.chown(account.uid, account.gid)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The password of both roles. */
export async function readPassword(place: Place): Promise<string> {
  const text = await readFile(join(place.home, 'password'), 'utf8').catch((error) => {
    throw fileTrouble("cannot read the database's password", error)
  })
  return text.trim()
}

/**
 * The builtin locale sorts and folds case alike on every machine, whatever libc has installed. initdb syncs
 * what it wrote.
 */
async function runInitdb(place: Place, side: string): Promise<void> {
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const program = spawn(
    join(place.binaries.folder, 'bin', 'initdb'),
    [
      ...['-D', join(side, 'cluster'), '-U', superuser, '--pwfile', join(side, 'password')],
      ...['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'],
      ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions', ...options],
    ],
    {
      cwd: side,
      env: cleanEnvironment,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: initdbTimeoutMs,
      ...userOf(place.account),
    },
  )
  let complaint = ''
  program.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2_000)
  })
  const status = await new Promise<number | string | null>((resolve, reject) => {
    program.once('error', (error) => reject(cannotRun(place, error)))
    program.once('close', (code, signal) => resolve(code ?? signal))
  })
  if (status !== 0) throw new Error(`initdb ended with ${status}: ${firstGraveLine(complaint)}`)
}

/** The options that make a spawned program run as the account. */
export function userOf(account: Account): { uid?: number; gid?: number } {
  return account.switched ? { uid: account.uid, gid: account.gid } : {}
}

/** The operator's line for programs that do not start at all; on Alpine the loader they need is missing. */
export function cannotRun(place: Place, cause: unknown): PostgresUnavailable {
  return new PostgresUnavailable(
    `the embedded PostgreSQL in ${place.binaries.folder} cannot be run as ${place.account.name} on this machine ` +
      `(it needs glibc or macOS, and a file system that allows programs): ${oneLine(cause)}; set DATABASE_URL to ` +
      'your own PostgreSQL',
    { cause },
  )
}

async function give(path: string, account: Account): Promise<void> {
  if (account.switched) await chown(path, account.uid, account.gid)
}
