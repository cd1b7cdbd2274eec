import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { atEnd } from '../../test/at-end.ts'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { addCompletedJob } from '../../test/outputs-fixture.ts'
import { createLocalStorage } from '../storage/local.ts'
import type { Storage } from '../storage/storage.ts'
import { deleteOutputs } from './retention.ts'
import { verifyFiles } from './verify-files.ts'

const clock = { now: () => new Date() }

/** A database and a storage with two completed jobs. */
async function setUp() {
  const { pool } = await cloneDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'filmgate-verify-'))
  atEnd(() => rm(directory, { recursive: true, force: true }))
  const storage = await createLocalStorage({ directory })
  const customer = await makeCustomer(pool)
  const jobs = [
    await addCompletedJob(pool, storage, customer),
    await addCompletedJob(pool, storage, customer),
  ]
  const put = (key: string) => storage.put(key, Readable.from([Buffer.from(key)]))
  const setStatus = (jobId: string, status: string) =>
    pool.query(
      `update jobs set status = $2::job_status, completed_at = case when $2 = 'failed' then now() end,
         error_code = case when $2 = 'failed' then 'x' end, error_message = case when $2 = 'failed' then 'x' end
       where id = $1`,
      [jobId, status],
    )
  const verify = async (
    options: { isDeleting: boolean; isForced?: boolean } = { isDeleting: false },
    through: Storage = storage,
  ) => {
    const client = await pool.connect()
    try {
      return await verifyFiles(client, through, options)
    } finally {
      client.release()
    }
  }
  return { pool, storage, customer, jobs, put, setStatus, verify }
}

test('files and jobs that agree are in order, and uploads are none of it', async () => {
  const { put, verify } = await setUp()
  await put('uploads/1.png')
  assert.deepEqual(await verify(), {
    ok: true,
    totals: { stored: 6, stray: 0, missing: 0, deleted: 0 },
    stray: [],
    missing: [],
  })
})

test('files of no job are told and, on demand, deleted; those of jobs that keep them are not', async () => {
  const { pool, storage, jobs, customer, put, setStatus, verify } = await setUp()
  const failed = await addCompletedJob(pool, storage, customer)
  await pool.query('delete from job_outputs where job_id = $1', [failed.jobId])
  await setStatus(failed.jobId, 'failed')
  const deleted = await addCompletedJob(pool, storage, customer)
  await deleteOutputs({ pool, storage, clock }, deleted.jobId)
  await put(deleted.keys[0])
  const again = `outputs/${jobs[0]!.jobId}/0.webm`
  for (const key of ['outputs/job_none/0.mp4', again]) await put(key)

  const strays = [
    ...failed.keys.map((key) => ({ key, job: 'failed' })),
    { key: deleted.keys[0], job: 'completed' },
    { key: again, job: 'completed' },
    { key: 'outputs/job_none/0.mp4', job: 'unknown' },
  ]
  const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1)
  const found = await verify()
  assert.equal(found.ok, false)
  assert.deepEqual(found.stray.toSorted(byKey), strays.toSorted(byKey))
  assert.equal(found.totals.missing, 0)

  const { ok, totals } = await verify({ isDeleting: true })
  assert.deepEqual([ok, totals.stray, totals.deleted], [true, 6, 6])
  assert.deepEqual((await verify()).totals, { stored: 6, stray: 0, missing: 0, deleted: 0 })
})

test('a job without its file is told, with every file that is missing', async () => {
  const { storage, jobs, verify } = await setUp()
  const [{ jobId, keys }] = jobs as [(typeof jobs)[0]]
  for (const key of keys.slice(1)) await storage.remove(key)
  const report = await verify({ isDeleting: true })
  assert.equal(report.ok, false)
  assert.deepEqual(
    report.missing.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    [
      { key: keys[1], jobId },
      { key: keys[2], jobId },
    ],
  )
})

test('files of a job that is under way are being copied, and one that completes meanwhile is in order', async () => {
  const { pool, storage, customer, put, setStatus, verify } = await setUp()
  const copying = await addCompletedJob(pool, storage, customer)
  await pool.query('delete from job_outputs where job_id = $1', [copying.jobId])
  await setStatus(copying.jobId, 'processing')
  let late = ''
  const whileListed: Storage = {
    ...storage,
    async *list(prefix) {
      yield* storage.list(prefix)
      late = (await addCompletedJob(pool, storage, customer)).jobId
      // copied before it was listed
      yield `outputs/${late}/0.mp4`
    },
  }
  assert.equal((await verify({ isDeleting: true }, whileListed)).ok, true)
  await put(`outputs/${late}/9.mp4`)
  assert.equal((await verify()).totals.stray, 1)
})

test('a database that knows few of the files deletes none of them, unless it is told twice', async () => {
  const { put, verify } = await setUp()
  for (let count = 0; count < 101; count++) await put(`outputs/job_${count}/0.mp4`)
  await assert.rejects(verify({ isDeleting: true }), /knows no job of 101 of the 107 files/)
  assert.equal((await verify()).totals.stray, 101)
  assert.equal((await verify({ isDeleting: true, isForced: true })).totals.deleted, 101)
})

test('of very many rows all are counted and the first thousand shown', async () => {
  const { storage, verify } = await setUp()
  const many: Storage = {
    ...storage,
    async *list() {
      for (let count = 0; count < 12_000; count++) yield `outputs/job_${count}/0.mp4`
    },
  }
  const report = await verify({ isDeleting: false }, many)
  assert.deepEqual([report.totals.stored, report.totals.stray, report.stray.length], [12_000, 12_000, 1_000])
})
