import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { type Config, ConfigError } from './config.ts'
import type { Db } from './db.ts'

type Place = Pick<Config, 'databaseUrl' | 'dataDir'>

const remedy =
  'start the server here first (npm start), or set FILMGATE_DATA_DIR to the folder of its data, or DATABASE_URL'

/** The database that the settings name, for people, without its password. */
export function nameDatabase({ databaseUrl, dataDir }: Place): string {
  if (databaseUrl === undefined) return `the embedded database in ${dataDir}`
  // as pg itself reads it, with what it takes from elsewhere where the URL leaves it out
  const { host, port, user, database } = new pg.Client({ connectionString: databaseUrl })
  const place = host.startsWith('/') ? `${host}, port ${port}` : `${host}:${port}`
  return `the database ${database ?? 'without a name'} of ${place} as ${user ?? 'nobody'} (DATABASE_URL)`
}

/** Refuses a data folder without a database in it; an own database is looked at by requireTables. */
export async function requireDataDir(
  { databaseUrl, dataDir }: Place,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  if (databaseUrl !== undefined) return
  // named where the database lies elsewhere; what it names may be gone
  const [elsewhere] = (await readPointer(join(dataDir, 'postgres-location.txt'))).split('\n')
  for (const home of [join(dataDir, 'postgres'), elsewhere]) {
    if (home && (await isThere(join(home, 'cluster', 'PG_VERSION')))) return
  }
  const given = environment.FILMGATE_DATA_DIR?.trim()
  const here = given ? '' : ` (this folder is ${process.cwd()})`
  throw new ConfigError(`no filmgate data in ${given || './data'}: ${remedy}${here}`)
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(() => true, absent(false))
}

function readPointer(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(absent(''))
}

function absent<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return ({ code, message }) => {
    if (code === 'ENOENT' || code === 'ENOTDIR') return value
    throw new ConfigError(`FILMGATE_DATA_DIR: ${message}: give a folder that this user may read`)
  }
}

/** Refuses a database that no server has set up yet. */
export async function requireTables(db: Db, place: Place): Promise<void> {
  const { rows } = await db.query<{ is_there: boolean }>(
    "select to_regclass('ledger_transfers') is not null as is_there",
  )
  if (rows[0]!.is_there) return
  throw new ConfigError(
    `no filmgate data in ${nameDatabase(place)}: start the server on it first (npm start)`,
  )
}
