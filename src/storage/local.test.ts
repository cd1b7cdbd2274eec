import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { createLocalStorage } from './local.ts'

async function newStorage(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'filmgate-storage-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return { directory, storage: await createLocalStorage({ directory }) }
}

test('a folder goes with the last object in it, and no put beside it is lost', async (t) => {
  const { storage, directory } = await newStorage(t)
  await storage.put('a/b/c/kept', Readable.from([Buffer.from('kept')]))
  await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const key = `a/b/d/${index}`
      await storage.put(key, Readable.from([Buffer.from('short')]))
      await storage.remove(key)
    }),
  )
  assert.deepEqual(await readdir(join(directory, 'a/b')), ['c'])
  await storage.remove('a/b/c/kept')
  assert.deepEqual(await readdir(directory), ['.parts'])
})

test('a full disk has its own code', async (t) => {
  const { storage } = await newStorage(t)
  const full = new Readable({
    read() {
      this.destroy(Object.assign(new Error('write'), { code: 'ENOSPC' }))
    },
  })
  await assert.rejects(storage.put('a', full), { code: 'NO_SPACE' })
})

test('list gives no parts', async (t) => {
  const { storage, directory } = await newStorage(t)
  await storage.put('a', Readable.from([Buffer.from('a')]))
  await writeFile(join(directory, '.parts', 'fresh'), '')
  assert.deepEqual(await Array.fromAsync(storage.list('')), ['a'])
})

test('a start clears away old parts and leaves the fresh ones of another process', async (t) => {
  const { directory } = await newStorage(t)
  const [old, fresh] = ['old', 'fresh'].map((name) => join(directory, '.parts', name))
  await writeFile(old!, '')
  await utimes(old!, new Date(0), new Date(0))
  await writeFile(fresh!, '')
  await createLocalStorage({ directory })
  assert.deepEqual(await readdir(join(directory, '.parts')), ['fresh'])
})

test('ready rejects when nothing can be written', async (t) => {
  const { storage, directory } = await newStorage(t)
  await storage.ready()
  assert.deepEqual(await readdir(join(directory, '.parts')), [])
  await rm(join(directory, '.parts'), { recursive: true })
  await assert.rejects(storage.ready())
  await mkdir(join(directory, '.parts'))
  await storage.ready()
})
