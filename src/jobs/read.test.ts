import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { newId } from '../ids.ts'
import { createGetJob, type ListOptions, listJobs } from './read.ts'
import { createSubmit } from './submit.ts'
import type { Submission } from './write-batch.ts'

const { pool, submitPool } = await cloneDatabase()
const submit = createSubmit(submitPool, pino({ level: 'silent' }))
const getJob = createGetJob(pool)
const now = new Date('2026-11-20T12:00:00Z')

function submission(accountId: bigint, changes: Partial<Submission> = {}): Submission {
  return {
    jobId: newId('job', now),
    accountId,
    apiKeyId: 'key_1',
    requestId: 'req_1',
    modelSlug: 'kling/kling-omni-o1/image-to-video',
    modelVersion: 'v1.0',
    provider: 'sandbox',
    input: {},
    metadata: undefined,
    webhookUrl: undefined,
    costMicroCents: 1n,
    priceBasis: 'list',
    routes: null,
    limits: [],
    createdAt: now,
    estimatedCompletionAt: now,
    idempotency: undefined,
    ...changes,
  }
}

async function add(accountId: bigint, changes: Partial<Submission> = {}): Promise<string> {
  return (await submit(submission(accountId, changes))).jobId
}

/** All pages, from the newest to the oldest; `between` runs before each next page. */
async function allPages(
  accountId: bigint,
  options: Partial<ListOptions>,
  between: () => Promise<unknown> = async () => {},
): Promise<string[][]> {
  const pages: string[][] = []
  let cursor: string | undefined
  do {
    const page = await listJobs(pool, accountId, { limit: 7, ...options, cursor })
    pages.push(page.jobs.map((job) => job.jobId))
    cursor = page.nextCursor ?? undefined
    await between()
  } while (cursor !== undefined)
  return pages
}

test('jobs are listed newest first, in pages that end where the jobs do', async () => {
  const { accountId } = await makeCustomer(pool)
  const added: string[] = []
  for (let index = 0; index < 14; index++) added.unshift(await add(accountId))
  assert.deepEqual(await allPages(accountId, {}), [added.slice(0, 7), added.slice(7)])
  assert.deepEqual(await allPages(accountId, { limit: 14 }), [added])
  assert.deepEqual(await allPages(accountId, { limit: 13 }), [added.slice(0, 13), added.slice(13)])
  assert.deepEqual(await allPages((await makeCustomer(pool)).accountId, {}), [[]])
})

test('no job is listed twice or missed while others are added between the pages', async () => {
  const { accountId } = await makeCustomer(pool)
  const added: string[] = []
  for (let index = 0; index < 30; index++) added.unshift(await add(accountId))
  const listed = await allPages(accountId, {}, () => Promise.all([add(accountId), add(accountId)]))
  assert.deepEqual(listed.flat(), added)
})

test('a job that has been seen to be there is in every later list, while five writers add jobs', async () => {
  const { accountId } = await makeCustomer(pool)
  const other = await makeCustomer(pool)
  // processes of their own would share nothing but the database; so do these
  const writers = Array.from({ length: 5 }, () => createSubmit(submitPool, pino({ level: 'silent' })))
  const answered: string[] = []
  const writing = Promise.all(
    writers.map(async (write) => {
      for (let index = 0; index < 25; index++) {
        const [job] = await Promise.all([write(submission(accountId)), write(submission(other.accountId))])
        answered.push(job.jobId)
      }
    }),
  )
  let isWriting = true
  const done = writing.finally(() => {
    isWriting = false
  })
  let rounds = 0
  while (isWriting) {
    const known = [...answered]
    const listed = (await allPages(accountId, { limit: 9 })).flat()
    assert.equal(new Set(listed).size, listed.length, 'a job is listed twice')
    const missed = known.filter((jobId) => !listed.includes(jobId))
    assert.deepEqual(missed, [])
    rounds++
  }
  await done
  assert.ok(rounds > 0)
  const all = (await allPages(accountId, {})).flat()
  assert.deepEqual(all.toSorted(), answered.toSorted())
})

test("a page's order never changes: what was behind a cursor stays there", async () => {
  const { accountId } = await makeCustomer(pool)
  for (let index = 0; index < 10; index++) await add(accountId)
  const first = await listJobs(pool, accountId, { limit: 4 })
  const options = { limit: 100, cursor: first.nextCursor! }
  const before = await listJobs(pool, accountId, options)
  await Promise.all(Array.from({ length: 20 }, () => add(accountId)))
  await pool.query("update jobs set status = 'cancelled', completed_at = now() where id = $1", [
    before.jobs[0]!.jobId,
  ])
  const after = await listJobs(pool, accountId, options)
  assert.deepEqual(
    after.jobs.map((job) => job.jobId),
    before.jobs.map((job) => job.jobId),
  )
  assert.equal(after.jobs[0]!.status, 'cancelled')
})

test('filters leave what matches, together and over pages', async () => {
  const { accountId } = await makeCustomer(pool)
  const text = { modelSlug: 'kling-plus/kling-o3-standard/text-to-video' }
  const plain = await add(accountId)
  const blue = await add(accountId, { metadata: { team: 'blue', shot: '1' } })
  const red = await add(accountId, { ...text, metadata: { team: 'red' } })
  const blueText = await add(accountId, { ...text, metadata: { team: 'blue' } })
  await pool.query("update jobs set status = 'cancelled', completed_at = now() where id = any($1)", [
    [blue, red],
  ])
  const list = async (options: Partial<ListOptions>) =>
    (await allPages(accountId, { limit: 1, ...options })).flat()
  assert.deepEqual(await list({}), [blueText, red, blue, plain])
  assert.deepEqual(await list({ status: 'cancelled' }), [red, blue])
  assert.deepEqual(await list({ status: 'failed' }), [])
  assert.deepEqual(await list({ modelSlug: text.modelSlug }), [blueText, red])
  assert.deepEqual(await list({ modelSlug: 'kling-plus/kling-o3-standard' }), [])
  assert.deepEqual(await list({ metadata: { team: 'blue' } }), [blueText, blue])
  assert.deepEqual(await list({ metadata: { team: 'blue', shot: '1' } }), [blue])
  assert.deepEqual(await list({ metadata: { team: 'Blue' } }), [])
  assert.deepEqual(await list({ metadata: { "x' or '1'='1": '' } }), [])
  assert.deepEqual(await list({ metadata: { team: 'blue' }, status: 'pending', ...text }), [blueText])
})

test('a cursor that no list answered is refused', async () => {
  const { accountId } = await makeCustomer(pool)
  const encoded = (value: string) => Buffer.from(value).toString('base64url')
  for (const cursor of [
    '',
    'x',

    '1',
    encoded('1'),
    encoded('p'),
    encoded('p-1'),
    encoded('p1 '),
    encoded(`p${'9'.repeat(30)}`),
  ]) {
    await assert.rejects(
      listJobs(pool, accountId, { limit: 1, cursor }),
      { code: 'VALIDATION_ERROR' },
      cursor,
    )
  }
})

test("a cursor of another account shows none of that account's jobs", async () => {
  const [one, other] = [await makeCustomer(pool), await makeCustomer(pool)]
  const own = await add(one.accountId)
  for (let index = 0; index < 3; index++) await add(other.accountId)
  const { nextCursor } = await listJobs(pool, other.accountId, { limit: 1 })
  const { jobs } = await listJobs(pool, one.accountId, { limit: 10, cursor: nextCursor! })
  assert.deepEqual(
    jobs.map((job) => job.jobId),
    [own],
  )
})

test('a job that is not there, and one of another account, are told apart', async () => {
  const [one, other] = [await makeCustomer(pool), await makeCustomer(pool)]
  const jobId = await add(one.accountId, { metadata: { a: 'b' } })
  const job = await getJob(one.accountId, jobId)
  assert.deepEqual(
    [job.status, job.costMicroCents, job.refundedMicroCents, job.metadata, job.outputs, job.error],
    ['pending', 1, 0, { a: 'b' }, [], null],
  )
  await assert.rejects(getJob(other.accountId, jobId), { code: 'UNAUTHORIZED_ACCESS' })
  await assert.rejects(getJob(one.accountId, 'job_none'), { code: 'JOB_NOT_FOUND' })
})

test('the webhook of a job is pending from the start, and null where none was asked for', async () => {
  const { accountId } = await makeCustomer(pool)
  const asked = await add(accountId, { webhookUrl: 'https://example.com/hook' })
  assert.equal((await getJob(accountId, asked)).webhookStatus, 'pending')
  assert.equal((await getJob(accountId, await add(accountId))).webhookStatus, null)
})
