import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { createLocalStorage } from '../src/storage/local.ts'
import { database, dataDir, fails, filmgate, json } from './command-line.ts'
import { makeCustomer } from './database.ts'
import { addCompletedJob } from './outputs-fixture.ts'

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
