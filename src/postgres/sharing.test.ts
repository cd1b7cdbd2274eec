import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { openEmbeddedPostgres } from './embedded.ts'
import { ask, atEnd, killHard, makeDataDir, openInChild, postmasterOf, silent } from './fixture.ts'

test('of two servers started at once on a new data dir one serves, and the other names the data dir and its pid', async (t) => {
  const dataDir = await makeDataDir(t)
  const servers = [openInChild(t, dataDir, 'server'), openInChild(t, dataDir, 'server')]
  const answers = await Promise.all(servers.map(({ answer }) => answer))
  const winner = answers.findIndex(({ opened }) => opened)
  const [won, lost] = [answers[winner], answers[1 - winner]]
  assert.equal(lost?.failed, 'DataDirBusy')
  assert.ok(lost.message.includes(dataDir) && lost.message.includes(String(servers[winner]?.child.pid)))
  assert.ok(!lost.message.includes('\n'))
  assert.ok(won?.opened)
  assert.deepEqual(await ask(won.opened.connection, 'select 1 as one'), [{ one: 1 }])
  assert.equal(await servers[winner]?.close(), 0)
})

test('a command beside a server leaves it alone; a command alone stops what it started', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, server.close)
  const postmaster = await postmasterOf(dataDir)
  const beside = await openEmbeddedPostgres({ dataDir, role: 'command', log: silent })
  assert.deepEqual(await ask(beside.connection, 'select 1 as one'), [{ one: 1 }])
  await beside.close()
  assert.equal(await postmasterOf(dataDir), postmaster)
  await server.close()
  assert.equal(await postmasterOf(dataDir), undefined)
  const alone = await openEmbeddedPostgres({ dataDir, role: 'command', log: silent })
  await alone.close()
  assert.equal(await postmasterOf(dataDir), undefined)
})

test('a server that starts beside a command keeps PostgreSQL when the command ends', async (t) => {
  const dataDir = await makeDataDir(t)
  const command = await openEmbeddedPostgres({ dataDir, role: 'command', log: silent })
  const server = await openEmbeddedPostgres({ dataDir, role: 'server', log: silent })
  atEnd(t, server.close)
  await command.close()
  assert.deepEqual(await ask(server.connection, 'select 1 as one'), [{ one: 1 }])
})

test('commands that come and go at once all get their answer, and the last one stops PostgreSQL', async (t) => {
  const dataDir = await makeDataDir(t)
  const rounds = Array.from({ length: 4 }, async () => {
    for (let round = 0; round < 5; round++) {
      const command = await openEmbeddedPostgres({ dataDir, role: 'command', log: silent })
      assert.deepEqual(await ask(command.connection, 'select 1 as one'), [{ one: 1 }])
      await command.close()
    }
  })
  await Promise.all(rounds)
  assert.equal(await postmasterOf(dataDir), undefined)
})

test('a command ends the postmaster that a killed server left', async (t) => {
  const dataDir = await makeDataDir(t)
  const server = openInChild(t, dataDir, 'server')
  await server.answer
  await killHard(server.child)
  const command = await openEmbeddedPostgres({ dataDir, role: 'command', log: silent })
  // PostgreSQL lets go of the killed server's locks once it has noticed the closed connection
  const locks = 'select count(*)::int as held from pg_locks where locktype = $$advisory$$'
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await setTimeout(20)) {
    const [row] = await ask(command.connection, locks)
    if ((row as { held: number }).held === 1) break
  }
  await command.close()
  assert.equal(await postmasterOf(dataDir), undefined)
})
