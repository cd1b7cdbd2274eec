import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLocalStorage } from '../src/storage/local.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { addCompletedJob } from './outputs-fixture.ts'
import { seedBody, textToVideo } from './seeds.ts'

const { pool, url: databaseUrl } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl, role: 'api' })
const directory = join(gateway.dataDir, 'files')
const storage = await createLocalStorage({ directory })
const customer = await makeCustomer(pool)

const get = async (jobId: string) =>
  (await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })).body
const remove = (jobId: string, key = customer.key) =>
  gateway.call('DELETE', `/v1/jobs/${jobId}/outputs`, { key })

async function assertRefused(answer: Awaited<ReturnType<typeof remove>>, status: number, code: string) {
  assert.deepEqual([answer.status, answer.body.error.code], [status, code])
}

test('when a delete has answered the files are gone, their links too, and the job says since when', async () => {
  const { jobId, keys } = await addCompletedJob(pool, storage, customer)
  const before = await get(jobId)
  assert.equal(before.outputsDeletedAt, null)
  assert.equal((await gateway.call('GET', before.output)).status, 200)

  const answer = await remove(jobId)
  assert.equal(answer.status, 200)
  const { outputsDeletedAt } = answer.body
  assert.deepEqual(answer.body, { jobId, outputsDeletedAt })
  for (const key of keys) assert.equal(await storage.stat(key), undefined)
  const after = await get(jobId)
  assert.deepEqual(
    [after.status, after.progress, after.output, after.outputs, after.outputsDeletedAt],
    ['completed', 100, null, null, outputsDeletedAt],
  )
  for (const link of [before.output, before.outputs[0].thumbnail, before.outputs[0].posterImage]) {
    const gone = await gateway.call('GET', link)
    await assertRefused(gone, 404, 'NOT_FOUND')
    assert.equal(
      gone.body.error.message,
      `This file was deleted, with the others of its job, at ${outputsDeletedAt}.`,
    )
  }
})

test('deleting again changes nothing, also several times at once', async () => {
  const { jobId } = await addCompletedJob(pool, storage, customer)
  const answers = await Promise.all(Array.from({ length: 5 }, () => remove(jobId)))
  const moments = new Set(answers.map((answer) => answer.body.outputsDeletedAt))
  assert.deepEqual([...moments], [(await get(jobId)).outputsDeletedAt])
  assert.deepEqual((await remove(jobId)).body.outputsDeletedAt, [...moments][0])
})

test('files that the storage does not give up are an error that may be tried again, and the job keeps them', async () => {
  const { jobId, keys } = await addCompletedJob(pool, storage, customer)
  const path = join(directory, keys[2])
  await rm(path)
  // a folder is no file that could be removed
  await mkdir(path)
  const answer = await remove(jobId)
  await assertRefused(answer, 500, 'INTERNAL_ERROR')
  assert.match(answer.body.error.message, /Send the request again/)
  assert.equal((await get(jobId)).outputsDeletedAt, null)
  await rm(path, { recursive: true })
  assert.equal((await remove(jobId)).status, 200)
})

test('a job that has not ended keeps its files, and one that was cancelled has none', async () => {
  const submitted = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: seedBody(textToVideo),
  })
  const { jobId } = submitted.body
  const early = await remove(jobId)
  await assertRefused(early, 400, 'VALIDATION_ERROR')
  assert.match(early.body.error.message, /is pending: its files can be deleted once it has ended/)
  const cancelled = await gateway.call('POST', `/v1/jobs/${jobId}/cancel`, { key: customer.key })
  assert.equal(cancelled.status, 200, JSON.stringify(cancelled.body))
  assert.deepEqual((await remove(jobId)).body, { jobId, outputsDeletedAt: null })
})

test("another account's files are not deleted, nor by a key that may only read", async () => {
  const { jobId, keys } = await addCompletedJob(pool, storage, customer)
  await assertRefused(await remove(jobId, (await makeCustomer(pool)).key), 403, 'UNAUTHORIZED_ACCESS')
  const reader = await makeCustomer(pool, { scopes: ['check_status', 'list_models'] })
  await assertRefused(await remove(jobId, reader.key), 403, 'OPERATION_NOT_ALLOWED')
  await assertRefused(await remove('job_none'), 404, 'JOB_NOT_FOUND')
  assert.notEqual(await storage.stat(keys[0]), undefined)
})
