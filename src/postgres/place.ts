import { createHash, randomBytes } from 'node:crypto'
import { chmod, chown, link, lstat, mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { makeFolder } from '../make-folder.ts'
import { type Account, canEnter, chooseAccount } from './account.ts'
import { type Binaries, installedBinaries, usableBinaries } from './binaries.ts'
import { makeOpenFolder } from './side-folder.ts'
import { codeOf, fileTrouble, PostgresUnavailable } from './unavailable.ts'

/** Where one data dir's PostgreSQL lies and who runs it. */
export interface Place {
  /** Real path of the operator's data dir, as messages name it. */
  dataDir: string
  /** Holds cluster/, password, postgres.log and usually socket/; appears whole, by a rename. */
  home: string
  cluster: string
  socketDir: string
  logFile: string
  account: Account
  binaries: Binaries
}

export const port = 5432

/** For what must lie where an unprivileged user can go when we are root. */
const rootOwnedFolder = '/var/lib/filmgate'

/** Works out the place; creates the data dir, and in it a pointer where the cluster must lie elsewhere. */
export async function findPlace(dataDirOption: string, installed?: Binaries): Promise<Place> {
  const source = installed ?? (await installedBinaries())
  const dataDir = await makeDataDir(resolve(dataDirOption))
  const usual = join(dataDir, 'postgres')
  const pointer = join(dataDir, 'postgres-location.txt')
  let home = (await ownerOf(usual)) ? usual : ((await readPointer(pointer)) ?? usual)
  const owner = await ownerOf(home)
  const account = await chooseAccount(owner)
  if (owner !== undefined && !account.switched && owner.uid !== account.uid) {
    throw new PostgresUnavailable(
      `${home} belongs to uid ${owner.uid}, not to ${account.name} (uid ${account.uid}): run filmgate as its owner ` +
        'or as root, or set FILMGATE_DATA_DIR to another folder',
    )
  }
  if (home === usual && !(await canEnter(dataDir, account))) {
    if (owner !== undefined) throw closedTo(account, dataDir)
    home = await createPointer(pointer, dataDir, account)
  }
  const binaries = await usableBinaries(source, account, account.switched ? rootOwnedFolder : dataDir)
  return {
    dataDir,
    home,
    cluster: join(home, 'cluster'),
    socketDir: chooseSocketDir(home, account),
    logFile: join(home, 'postgres.log'),
    account,
    binaries,
  }
}

function closedTo(account: Account, dataDir: string): PostgresUnavailable {
  return new PostgresUnavailable(
    `user ${account.name}, who runs the embedded PostgreSQL, cannot enter ${dataDir} any more: give it and the folders ` +
      'above it back the permission to enter (chmod a+x), or set FILMGATE_DATA_DIR or DATABASE_URL',
  )
}

async function makeDataDir(path: string): Promise<string> {
  try {
    await makeFolder(path)
    return await realpath(path)
  } catch (error) {
    throw fileTrouble(`cannot create the data dir ${path}`, error)
  }
}

async function ownerOf(path: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const { uid, gid } = await stat(path)
    return { uid, gid }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw fileTrouble(`cannot look at ${path}`, error)
  }
}

async function readPointer(pointer: string): Promise<string | undefined> {
  const text = await readFile(pointer, 'utf8').catch(() => undefined)
  return text?.split('\n')[0]
}

/**
 * The pointer decides, and its random part makes sure that a data dir deleted and made again starts empty
 * instead of finding the old database under the same path.
 */
async function createPointer(pointer: string, dataDir: string, account: Account): Promise<string> {
  const hash = digest(`${dataDir} ${randomBytes(8).toString('hex')}`)
  const text =
    `${rootOwnedFolder}/${hash}\n` +
    `The embedded PostgreSQL of this data dir lies there, because user ${account.name}, who runs it, cannot enter ` +
    'this folder.\nKeep both together: back up both, delete both.\n'
  const draft = `${pointer}.${hash}`
  try {
    await makeOpenFolder(rootOwnedFolder)
    await writeFile(draft, text, { flag: 'wx' })
    // Of two servers that start at once, the first one's link stands and both read it.
    await link(draft, pointer).catch((error) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
    return (await readFile(pointer, 'utf8')).split('\n')[0] ?? ''
  } catch (error) {
    throw fileTrouble(`cannot place PostgreSQL under ${rootOwnedFolder}`, error)
  } finally {
    await rm(draft, { force: true })
  }
}

/** A socket's address holds 107 bytes on Linux and 103 on macOS; a longer one needs a shorter folder. */
function chooseSocketDir(home: string, account: Account): string {
  const limit = process.platform === 'darwin' ? 103 : 107
  const usual = join(home, 'socket')
  if (Buffer.byteLength(join(usual, `.s.PGSQL.${port}`)) <= limit) return usual
  return join(`/tmp/filmgate-${account.uid}`, digest(home))
}

/** Creates the socket's folder, or makes sure that the one that is there is the account's own and closed to others. */
export async function prepareSocketDir(place: Place): Promise<void> {
  const parent = dirname(place.socketDir)
  if (parent !== place.home) await ownClosedFolder(parent, place.account)
  await ownClosedFolder(place.socketDir, place.account)
}

async function ownClosedFolder(path: string, account: Account): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
    await chmod(path, 0o700)
    if (account.switched) await chown(path, account.uid, account.gid)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw fileTrouble(`cannot create ${path} for PostgreSQL's socket`, error)
  }
  const entry = await lstat(path)
  if (!entry.isDirectory() || entry.uid !== account.uid || (entry.mode & 0o077) !== 0) {
    throw new PostgresUnavailable(
      `${path}, meant for PostgreSQL's socket, is not a folder of user ${account.name} closed to others: remove it, ` +
        'or set FILMGATE_DATA_DIR to a shorter path',
    )
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
