import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { pino } from 'pino'
import { atEnd } from '../../test/at-end.ts'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { addCompletedJob } from '../../test/outputs-fixture.ts'
import { startS3Server } from '../../test/s3-server.ts'
import { type InputMedia, NotSent } from '../providers/provider.ts'
import { createLocalStorage } from '../storage/local.ts'
import { createS3Storage } from '../storage/s3.ts'
import type { Storage } from '../storage/storage.ts'
import { lendMedia, lendWithin } from './lend-media.ts'
import { removeLentFiles } from './lent-files.ts'
import { verifyFiles } from './verify-files.ts'

const { pool } = await cloneDatabase()
const customer = await makeCustomer(pool)
const folder = await mkdtemp(join(tmpdir(), 'filmgate-lend-'))
const s3 = await startS3Server()
const s3Storage = await createS3Storage(await s3.newBucket(), { temporaryDirectory: folder })
atEnd(async () => {
  await s3Storage.close()
  await s3.stop()
  await rm(folder, { recursive: true, force: true })
})
const storages: Record<string, Storage> = {
  local: await createLocalStorage({ directory: join(folder, 'files') }),
  S3: s3Storage,
}
const storage = storages.local!
const log = pino({ level: 'silent' })
const now = new Date('2026-11-20T12:00:00Z')

async function newJob(): Promise<string> {
  const { jobId } = await addCompletedJob(pool, storage, customer)
  await pool.query("update jobs set status = 'processing', completed_at = null where id = $1", [jobId])
  return jobId
}

const end = (jobId: string) =>
  pool.query("update jobs set status = 'completed', completed_at = now() where id = $1", [jobId])

function lender(jobId: string, { into = storage, isReachable = true } = {}) {
  const signUrl = (path: string, expiresAt: Date) => `${path}?until=${expiresAt.toISOString()}`
  return lendMedia({ pool, storage: into, clock: { now: () => now }, isReachable, signUrl }, jobId)
}

const canvas = createCanvas(30, 20)
const webp = await canvas.encode('webp')
let files = 0

/** Each in a folder of its own, as each dispatch has one. */
async function picture(bytes: Uint8Array = webp, contentType = 'image/webp'): Promise<InputMedia> {
  const directory = join(folder, `dispatch-${++files}`)
  await mkdir(directory)
  const path = join(directory, 'elements.images-0')
  await writeFile(path, bytes)
  const sourceUrl = 'https://example.com/picture'
  return { path, kind: 'image', contentType, width: 30, height: 20, sourceUrl }
}

const keyOf = (url: string | undefined) => /^\/files\/([^?]+)\?/.exec(url ?? '')![1]!
const rows = async (jobId: string) => {
  const found = await pool.query<{ key: string }>('select key from lent_files where job_id = $1', [jobId])
  return found.rows.map(({ key }) => key)
}
const stored = (jobId: string, within: Storage = storage) => Array.fromAsync(within.list(`inputs/${jobId}/`))

for (const [name, into] of Object.entries(storages)) {
  suite(`with ${name} storage`, () => {
    test('a file is lent with its own bytes, for a day, as often as it is asked for under one key', async () => {
      const jobId = await newJob()
      const lend = lender(jobId, { into })
      const file = await picture()
      const urls = await Promise.all([lend.publish(file), lend.publish(file)])
      const key = `inputs/${jobId}/${createHash('sha256').update(webp).digest('hex')}.webp`
      assert.deepEqual(new Set(urls), new Set([`/files/${key}?until=2026-11-21T12:00:00.000Z`]))
      assert.deepEqual(await stored(jobId, into), [key])
      assert.deepEqual(await rows(jobId), [key])
      const opened = await into.open(key)
      assert.deepEqual(await buffer(opened!.stream), webp)
    })

    test('once its job has ended a lent file goes, and not before', async () => {
      const [running, ended] = [await newJob(), await newJob()]
      for (const jobId of [running, ended]) await lender(jobId, { into }).publish(await picture())
      await end(ended)
      await removeLentFiles({ pool, storage: into, log })
      assert.deepEqual([await stored(ended, into), await rows(ended)], [[], []])
      assert.deepEqual([(await stored(running, into)).length, (await rows(running)).length], [1, 1])
    })
  })
}

test('two dispatches of one job share a file, and one that has changed meanwhile takes no place of the other', async () => {
  const jobId = await newJob()
  const other = await canvas.encode('webp', 1)
  const first = await lender(jobId).publish(await picture())
  assert.equal(await lender(jobId).publish(await picture()), first)
  const second = await lender(jobId).publish(await picture(Buffer.concat([other, Buffer.from('x')])))
  assert.notEqual(second, first)
  const opened = await storage.open(keyOf(first))
  assert.deepEqual(await buffer(opened!.stream), webp)
})

test('what is stored already is not sent there again', async () => {
  const jobId = await newJob()
  let puts = 0
  const counting: Storage = {
    ...storage,
    put(...asked) {
      puts += 1
      return storage.put(...asked)
    },
  }
  for (let dispatch = 0; dispatch < 2; dispatch++) {
    await lender(jobId, { into: counting }).publish(await picture())
  }
  assert.equal(puts, 1)
})

test('where upstreams cannot reach this server nothing is lent', async () => {
  const jobId = await newJob()
  assert.equal(await lender(jobId, { isReachable: false }).publish(await picture()), undefined)
  assert.deepEqual([await stored(jobId), await rows(jobId)], [[], []])
})

test('a file that cannot be had or stored now says that nothing was sent', async () => {
  const jobId = await newJob()
  const file = await picture()
  const gone = { ...file, path: join(folder, 'gone') }
  await assert.rejects(lendWithin(lender(jobId)).publish(gone), NotSent)
  const full: Storage = { ...storage, put: () => Promise.reject(new Error('the disk is full')) }
  await assert.rejects(lendWithin(lender(jobId, { into: full })).publish(file), NotSent)
})

test('a storage that does not answer is not waited for beyond the time there is, nor is what it stores later forgotten', async () => {
  const jobId = await newJob()
  const answer = Promise.withResolvers<void>()
  const silent: Storage = {
    ...storage,
    put: async (...asked) => answer.promise.then(() => storage.put(...asked)),
  }
  const lend = lender(jobId, { into: silent })
  const file = await picture()
  const late = lend.publish(file)
  await assert.rejects(lendWithin(lend, async () => {}, 50).publish(file), NotSent)
  await end(jobId)
  await removeLentFiles({ pool, storage, log })
  assert.deepEqual(await rows(jobId), [])
  answer.resolve()
  await late
  assert.equal((await rows(jobId)).length, 1)
  await removeLentFiles({ pool, storage, log })
  assert.deepEqual([await stored(jobId), await rows(jobId)], [[], []])
})

test('nothing is handed out that may not be sent any more', async () => {
  const lend = lendWithin(lender(await newJob()), () => Promise.reject(new Error('taken for dead')))
  await assert.rejects(lend.publish(await picture()), NotSent)
})

test('a file of a job that goes on and on goes two days after it was last lent', async () => {
  const jobId = await newJob()
  const file = await picture()
  const age = (hours: number) =>
    pool.query("update lent_files set created_at = now() - $2 * interval '1 hour' where job_id = $1", [
      jobId,
      hours,
    ])
  await lender(jobId).publish(file)
  await age(49)
  await lender(jobId).publish(file)
  await removeLentFiles({ pool, storage, log })
  assert.equal((await stored(jobId)).length, 1)
  await age(49)
  await removeLentFiles({ pool, storage, log })
  assert.deepEqual([await stored(jobId), await rows(jobId)], [[], []])
})

test('a file that cannot be removed keeps its row, holds up no other, and goes with the next sweep', async () => {
  const jobId = await newJob()
  const lend = lender(jobId)
  const stuck = keyOf(await lend.publish(await picture()))
  await lend.publish(await picture(await canvas.encode('png'), 'image/png'))
  await end(jobId)
  const partly: Storage = {
    ...storage,
    remove: async (key) => {
      if (key === stuck) throw new Error('access denied')
      await storage.remove(key)
    },
  }
  await removeLentFiles({ pool, storage: partly, log })
  assert.deepEqual([await stored(jobId), await rows(jobId)], [[stuck], [stuck]])
  await removeLentFiles({ pool, storage, log })
  assert.deepEqual([await stored(jobId), await rows(jobId)], [[], []])
})

test('outputs and uploads are left alone, and lent files are no strays among outputs', async () => {
  const { jobId, keys } = await addCompletedJob(pool, storage, customer)
  const upload = 'uploads/1.png'
  await storage.put(upload, { file: (await picture()).path })
  await lender(jobId).publish(await picture())
  const client = await pool.connect()
  const { stray } = await verifyFiles(client, storage, { isDeleting: false }).finally(() => client.release())
  assert.deepEqual(
    stray.filter(({ key }) => key.startsWith('inputs/')),
    [],
  )
  await removeLentFiles({ pool, storage, log })
  for (const key of [...keys, upload]) assert.notEqual(await storage.stat(key), undefined, key)
})
