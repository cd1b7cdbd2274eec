import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { createS3Storage } from '../src/storage/s3.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { s3Error, startS3Server } from './s3-server.ts'
import { imageToVideo, seedBody } from './seeds.ts'
import { until } from './until.ts'

const database = await cloneDatabase()
const store = await startS3Server()
atEnd(store.stop)
const s3 = await store.newBucket()
const settings = { s3, publicUrl: 'https://films.example.com' }
// two machines: each has a disk of its own, and only one renders
const front = await startGateway({ databaseUrl: database.url, role: 'api', settings })
const back = await startGateway({ databaseUrl: database.url, settings })
const customer = await makeCustomer(database.pool)
const storage = await createS3Storage(s3, { temporaryDirectory: front.dataDir })
atEnd(storage.close)

const picture = createCanvas(400, 400).toBuffer('image/png')
const pathOf = (url: string) => new URL(url).pathname + new URL(url).search
const fetchFrom = (machine: { url: string }, url: string, options: RequestInit = {}) =>
  fetch(machine.url + pathOf(url), options)

async function upload() {
  const { body } = await front.call('POST', '/v1/uploads/presign', {
    key: customer.key,
    body: { filename: 'cat.png', contentType: 'image/png' },
  })
  const put = await fetchFrom(back, body.data.uploadUrl, {
    method: 'PUT',
    headers: { 'content-type': 'image/png' },
    body: new Uint8Array(picture),
  })
  assert.equal(put.status, 200, await put.text())
  return body.data as { fileUrl: string; fileId: string }
}

test('a file that one machine took is served by the other, whole, by range and by HEAD', async () => {
  const { fileUrl, fileId } = await upload()
  const whole = await fetchFrom(front, fileUrl)
  assert.equal(whole.headers.get('content-type'), 'image/png')
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), picture)
  const part = await fetchFrom(front, fileUrl, { headers: { range: 'bytes=4-9' } })
  assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 4-9/${picture.length}`])
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), picture.subarray(4, 10))
  const head = await fetchFrom(front, fileUrl, { method: 'HEAD', headers: { range: 'bytes=-10' } })
  assert.deepEqual([head.status, head.headers.get('content-length')], [206, '10'])
  const beyond = await fetchFrom(front, fileUrl, { headers: { range: `bytes=${picture.length}-` } })
  assert.equal(beyond.status, 416)
  assert.equal((await storage.stat(`uploads/${fileId}.png`))?.bytes, picture.length)
})

test('a job that one machine took, from an upload of the other, is rendered there and served by both', async () => {
  const { fileUrl } = await upload()
  const seed = seedBody(imageToVideo)
  const body = { ...seed, input: { ...seed.input, duration: '5', image_url: fileUrl } }
  const { body: submitted } = await front.call('POST', '/v1/jobs/submit', { key: customer.key, body })
  assert.equal(submitted.status, 'pending', JSON.stringify(submitted))
  const job = await front.ended(submitted.jobId, customer.key)
  assert.equal(job.status, 'completed', JSON.stringify(job))
  const films = await Promise.all(
    [front, back].map(async (machine) => {
      const answer = await fetchFrom(machine, job.output)
      assert.equal(answer.headers.get('content-type'), 'video/mp4')
      return createHash('sha256')
        .update(Buffer.from(await answer.arrayBuffer()))
        .digest('hex')
    }),
  )
  assert.equal(films[0], films[1])
  const kept = await Array.fromAsync(storage.list(`outputs/${submitted.jobId}/`))
  assert.ok(kept.includes(`outputs/${submitted.jobId}/0.mp4`), kept.join())
})

test('nothing of a customer lies on the disk of a machine that has an S3 store', async () => {
  await upload()
  for (const { dataDir } of [front, back]) {
    assert.equal(existsSync(join(dataDir, 'files')), false)
    assert.equal(existsSync(join(dataDir, 'signing-secret')), false)
  }
})

test('a store that fails is told by the health and by a plain 503, without inner detail', async () => {
  const { fileUrl } = await upload()
  store.meddle = (_, response) => s3Error(response, 403, 'AccessDenied')
  const answer = await front.call('GET', front.url + pathOf(fileUrl))
  assert.equal(answer.status, 503)
  assert.equal(answer.body.error.code, 'SERVICE_UNAVAILABLE')
  assert.doesNotMatch(JSON.stringify(answer.body), /S3|AccessDenied|films-/)
  const health = await front.call('GET', '/health/ready')
  assert.deepEqual([health.status, health.body.checks.storage], [503, 'failed'])
  store.meddle = () => false
  await until(async () => (await front.call('GET', '/health/ready')).status === 200)
})
