import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { pino } from 'pino'
import { atEnd } from '../../test/at-end.ts'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { addCompletedJob } from '../../test/outputs-fixture.ts'
import { startS3Server } from '../../test/s3-server.ts'
import { changeUser } from '../accounts/users.ts'
import { loadCatalogue } from '../catalogue/load.ts'
import { createMedia } from '../media/media.ts'
import { createOutbound } from '../outbound.ts'
import { createLocalStorage } from '../storage/local.ts'
import { createS3Storage } from '../storage/s3.ts'
import type { Storage } from '../storage/storage.ts'
import { collectJob } from './collect.ts'
import { deleteExpiredOutputs, deleteOutputs, discardOutputs } from './retention.ts'
import { sweep as sweepAll } from './sweep.ts'

const { pool } = await cloneDatabase()
const directory = await mkdtemp(join(tmpdir(), 'filmgate-retention-'))
atEnd(() => rm(directory, { recursive: true, force: true }))
const storage = await createLocalStorage({ directory })
const clock = { now: () => new Date('2026-11-20T12:00:00Z') }
const log = pino({ level: 'silent' })
const dayMs = 24 * 3_600_000

const daysAgo = (days: number) => new Date(clock.now().getTime() - days * dayMs)
const sweep = (through: Storage = storage) => deleteExpiredOutputs({ pool, storage: through, clock, log })

async function makeKeeper(retentionDays: number | null) {
  const customer = await makeCustomer(pool)
  await changeUser(pool, customer.userId, { retentionDays })
  return customer
}

async function deletedAt(jobId: string): Promise<Date | null> {
  const { rows } = await pool.query('select outputs_deleted_at from jobs where id = $1', [jobId])
  return rows[0].outputs_deleted_at
}

async function areThere(keys: string[]): Promise<boolean[]> {
  return Promise.all(keys.map(async (key) => (await storage.stat(key)) !== undefined))
}

async function isKept({ jobId, keys }: { jobId: string; keys: string[] }) {
  assert.deepEqual(await areThere(keys), [true, true, true])
  assert.equal(await deletedAt(jobId), null)
}

async function isDeleted({ jobId, keys }: { jobId: string; keys: string[] }) {
  assert.deepEqual(await areThere(keys), [false, false, false])
  assert.notEqual(await deletedAt(jobId), null)
}

test('film, poster and thumbnail go once they are older than their account keeps them, and nothing else does', async () => {
  const [week, month, forever] = [await makeKeeper(7), await makeKeeper(30), await makeKeeper(null)]
  const old = await addCompletedJob(pool, storage, week, new Date(daysAgo(7).getTime() - 1))
  const young = await addCompletedJob(pool, storage, week, daysAgo(7))
  const others = [
    await addCompletedJob(pool, storage, month, daysAgo(29)),
    await addCompletedJob(pool, storage, forever, daysAgo(4_000)),
  ]
  await sweep()
  await isDeleted(old)
  assert.deepEqual(await deletedAt(old.jobId), clock.now())
  for (const job of [young, ...others]) await isKept(job)
})

test('the sweep of a worker deletes them', async () => {
  const job = await addCompletedJob(pool, storage, await makeKeeper(7), daysAgo(8))
  const temporaryDirectory = await mkdtemp(join(tmpdir(), 'filmgate-sweep-'))
  atEnd(() => rm(temporaryDirectory, { recursive: true, force: true }))
  await sweepAll({ pool, storage, clock, log, providers: [], temporaryDirectory })
  await isDeleted(job)
})

test('a longer retention that is set in time keeps what a shorter one would have deleted', async () => {
  const customer = await makeKeeper(7)
  const job = await addCompletedJob(pool, storage, customer, daysAgo(8))
  await changeUser(pool, customer.userId, { retentionDays: 9 })
  await sweep()
  await isKept(job)
})

test('a file that is still there after its removal leaves its job unmarked', async () => {
  const customer = await makeKeeper(7)
  const job = await addCompletedJob(pool, storage, customer, daysAgo(8))
  const lying: Storage = { ...storage, async remove() {} }
  await assert.rejects(deleteOutputs({ pool, storage: lying, clock }, job.jobId), /is there after/)
  await isKept(job)
  await sweep()
  await isDeleted(job)
})

test('a job whose files are gone already, as after a death before the mark, is marked by the next sweep', async () => {
  const job = await addCompletedJob(pool, storage, await makeKeeper(7), daysAgo(8))
  await discardOutputs(storage, job.jobId)
  assert.equal(await deletedAt(job.jobId), null)
  await sweep()
  await isDeleted(job)
})

test('files that cannot be removed stay, unmarked, are tried again, and stop no others', async () => {
  const customer = await makeKeeper(7)
  const jobs = []
  for (let count = 0; count < 12; count++)
    jobs.push(await addCompletedJob(pool, storage, customer, daysAgo(20 - count)))
  const stuck = jobs.slice(0, 3)
  const isStuck = (key: string) => stuck.some((job) => job.keys[2] === key)
  const partly: Storage = {
    ...storage,
    async remove(key) {
      if (isStuck(key)) throw new Error('access denied')
      await storage.remove(key)
    },
  }
  await sweep(partly)
  for (const job of jobs.slice(3)) await isDeleted(job)
  for (const { jobId, keys } of stuck) {
    assert.equal(await deletedAt(jobId), null)
    assert.equal((await areThere(keys))[2], true)
  }
  await sweep()
  for (const job of stuck) await isDeleted(job)
})

test('a storage that is out of order ends the step, which goes on when it is back', async () => {
  const customer = await makeKeeper(7)
  const jobs = []
  for (let count = 0; count < 120; count++)
    jobs.push(await addCompletedJob(pool, storage, customer, daysAgo(8)))
  let removals = 0
  const out: Storage = {
    ...storage,
    async remove() {
      removals += 1
      throw new Error('no connection')
    },
    ready: () => Promise.reject(new Error('no connection')),
  }
  await assert.rejects(sweep(out), /no connection/)
  assert.equal(removals, 100, 'one batch is tried, not all')
  for (const job of jobs) await isKept(job)
  await sweep()
  for (const job of jobs) await isDeleted(job)
})

test('from an S3 store files go as they do from a disk, and a store that refuses keeps its job unmarked', async () => {
  const server = await startS3Server()
  atEnd(server.stop)
  const store = await createS3Storage(await server.newBucket(), { temporaryDirectory: directory })
  atEnd(() => store.close())
  const { jobId } = await addCompletedJob(pool, store, await makeKeeper(7), daysAgo(8))
  server.meddle = (request, response) => {
    if (request.method !== 'DELETE') return false
    response.writeHead(403).end()
    return true
  }
  await assert.rejects(deleteOutputs({ pool, storage: store, clock }, jobId))
  assert.equal(await deletedAt(jobId), null)
  server.meddle = () => false
  await sweep(store)
  assert.deepEqual(await Array.fromAsync(store.list('outputs/')), [])
  assert.deepEqual(await deletedAt(jobId), clock.now())
})

test('a copy that goes on after its job was completed by another and its files were deleted leaves none behind', async () => {
  const { jobId } = await addCompletedJob(pool, storage, await makeKeeper(null))
  await pool.query("update jobs set status = 'processing', completed_at = null where id = $1", [jobId])
  const picture = 'sandbox/picture.png'
  await storage.put(picture, Readable.from([createCanvas(64, 64).toBuffer('image/png')]))
  await pool.query(
    `insert into polls (job_id, provider, due_at, outputs) values ($1, 'sandbox', now(), $2)`,
    [jobId, JSON.stringify([{ type: 'image', source: { key: picture } }])],
  )
  const copied: string[] = []
  const slow: Storage = {
    ...storage,
    async put(key, ...rest) {
      if (copied.push(key) === 1) {
        await pool.query("update jobs set status = 'completed', completed_at = now() where id = $1", [jobId])
        await deleteOutputs({ pool, storage, clock }, jobId)
      }
      return storage.put(key, ...rest)
    },
  }
  const media = createMedia()
  const outbound = createOutbound({ allowPrivate: false })
  await collectJob(
    {
      pool,
      storage: slow,
      clock,
      log,
      media,
      outbound,
      catalogue: loadCatalogue(),
      providers: [],
      provider: () => undefined,
      candidates: () => [],
      routeRecords: () => ({ succeeded: 0, failed: 0 }),
      medianMs: () => 0,
      isReachable: false,
      signUrl: () => '',
      processId: 'here',
      nextPollMs: () => 0,
      callbackUrl: () => '',
      fileUrl: (key) => key,
      ownFile: () => undefined,
      sampleFile: () => undefined,
      temporaryDirectory: directory,
    },
    jobId,
  )
  await Promise.all([media.close(), outbound.close()])
  assert.notDeepEqual(copied, [])
  assert.deepEqual(await Array.fromAsync(storage.list(`outputs/${jobId}/`)), [])
})

test('what was copied of a job that keeps nothing is discarded, and no file of another', async () => {
  const put = (key: string) => storage.put(key, Readable.from([Buffer.from(key)]))
  const [mine, others] = [
    ['outputs/job_1/0.mp4', 'outputs/job_1/0-poster.jpg', 'outputs/job_1/1.webm'],
    ['outputs/job_10/0.mp4', 'outputs/job_/0.mp4', 'uploads/job_1/0.mp4'],
  ]
  for (const key of [...mine!, ...others!]) await put(key)
  await discardOutputs(storage, 'job_1')
  assert.deepEqual(await areThere(mine!), [false, false, false])
  assert.deepEqual(await areThere(others!), [true, true, true])
  await discardOutputs(storage, 'job_1')
})
