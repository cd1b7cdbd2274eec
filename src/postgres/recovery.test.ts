import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { chooseAccount } from './account.ts'
import { ensureCluster, userOf } from './cluster.ts'
import { openEmbeddedPostgres } from './embedded.ts'
import {
  ask,
  atEnd,
  killHard,
  makeDataDir,
  openInChild,
  postmasterOf,
  runs,
  silent,
  until,
} from './fixture.ts'
import { trimLog } from './log-file.ts'
import { findPlace, port } from './place.ts'

test('lock files that name pids of other live processes neither stop the start nor harm those processes', async (t) => {
  const [dataDir, otherDir] = [await makeDataDir(t), await makeDataDir(t)]
  const other = await openEmbeddedPostgres({ dataDir: otherDir, role: 'server', log: silent })
  atEnd(t, other.close)
  const otherPostmaster = await postmasterOf(otherDir)
  // Of the same user as PostgreSQL: it takes other users' processes for strangers by itself.
  const stranger = spawn('sleep', ['60'], { ...userOf(await chooseAccount()), cwd: '/', stdio: 'ignore' })
  atEnd(t, () => stranger.kill())
  const server = openInChild(t, dataDir, 'server')
  await server.answer
  const postmaster = await postmasterOf(dataDir)
  assert.ok(postmaster && otherPostmaster && stranger.pid)
  process.kill(postmaster, 'SIGKILL')
  await killHard(server.child)
  await rewritePid(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), otherPostmaster)
  await rewritePid(join(dataDir, 'postgres', 'socket', `.s.PGSQL.${port}.lock`), stranger.pid)

  const next = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  assert.deepEqual(await ask(next.connection, 'select 1 as one'), [{ one: 1 }])
  await next.close()
  assert.equal(await runs(stranger.pid), true)
  assert.equal(await postmasterOf(otherDir), otherPostmaster)
})

test('a server killed in the middle of the first init leaves nothing that the next start trips over', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = openInChild(t, dataDir, 'server')
  const sideFolders = async () => (await readdir(dataDir)).filter((name) => name.startsWith('postgres.new-'))
  await until(async () => {
    const [side] = await sideFolders()
    return side !== undefined && existsSync(join(dataDir, side, 'cluster'))
  })
  await killHard(server.child)
  assert.equal((await sideFolders()).length, 1)
  const next = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  assert.equal(next.firstStart, true)
  await next.close()
  const again = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, again.close)
  assert.deepEqual(await readdir(dataDir), ['postgres'])
})

test('a kill between init and the creation of the database is made good by the next start', async (t) => {
  const dataDir = await makeDataDir(t)
  assert.equal(await ensureCluster(await findPlace(dataDir)), true)
  const database = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, database.close)
  assert.equal(database.firstStart, true)
})

test('an empty folder where the cluster belongs is filled; a folder with other things is left alone', async (t) => {
  const [empty, taken] = [await makeDataDir(t), await makeDataDir(t)]
  await mkdir(join(empty, 'postgres'))
  assert.equal(await ensureCluster(await findPlace(empty)), true)
  await mkdir(join(taken, 'postgres'))
  await writeFile(join(taken, 'postgres', 'notes.txt'), 'mine')
  await assert.rejects(openEmbeddedPostgres({ dataDir: taken, role: 'server', log: silent }), {
    name: 'PostgresUnavailable',
    message: /cannot create the database in .*FILMGATE_DATA_DIR/,
  })
  assert.deepEqual(await readdir(taken), ['postgres'])
})

test('a log above the limit is moved aside without the postmaster noticing', async (t) => {
  const path = join(await makeDataDir(t), 'postgres.log')
  const writer = await open(path, 'a')
  atEnd(t, () => writer.close())
  await writer.write(Buffer.alloc(5 * 1024 * 1024, 'x'))
  await trimLog(path)
  await writer.write('next line')
  assert.equal(await readFile(path, 'utf8'), 'next line')
  assert.equal((await stat(`${path}.1`)).size, 5 * 1024 * 1024)
})

async function rewritePid(path: string, pid: number): Promise<void> {
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace(/^\d+/, String(pid)))
}
