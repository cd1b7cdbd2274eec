import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { createLocalStorage } from '../src/storage/local.ts'
import { createS3Storage } from '../src/storage/s3.ts'
import { atEnd } from './at-end.ts'
import { database, dataDir, fails, filmgate, json } from './command-line.ts'
import { makeCustomer } from './database.ts'
import { addCompletedJob } from './outputs-fixture.ts'
import { startS3Server } from './s3-server.ts'

const { pool } = database
const storage = await createLocalStorage({ directory: join(dataDir, 'files') })

test('how long the files of a user are kept can be set, shown and taken back', async () => {
  const { userId } = await makeCustomer(pool)
  assert.equal((await json(`user show ${userId}`)).retentionDays, null)
  assert.equal((await json(`user retention ${userId} --days 30`)).retentionDays, 30)
  assert.match((await filmgate(`user show ${userId}`)).stdout, /^files are kept +30 days$/m)
  assert.equal((await json(`user retention ${userId} --forever`)).retentionDays, null)
})

test('a retention that is no number of days, both or neither is refused and changes nothing', async () => {
  const { userId } = await makeCustomer(pool)
  await json(`user retention ${userId} --days 7`)
  for (const days of ['0', '-1', '1.5', 'x', '36501'])
    await fails(`user retention ${userId} --days ${days}`, 2, /from 1 to 36500/)
  await fails(`user retention ${userId} --days 3 --forever`, 2, /cannot be used with/)
  await fails(`user retention ${userId}`, 1, /give --days or --forever/)
  assert.equal((await json(`user show ${userId}`)).retentionDays, 7)
})

test('storage verify exits 1 with the rows, deletes what belongs to no job, and then exits 0', async () => {
  const job = await addCompletedJob(pool, storage, await makeCustomer(pool))
  const agreed = await json('storage verify')
  assert.deepEqual([agreed.ok, agreed.totals.stored], [true, 3])

  const stray = 'outputs/job_none/0.mp4'
  await storage.put(stray, Readable.from([Buffer.from('x')]))
  await storage.remove(job.keys[2])
  const lines = await filmgate('storage verify')
  assert.equal(lines.code, 1)
  assert.match(lines.stdout, new RegExp(`^of no job: ${stray} \\(job unknown\\)$`, 'm'))
  assert.match(lines.stdout, new RegExp(`^missing: ${job.keys[2]} of ${job.jobId}$`, 'm'))
  const { code, stdout } = await filmgate('storage verify --json')
  assert.equal(code, 1)
  assert.deepEqual(JSON.parse(stdout), {
    ok: false,
    totals: { stored: 3, stray: 1, missing: 1, deleted: 0 },
    stray: [{ key: stray, job: 'unknown' }],
    missing: [{ key: job.keys[2], jobId: job.jobId }],
  })

  await storage.put(job.keys[2], Readable.from([Buffer.from('x')]))
  assert.deepEqual((await json('storage verify --delete')).totals, {
    stored: 4,
    stray: 1,
    missing: 0,
    deleted: 1,
  })
  assert.equal((await json('storage verify')).ok, true)
})

test('storage verify looks into the S3 store that the environment names', async () => {
  const server = await startS3Server()
  atEnd(server.stop)
  const settings = await server.newBucket()
  const store = await createS3Storage(settings, { temporaryDirectory: dataDir })
  atEnd(() => store.close())
  const job = await addCompletedJob(pool, store, await makeCustomer(pool))
  const stray = 'outputs/job_none/0.mp4'
  await store.put(stray, Readable.from([Buffer.from('x')]))
  await store.remove(job.keys[1])

  const { code, stdout, stderr } = await filmgate('storage verify --delete --json', {
    S3_ENDPOINT: settings.endpoint,
    S3_REGION: settings.region,
    S3_BUCKET: settings.bucket,
    S3_ACCESS_KEY_ID: settings.accessKeyId,
    S3_SECRET_ACCESS_KEY: settings.secretAccessKey,
  })
  assert.equal(code, 1, stderr)
  const { stray: found, missing, totals } = JSON.parse(stdout)
  assert.deepEqual(found, [{ key: stray, job: 'unknown' }])
  assert.ok(missing.some(({ key }: { key: string }) => key === job.keys[1]))
  assert.equal(totals.deleted, 1)
  assert.deepEqual((await Array.fromAsync(store.list('outputs/'))).sort(), [job.keys[0], job.keys[2]].sort())
})
