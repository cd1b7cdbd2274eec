import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { atEnd } from '../../test/at-end.ts'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { createLocalStorage } from '../storage/local.ts'
import type { Storage } from '../storage/storage.ts'
import { createUpload, deleteOldUploads } from './uploads.ts'

const { pool } = await cloneDatabase()
const { userId } = await makeCustomer(pool)
const directory = await mkdtemp(join(tmpdir(), 'filmgate-uploads-'))
atEnd(() => rm(directory, { recursive: true, force: true }))
const storage = await createLocalStorage({ directory })
const now = new Date('2026-11-20T12:00:00Z')

/** An upload whose hour was over so many minutes ago. */
async function addUpload(expiredForMinutes: number) {
  const presignedAt = new Date(now.getTime() - (60 + expiredForMinutes) * 60_000)
  const { key } = await createUpload(pool, { userId, filename: 'x', contentType: 'image/png' }, presignedAt)
  await storage.put(key, Readable.from([Buffer.from(key)]))
  return key
}

const isThere = async (key: string) => (await storage.stat(key)) !== undefined

test('uploads that expired before a moment lose their files, the others keep them', async () => {
  const [old, young] = [await addUpload(2), await addUpload(-2)]
  await deleteOldUploads(pool, storage, now)
  assert.deepEqual([await isThere(old), await isThere(young)], [false, true])
})

test('an upload that cannot be deleted stops no others, is told, and goes the next time', async () => {
  const keys = [await addUpload(5), await addUpload(4), await addUpload(3)]
  const partly: Storage = {
    ...storage,
    async remove(key) {
      if (key === keys[0]) throw new Error('access denied')
      await storage.remove(key)
    },
  }
  await assert.rejects(deleteOldUploads(pool, partly, now), /could not be deleted/)
  assert.deepEqual(await Promise.all(keys.map(isThere)), [true, false, false])
  await deleteOldUploads(pool, storage, now)
  assert.equal(await isThere(keys[0]!), false)
})

test('a storage that is out of order is not asked for one upload after the other', async () => {
  await addUpload(5)
  await addUpload(4)
  let removals = 0
  const out: Storage = {
    ...storage,
    async remove() {
      removals += 1
      throw new Error('no connection')
    },
    ready: () => Promise.reject(new Error('no connection')),
  }
  await assert.rejects(deleteOldUploads(pool, out, now), /no connection/)
  assert.equal(removals, 1)
})
