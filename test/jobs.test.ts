import assert from 'node:assert/strict'
import { execFile as execFileCallback } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { imageSize } from 'image-size'
import { drawCat } from '../demo/cat.ts'
import { jobFailures } from '../src/errors.ts'
import { decodeEveryFrame } from '../src/media/frames.ts'
import { atEnd } from './at-end.ts'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'

const execFile = promisify(execFileCallback)
const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, allowPrivateNetwork: true })
const customer = await makeCustomer(database.pool, { microCents: 1_000_000_000n })
const cat = drawCat()

/** Serves one body per path, on loopback. */
async function serveFiles(files: Record<string, { status?: number; body: Buffer }>): Promise<string> {
  const server = createServer((request, response) => {
    const file = files[request.url ?? '']
    response.writeHead(file?.status ?? (file ? 200 : 404)).end(file?.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function submit(model: string, options: Record<string, unknown>): Promise<string> {
  const { input } = seedBody(model)
  const body = { model, input: { ...input, ...options } }
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key: customer.key, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body.jobId
}

const run = async (model: string, options: Record<string, unknown>) => {
  const jobId = await submit(model, options)
  return { jobId, job: await gateway.ended(jobId, customer.key) }
}

/** Downloads a completed job's file and decodes all of it. */
async function decode(job: { output: string }) {
  const answer = await fetch(job.output)
  assert.equal(answer.status, 200)
  const path = join(gateway.dataDir, `${Math.random()}.mp4`)
  await writeFile(path, Buffer.from(await answer.arrayBuffer()))
  const decoded = await decodeEveryFrame(path)
  assert.ok(decoded.ok, JSON.stringify(decoded))
  await compareWithFfprobe(path, decoded)
  return decoded
}

/** A second opinion by a decoder that shares nothing with ours, where the machine has one. */
async function compareWithFfprobe(
  path: string,
  ours: { videoFrames: number; width: number; height: number; audioSamples: number },
) {
  const streams = await execFile('ffprobe', [
    ...['-v', 'error', '-count_frames', '-print_format', 'json'],
    ...['-show_entries', 'stream=codec_name,pix_fmt,width,height,nb_read_frames,r_frame_rate', path],
  ]).then(
    ({ stdout }) => JSON.parse(stdout).streams as Record<string, unknown>[],
    (error) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    },
  )
  if (streams === undefined) return
  const { width, height } = ours
  const [video, audio] = streams
  assert.deepEqual(video, {
    codec_name: 'h264',
    pix_fmt: 'yuv420p',
    r_frame_rate: '24/1',
    width,
    height,
    nb_read_frames: String(ours.videoFrames),
  })
  assert.equal(audio?.codec_name, ours.audioSamples > 0 ? 'aac' : undefined)
}

async function uploadCat(): Promise<string> {
  const { body } = await gateway.call('POST', '/v1/uploads/presign', {
    key: customer.key,
    body: { filename: 'cat.jpg', contentType: 'image/jpeg' },
  })
  const put = await gateway.call('PUT', body.data.uploadUrl, {
    body: cat,
    headers: { 'content-type': 'image/jpeg' },
  })
  assert.equal(put.status, 200, JSON.stringify(put.body))
  return body.data.fileUrl
}

async function refundedOnce(jobId: string, job: { costMicroCents: number; refundedMicroCents: number }) {
  assert.equal(job.refundedMicroCents, job.costMicroCents)
  assert.deepEqual(await transfersOf(database.pool, jobId), { charges: 1, refunds: 1 })
}

test('text to video gives a file of the asked length and shape that decodes, with poster and thumbnail', async () => {
  const { jobId, job } = await run(textToVideo, { duration: '3', has_sound: 'true', aspect_ratio: '9:16' })
  assert.equal(job.status, 'completed', JSON.stringify(job.error))
  assert.equal(job.progress, 100)
  assert.equal(job.error, null)
  const decoded = await decode(job)
  assert.equal(decoded.videoFrames, 72)
  assert.deepEqual([decoded.width, decoded.height], [720, 1280])
  assert.ok(Math.abs(decoded.durationSeconds - 3) < 1 / 24)
  assert.ok(Math.abs(decoded.audioSamples - 3 * 48_000) <= 2 * 1024)
  assert.equal(job.outputs.length, 1)
  assert.equal(job.outputs[0].type, 'video')
  for (const url of [job.outputs[0].posterImage, job.outputs[0].thumbnail]) {
    const picture = await fetch(url)
    assert.equal(picture.headers.get('content-type'), 'image/jpeg')
    assert.deepEqual([...new Uint8Array(await picture.arrayBuffer()).subarray(0, 3)], [0xff, 0xd8, 0xff])
  }
  assert.deepEqual(await transfersOf(database.pool, jobId), { charges: 1, refunds: 0 })
})

test('image to video takes an upload of the gateway, and a URL elsewhere, in both qualities', async () => {
  const origin = await serveFiles({ '/cat.jpg': { body: cat } })
  const [std, pro] = await Promise.all([
    run(imageToVideo, { image_url: await uploadCat() }),
    run(imageToVideo, { image_url: `${origin}/cat.jpg`, quality: 'pro', aspect_ratio: '1:1' }),
  ])
  assert.equal(std.job.status, 'completed', JSON.stringify(std.job.error))
  assert.equal(pro.job.status, 'completed', JSON.stringify(pro.job.error))
  const [small, large] = [await decode(std.job), await decode(pro.job)]
  assert.deepEqual([small.width, small.height, small.videoFrames, small.audioSamples], [1280, 720, 120, 0])
  assert.deepEqual([large.width, large.height, large.videoFrames], [1080, 1080, 120])
})

test('an edit gives as many pictures as asked, each with a thumbnail and no poster beside itself', async () => {
  const model = 'bytedance-plus/seedream-v5-lite/image-to-image'
  const options = { resolution: '1K', aspect_ratio: '3:4', num_images: '2' }
  const input = { prompt: 'Make it winter', image_urls: [await uploadCat(), await uploadCat()], ...options }
  const { body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: { model, input },
  })
  const job = await gateway.ended(body.jobId, customer.key)
  assert.equal(job.status, 'completed', JSON.stringify(job.error))
  assert.equal(job.outputs.length, 2)
  for (const output of job.outputs) {
    assert.deepEqual([output.type, output.posterImage], ['image', null])
    const picture = await fetch(output.url)
    assert.equal(picture.headers.get('content-type'), 'image/jpeg')
    const { width, height } = imageSize(new Uint8Array(await picture.arrayBuffer()))
    assert.deepEqual([width, height], [886, 1182])
    assert.equal((await fetch(output.thumbnail)).headers.get('content-type'), 'image/jpeg')
  }
  assert.deepEqual(await transfersOf(database.pool, body.jobId), { charges: 1, refunds: 0 })
})

test('an input picture that is not there, is no picture, or is cut off fails the job and refunds it', async () => {
  const origin = await serveFiles({
    '/text.jpg': { body: Buffer.from('this is no picture') },
    '/cut.jpg': { body: cat.subarray(0, cat.length / 2) },
    '/gone.jpg': { status: 410, body: Buffer.alloc(0) },
    '/large.jpg': { body: Buffer.concat([cat, Buffer.alloc(11_000_000)]) },
  })
  const expected: [string, string][] = [
    [`${origin}/nothing-here.jpg`, 'INPUT_MEDIA_UNREACHABLE'],
    [`${origin}/gone.jpg`, 'INPUT_MEDIA_UNREACHABLE'],
    ['http://127.0.0.1:9/refused.jpg', 'INPUT_MEDIA_UNREACHABLE'],
    [`${origin}/text.jpg`, 'INPUT_MEDIA_INVALID'],
    [`${origin}/cut.jpg`, 'INPUT_MEDIA_INVALID'],
    [`${origin}/large.jpg`, 'INPUT_MEDIA_INVALID'],
  ]
  await Promise.all(
    expected.map(async ([image_url, code]) => {
      const { jobId, job } = await run(imageToVideo, { image_url })
      assert.equal(job.status, 'failed', image_url)
      assert.equal(job.error.code, code, image_url)
      assert.match(job.error.message, /image_url: .*refunded/)
      assert.equal(job.progress, 0)
      assert.equal(job.output, null)
      await refundedOnce(jobId, job)
    }),
  )
})

test('magic prompts force every failure code, each refunded once', async () => {
  await Promise.all(
    Object.keys(jobFailures).map(async (code) => {
      const { jobId, job } = await run(textToVideo, { prompt: `a cat [sandbox:fail ${code}]` })
      assert.equal(job.status, 'failed')
      assert.equal(job.error.code, code)
      assert.match(job.error.message, /refunded/)
      await refundedOnce(jobId, job)
    }),
  )
})

test('a missing output and a lost provider fail and refund the job', async () => {
  const [missing, lost] = await Promise.all([
    run(textToVideo, { duration: '3', prompt: 'a lake [sandbox:output-404]' }),
    run(textToVideo, { prompt: 'a lake [sandbox:lost 2]' }),
  ])
  assert.equal(missing.job.error.code, 'OUTPUT_UNAVAILABLE')
  await refundedOnce(missing.jobId, missing.job)
  assert.equal(lost.job.error.code, 'PROVIDER_TIMEOUT')
  await refundedOnce(lost.jobId, lost.job)
})

test('a pending job is cancelled and refunded once; a second cancel, and one of what a provider has, are refused', async () => {
  const balance = await balanceOf(database.pool, customer.accountId)
  const jobId = await submit(textToVideo, { prompt: 'slow [sandbox:pending 60]' })
  const cancel = () => gateway.call('POST', `/v1/jobs/${jobId}/cancel`, { key: customer.key })
  const first = await cancel()
  assert.deepEqual(first.body, { jobId, status: 'cancelled', refundedMicroCents: 420_000 })
  const second = await cancel()
  assert.equal(second.status, 400)
  assert.equal(second.body.error.code, 'JOB_CANNOT_BE_CANCELLED')
  assert.equal(await balanceOf(database.pool, customer.accountId), balance)
  assert.deepEqual(await transfersOf(database.pool, jobId), { charges: 1, refunds: 1 })

  const processing = await submit(textToVideo, { duration: '3', prompt: 'slow [sandbox:processing 2]' })
  const isAccepted = "select from attempts where job_id = $1 and status = 'accepted'"
  await until(async () => (await database.pool.query(isAccepted, [processing])).rowCount === 1)
  const late = await gateway.call('POST', `/v1/jobs/${processing}/cancel`, { key: customer.key })
  assert.equal(late.body.error.code, 'JOB_CANNOT_BE_CANCELLED')
  assert.match(late.body.error.message, /its provider has it/)
  assert.equal((await gateway.ended(processing, customer.key)).status, 'completed')
})

const photographs = join(import.meta.dirname, '../../shared/media')
test('photographs of all kinds are animated', { skip: !existsSync(photographs) }, async () => {
  const names = [
    'chelsea.png',
    'camera.png',
    'palette_color.png',
    'checker_bilevel.png',
    'hubble_deep_field.jpg',
  ]
  const files = await Promise.all(
    names.map(async (name) => [`/${name}`, { body: await readFile(join(photographs, name)) }]),
  )
  const origin = await serveFiles(Object.fromEntries(files))
  for (const name of names) {
    const { job } = await run(imageToVideo, { image_url: `${origin}/${name}`, prompt: 'slow zoom in' })
    assert.equal(job.status, 'completed', `${name}: ${JSON.stringify(job.error)}`)
  }
})

test('nothing is left behind: the ledger is in order, and no task, input or render stays', async () => {
  assert.deepEqual(await ledgerProblems(database.pool), [])
  const { rowCount: unfinished } = await database.pool.query(
    "select from jobs where status in ('pending', 'processing')",
  )
  assert.equal(unfinished, 0)
  // a job has ended a moment before the task that ended it
  await until(async () => {
    const { rowCount } = await database.pool.query(
      "select from graphile_worker.jobs where run_at < now() + interval '30 s'",
    )
    return rowCount === 0
  })
  assert.deepEqual(await readdir(join(gateway.dataDir, 'tmp')), [])
  const kept = await readdir(join(gateway.dataDir, 'files', 'sandbox'))
  // beside the jobs there is the process's own sign of life
  assert.deepEqual(
    kept.filter((name) => !name.startsWith('process-')),
    [],
  )
})
