import assert from 'node:assert/strict'
import { test } from 'node:test'
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

test('the first start creates the database, later ones find it, and the last user stops PostgreSQL', async (t) => {
  const dataDir = await makeDataDir(t)
  const first = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  assert.equal(first.firstStart, true)
  await ask(first.connection, 'create table film as select 1 as id')
  await first.close()
  assert.equal(await postmasterOf(dataDir), undefined)
  const second = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, second.close)
  assert.equal(second.firstStart, false)
  assert.deepEqual(await ask(second.connection, 'select id from film'), [{ id: 1 }])
})

test('rows are synced to disk, text sorts and folds alike everywhere, and the application is no superuser', async (t) => {
  const dataDir = await makeDataDir(t)
  const database = await openEmbeddedPostgres({ dataDir, role: 'command', log: silent })
  atEnd(t, database.close)
  const facts = await ask(
    database.connection,
    `select current_setting('fsync') as fsync, current_setting('timezone') as timezone,
       current_setting('listen_addresses') as addresses, current_setting('password_encryption') as password,
       lower('ÄÖ') as folded, 'B' < 'a' as by_code_point, current_setting('is_superuser') as superuser`,
  )
  assert.deepEqual(facts, [
    {
      fsync: 'on',
      timezone: 'UTC',
      addresses: '',
      password: 'scram-sha-256',
      folded: 'äö',
      by_code_point: true,
      superuser: 'off',
    },
  ])
  const wrong = { ...database.connection, password: 'guessed' }
  await assert.rejects(ask(wrong, 'select 1'), { code: '28P01' })
})

test('a killed server leaves its postmaster to the next one, which stops it when it ends', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = openInChild(t, dataDir, 'server')
  const { opened } = await server.answer
  assert.ok(opened)
  await ask(opened.connection, 'create table film as select 1 as id')
  const postmaster = await postmasterOf(dataDir)
  await killHard(server.child)
  const next = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  assert.equal(await postmasterOf(dataDir), postmaster)
  assert.deepEqual(await ask(next.connection, 'select id from film'), [{ id: 1 }])
  await next.close()
  assert.equal(await postmasterOf(dataDir), undefined)
})

test('after server and postmaster were both killed, acknowledged rows are there again', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = openInChild(t, dataDir, 'server')
  const { opened } = await server.answer
  assert.ok(opened)
  await ask(opened.connection, 'create table film as select 1 as id')
  const postmaster = await postmasterOf(dataDir)
  assert.ok(postmaster)
  process.kill(postmaster, 'SIGKILL')
  await killHard(server.child)
  const next = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, next.close)
  assert.deepEqual(await ask(next.connection, 'select id from film'), [{ id: 1 }])
})

test('a postmaster that dies under a running server is started again, and the server keeps the data dir', async (t) => {
  const dataDir = await makeDataDir(t)
  const said: string[] = []
  const note = (_: object, message: string) => void said.push(message)
  const log = { info: note, warn: note }
  const server = await openEmbeddedPostgres({ dataDir, role: 'server', log })
  atEnd(t, server.close)
  const postmaster = await postmasterOf(dataDir)
  assert.ok(postmaster)
  process.kill(postmaster, 'SIGKILL')
  await until(() => said.includes('the embedded PostgreSQL is back'))
  assert.notEqual(await postmasterOf(dataDir), postmaster)
  assert.deepEqual(await ask(server.connection, 'select 1 as one'), [{ one: 1 }])
  await assert.rejects(openEmbeddedPostgres({ dataDir, role: 'server', log: silent }), {
    name: 'DataDirBusy',
  })
})

test('a Ctrl-C on the terminal does not reach PostgreSQL: it leads a session of its own', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = openInChild(t, dataDir, 'server')
  await server.answer
  const postmaster = await postmasterOf(dataDir)
  assert.ok(postmaster)
  // A process group of that number exists only if the postmaster leads one.
  assert.equal(process.kill(-postmaster, 0), true)
  assert.equal(await server.close(), 0)
  assert.equal(await runs(postmaster), false)
})
