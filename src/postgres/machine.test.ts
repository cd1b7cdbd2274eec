import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Account, canRead, chooseAccount, parsePasswd } from './account.ts'
import { type Binaries, installedBinaries, usableBinaries } from './binaries.ts'
import { userOf } from './cluster.ts'
import { openEmbeddedPostgres } from './embedded.ts'
import { ask, atEnd, makeDataDir, openInChild, silent } from './fixture.ts'
import { findPlace, prepareSocketDir } from './place.ts'
import { stopPostmaster } from './postmaster.ts'

type User = Omit<Account, 'switched'>

const asRoot = process.getuid?.() === 0
const onlyAsRoot = { skip: asRoot ? false : 'needs root' }

test('an ordinary user keeps everything in the data dir', async (t) => {
  const nobody = parsePasswd(await readFile('/etc/passwd', 'utf8')).get('nobody')
  const dataDir = await makeDataDir(t)
  if (asRoot) {
    if (nobody === undefined || !(await canRunOurCode(nobody)))
      return t.skip('nobody cannot read this checkout')
    await chown(dataDir, nobody.uid, nobody.gid)
  }
  const user = asRoot && nobody ? { uid: nobody.uid, gid: nobody.gid } : {}
  const server = openInChild(t, dataDir, 'server', user)
  const { opened, failed } = await server.answer
  assert.ok(opened, failed)
  assert.deepEqual(await ask(opened.connection, 'select 1 as one'), [{ one: 1 }])
  assert.deepEqual(await readdir(dataDir), ['postgres'])
  const password = await stat(join(dataDir, 'postgres', 'password'))
  assert.equal(password.mode & 0o777, 0o600)
  assert.equal(password.uid, user.uid ?? process.getuid?.())
  assert.equal(await server.close(), 0)
  if (asRoot) await openAsRootAfterOwner(dataDir, user.uid)
})

/** Root runs a user's cluster as that user, so that both can go on using it. */
async function openAsRootAfterOwner(dataDir: string, uid: number | undefined): Promise<void> {
  const database = await openEmbeddedPostgres({ dataDir, role: 'command', log: silent })
  assert.equal(database.firstStart, false)
  assert.equal((await stat(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'))).uid, uid)
  await database.close()
}

test('root runs PostgreSQL as another user, whose cluster third users cannot take', onlyAsRoot, async (t) => {
  const dataDir = await makeDataDir(t)
  const database = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, database.close)
  assert.notEqual((await stat(join(dataDir, 'postgres', 'cluster'))).uid, 0)
  const users = [...parsePasswd(await readFile('/etc/passwd', 'utf8')).values()]
  const account = await chooseAccount()
  const other = users.find(({ uid }) => uid !== account.uid)
  const unknown = { name: 'unknown', uid: 54_321, gid: 54_321 }
  if (other === undefined || !(await canRunOurCode(unknown))) return
  await assertRefused(t, dataDir, other, /belongs to uid \d+, not to .*FILMGATE_DATA_DIR/)
  await assertRefused(t, dataDir, unknown, /has no entry in \/etc\/passwd.*DATABASE_URL/)
})

async function assertRefused(t: TestContext, dataDir: string, user: User, message: RegExp): Promise<void> {
  const answer = await openInChild(t, dataDir, 'command', { uid: user.uid, gid: user.gid }).answer
  assert.equal(answer.failed, 'PostgresUnavailable')
  assert.match(answer.message, message)
}

test(
  'where the database user cannot enter the data dir, the cluster lies under /var/lib',
  onlyAsRoot,
  async (t) => {
    const dataDir = join(await makeDataDir(t), 'data')
    await mkdir(dataDir)
    await chmod(dirname(dataDir), 0o700)
    const first = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
    const [home = ''] = (await readFile(join(dataDir, 'postgres-location.txt'), 'utf8')).split('\n')
    atEnd(t, async () => {
      await stopPostmaster(join(home, 'cluster'))
      await rm(home, { recursive: true })
    })
    assert.match(home, /^\/var\/lib\/filmgate\/[0-9a-f]{12}$/)
    await first.close()
    const second = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
    assert.equal(second.firstStart, false)
    await second.close()
  },
)

test("a data dir whose path is too long for a socket's address works", async (t) => {
  const dataDir = await makeDataDir(t, `${'long-'.repeat(12)}/${'path-'.repeat(12)}`)
  const database = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, () => rm(database.connection.host, { recursive: true, force: true }))
  atEnd(t, database.close)
  assert.ok(database.connection.host.length < 60)
  assert.equal((await stat(database.connection.host)).mode & 0o777, 0o700)
  assert.deepEqual(await ask(database.connection, 'select 1 as one'), [{ one: 1 }])
})

test('a socket folder that others could have made is refused', async (t) => {
  const dataDir = await makeDataDir(t)
  const place = await findPlace(dataDir)
  const open = join(dataDir, 'open')
  await mkdir(open)
  await chmod(open, 0o777)
  const refusal = { name: 'PostgresUnavailable', message: /closed to others.*FILMGATE_DATA_DIR/ }
  await assert.rejects(prepareSocketDir({ ...place, socketDir: join(open, 'socket') }), refusal)
})

test("libraries' links that npm --ignore-scripts did not make are made at the start", async (t) => {
  const binaries = await copyWithoutLinks(t)
  const account = await chooseAccount()
  const copies = [1, 2].map(() => usableBinaries(binaries, account, '/nowhere'))
  for (const usable of await Promise.all(copies)) assert.equal(usable.folder, binaries.folder)
  await assertRuns(binaries, account)
  assert.ok((await lstat(join(binaries.folder, 'lib', 'libpq.so.5'))).isSymbolicLink())
})

test('binaries that the database user cannot reach, or that cannot be completed, are copied once', async (t) => {
  const binaries = await copyWithoutLinks(t)
  const account = await chooseAccount()
  const closed = asRoot ? dirname(binaries.folder) : join(binaries.folder, 'lib')
  await chmod(closed, asRoot ? 0o700 : 0o555)
  atEnd(t, () => chmod(closed, 0o755))
  const copyRoot = await makeDataDir(t)
  const copies = [1, 2].map(() => usableBinaries(binaries, account, copyRoot))
  const [usable] = await Promise.all(copies)
  assert.ok(usable)
  await assertRuns(usable, account)
  assert.equal((await readdir(copyRoot)).length, 1)
  assert.equal((await usableBinaries(binaries, account, copyRoot)).folder, usable.folder)
})

test('what stands in the way is said in one line with its remedy', async (t) => {
  const dataDir = await makeDataDir(t)
  await mkdir(join(dataDir, 'postgres', 'cluster'), { recursive: true })
  await writeFile(join(dataDir, 'postgres', 'cluster', 'PG_VERSION'), '17\n')
  const otherMajor = openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  await assertSaid(otherMajor, /written by PostgreSQL 17 and this filmgate brings 18.*DATABASE_URL/)
  const belowFile = join(dataDir, 'postgres', 'cluster', 'PG_VERSION', 'data')
  const unwritable = openEmbeddedPostgres({ dataDir: belowFile, role: 'server', log: silent })
  await assertSaid(unwritable, /cannot create the data dir .*FILMGATE_DATA_DIR/)
  await assertSaid(
    installedBinaries('sunos-sparc'),
    /no embedded PostgreSQL .* sunos-sparc: set DATABASE_URL/,
  )
})

async function assertSaid(outcome: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await outcome.then(
    () => assert.fail('it did not fail'),
    (reason: Error) => reason,
  )
  assert.equal(error.name, 'PostgresUnavailable')
  assert.match(error.message, message)
  assert.ok(!error.message.includes('\n'))
}

async function canRunOurCode(user: User): Promise<boolean> {
  const account: Account = { ...user, switched: true }
  const files = [fileURLToPath(import.meta.url), await realpath(process.execPath)]
  return (await Promise.all(files.map((path) => canRead(path, account)))).every(Boolean)
}

/** The installed binaries as npm --ignore-scripts leaves them, in a folder of the test's own. */
async function copyWithoutLinks(t: TestContext): Promise<Binaries> {
  const installed = await installedBinaries()
  const folder = join(await makeDataDir(t), 'package', 'native')
  await cp(installed.folder, folder, {
    recursive: true,
    filter: async (path) => !path.endsWith('.a') && !(await lstat(path)).isSymbolicLink(),
  })
  return { ...installed, folder }
}

async function assertRuns(binaries: Binaries, account: Account): Promise<void> {
  const program = join(binaries.folder, 'bin', 'postgres')
  const { stdout } = await promisify(execFile)(program, ['-V'], { ...userOf(account), cwd: '/' })
  assert.match(stdout, /PostgreSQL\) 18/)
}
