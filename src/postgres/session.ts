import { Client } from 'pg'
import { readPassword, superuser } from './cluster.ts'
import { type Place, port } from './place.ts'
import { codeOf, DataDirBusy, oneLine, PostgresUnavailable } from './unavailable.ts'

/** A server is alone on its data dir; commands run beside it and beside each other. */
export type Role = 'server' | 'command'

/** Name of the application's role and of its database. */
export const applicationName = 'filmgate'

/**
 * Session-level advisory locks in the database `postgres`: the kernel closes a killed process's socket, and
 * PostgreSQL then releases what it held. Advisory locks are known within one database only.
 */
const lockSpace = 0x66_67
/** Shared by every user of the cluster; whoever takes it alone may stop the postmaster. */
const presence = 1
const server = 2
const provisioning = 3

/** Long enough for a killed or draining server's lock to go away, short enough to wait for an answer. */
const serverLockPatienceMs = 2_000

/** What stands in the way of a connection now, and whether anybody listens at all. */
export interface NotYet {
  listening: boolean
  reason: string
}

/** Connects as the supervisor. Trouble that waiting cannot cure is thrown. */
export async function connectSupervisor(place: Place, role: Role): Promise<Client | NotYet> {
  const client = new Client({
    host: place.socketDir,
    port,
    user: superuser,
    password: await readPassword(place),
    database: 'postgres',
    ssl: false,
    application_name: `filmgate ${role} ${process.pid}`,
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
  })
  // Loss is handled on 'end'; without a listener 'error' would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EACCES' || code?.startsWith('28')) {
      throw new PostgresUnavailable(
        `the embedded PostgreSQL of ${place.dataDir} refused this user (${oneLine(error)}): run filmgate as the ` +
          'owner of that folder, restore its postgres/password, or set DATABASE_URL',
        { cause: error },
      )
    }
    return { listening: code !== 'ENOENT' && code !== 'ECONNREFUSED', reason: oneLine(error) }
  }
}

/** What the connected postmaster says about itself. */
export async function identify(client: Client) {
  const { rows } = await client.query<{ cluster: string; version: string; pid_file: string }>(
    `select current_setting('data_directory') as cluster, current_setting('server_version_num') as version,
       pg_read_file('postmaster.pid') as pid_file`,
  )
  const { cluster = '', version, pid_file: pidFile = '' } = rows[0] ?? {}
  return { cluster, versionNumber: Number(version), pid: Number.parseInt(pidFile, 10) }
}

/** Declares this process a user of the cluster. False while another is about to stop it. */
export function declarePresence(client: Client): Promise<boolean> {
  return tryLock(client, 'pg_try_advisory_lock_shared', presence)
}

/** Gives up every lock, then claims the cluster for stopping it. False while anybody else uses it. */
export async function claimLast(client: Client): Promise<boolean> {
  await client.query('select pg_advisory_unlock_all()')
  return tryLock(client, 'pg_try_advisory_lock', presence)
}

/** Becomes the data dir's one server, or throws DataDirBusy. */
export async function becomeServer(client: Client, place: Place): Promise<void> {
  const deadline = performance.now() + serverLockPatienceMs
  while (!(await tryLock(client, 'pg_try_advisory_lock', server))) {
    if (performance.now() > deadline) throw new DataDirBusy(place.dataDir, await serverPid(client))
    await client.query('select pg_sleep(0.05)')
  }
}

async function tryLock(
  client: Client,
  kind: 'pg_try_advisory_lock' | 'pg_try_advisory_lock_shared',
  key: number,
): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>(`select ${kind}($1, $2) as taken`, [lockSpace, key])
  return rows[0]?.taken ?? false
}

async function serverPid(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.classid = $1 and l.objid = $2 and l.granted`,
    [lockSpace, server],
  )
  const pid = Number(rows[0]?.name.split(' ').at(-1))
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
}

/** Creates the application's role and database where a first start has not, or was killed before it could. */
export async function provision(client: Client, place: Place): Promise<boolean> {
  if (await databaseExists(client)) return false
  await client.query('select pg_advisory_lock($1, $2)', [lockSpace, provisioning])
  try {
    if (await databaseExists(client)) return false
    const { rowCount } = await client.query('select from pg_roles where rolname = $1', [applicationName])
    // The password is base64url, so it needs no escaping; utility statements take no parameters.
    const secret = await readPassword(place)
    if (rowCount === 0) {
      await client.query(`create role ${applicationName} login createdb password '${secret}'`)
    }
    await client.query(`create database ${applicationName} owner ${applicationName} template template0`)
    return true
  } finally {
    await client.query('select pg_advisory_unlock($1, $2)', [lockSpace, provisioning]).catch(() => {})
  }
}

async function databaseExists(client: Client): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [applicationName])
  return rowCount === 1
}

/** The connection is gone or going (57P0x), as opposed to a statement that failed. pg's own losses carry no code. */
export function isLoss(error: unknown): boolean {
  if (error instanceof PostgresUnavailable) return false
  const code = codeOf(error)
  return code === undefined || code.startsWith('57P') || code.startsWith('E')
}
