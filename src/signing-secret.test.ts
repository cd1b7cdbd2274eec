import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, test } from 'node:test'
import { atEnd } from '../test/at-end.ts'
import { cloneDatabase } from '../test/database.ts'
import { ConfigError } from './config.ts'
import { loadSigningSecret } from './signing-secret.ts'

const { pool } = await cloneDatabase()
const root = await mkdtemp(join(tmpdir(), 'filmgate-secret-'))
atEnd(() => rm(root, { recursive: true, force: true }))
const machine = () => mkdtemp(join(root, 'machine-'))
beforeEach(() => pool.query('delete from server_secrets'))

test('the signing secret is made once, whatever machine asks, and leaves no file', async () => {
  const secret = await loadSigningSecret(pool, await machine())
  assert.equal(Buffer.from(secret, 'base64url').length, 32)
  assert.equal(await loadSigningSecret(pool, await machine()), secret)
  assert.equal(await loadSigningSecret(pool, join(root, 'no', 'such', 'folder')), secret)
  await pool.query('delete from server_secrets')
  assert.notEqual(await loadSigningSecret(pool, await machine()), secret)
})

test('of several processes that start at once all get the same secret', async () => {
  const folder = await machine()
  for (let round = 0; round < 10; round++) {
    await pool.query('delete from server_secrets')
    const secrets = await Promise.all(Array.from({ length: 6 }, () => loadSigningSecret(pool, folder)))
    assert.equal(new Set(secrets).size, 1)
  }
})

test('a secret in the data folder is taken over, for all machines, and stays where it is', async () => {
  const folder = await machine()
  const secret = 'k'.repeat(43)
  await writeFile(join(folder, 'signing-secret'), `${secret}\n`)
  assert.equal(await loadSigningSecret(pool, folder), secret)
  assert.equal(await loadSigningSecret(pool, await machine()), secret)
  assert.equal(await readFile(join(folder, 'signing-secret'), 'utf8'), `${secret}\n`)
})

test('a broken secret in the data folder stops the start, with the way out, and nothing is kept of it', async () => {
  const folder = await machine()
  for (const content of ['', 'short', 'x'.repeat(200), `${'ä'.repeat(43)}`]) {
    await writeFile(join(folder, 'signing-secret'), content)
    await assert.rejects(
      loadSigningSecret(pool, folder),
      (error: Error) =>
        error instanceof ConfigError && /remove it to have a new one made/.test(error.message),
    )
  }
  assert.equal((await pool.query('select from server_secrets')).rowCount, 0)
})
