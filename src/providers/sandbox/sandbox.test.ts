import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createCanvas } from '@napi-rs/canvas'
import { jobFailures } from '../../errors.ts'
import type { Storage } from '../../storage/storage.ts'
import type { InputMedia, Json } from '../provider.ts'
import {
  accepted,
  callContext,
  ended,
  handClock,
  inStorage,
  inspectFilm,
  keptIn,
  polled,
  requestOf,
  submitContext,
} from './fixture.ts'
import { createSandbox, type Sandbox } from './sandbox.ts'
import { type JobState, jobKeys, readJson, sweepLeftovers, writeJson } from './store.ts'

interface Given {
  sandbox: Sandbox
  clock: ReturnType<typeof handClock>
  storage: Storage
  directory: string
}

async function withSandbox(run: (given: Given) => Promise<void>, stopLimitMs?: number): Promise<void> {
  await inStorage(async (storage, directory) => {
    const clock = handClock()
    const sandbox = createSandbox({
      storage,
      temporaryDirectory: directory,
      clock,
      threads: 1,
      ...(stopLimitMs !== undefined && { stopLimitMs }),
    })
    try {
      await run({ sandbox, clock, storage, directory })
    } finally {
      await sandbox.close()
    }
  })
}

async function pictureAt(path: string, bytes: Uint8Array): Promise<Record<string, InputMedia[]>> {
  await writeFile(path, bytes)
  return { image_url: [{ path, contentType: 'image/png', kind: 'image', width: 30, height: 20 }] }
}

/** Without the signs of life of processes. */
async function keptOfJobs(storage: Storage): Promise<string[]> {
  return (await keptIn(storage)).filter((key) => key.startsWith('sandbox/job_'))
}

test('a job ends with a playable file in the storage', async () => {
  await withSandbox(async ({ sandbox, storage }) => {
    const outcome = await ended(sandbox, await accepted(sandbox, requestOf({})))
    assert.equal(outcome.status, 'succeeded')
    const { source } = outcome.outputs[0]!
    assert.ok('key' in source)
    const frames = await storage.withLocalFile(source.key, async (path) => (await inspectFilm(path)).frames)
    assert.equal(frames, 24)
  })
})

test('the input picture may go once submit has returned', async () => {
  await withSandbox(async ({ sandbox, directory }) => {
    const path = join(directory, 'upload')
    const media = await pictureAt(path, createCanvas(30, 20).toBuffer('image/png'))
    const operation = await accepted(sandbox, requestOf({}, { media }))
    await rm(path)
    assert.equal((await ended(sandbox, operation)).status, 'succeeded')
  })
})

test('a submit that is repeated makes no second job', async () => {
  await withSandbox(async ({ sandbox, clock, storage }) => {
    const first = await accepted(sandbox, requestOf({}))
    clock.pass(4)
    assert.deepEqual(await accepted(sandbox, requestOf({})), first)
    assert.equal((await ended(sandbox, first)).status, 'succeeded')
    const state = await readJson<JobState>(storage, jobKeys('job_1').state)
    assert.equal(state?.attempt, 1)
  })
})

test('a submit whose files could not be kept is surely not taken', async () => {
  await withSandbox(async ({ sandbox, storage, directory }) => {
    const path = join(directory, 'upload')
    const media = await pictureAt(path, createCanvas(30, 20).toBuffer('image/png'))
    await rm(path)
    const outcome = await sandbox.submit(requestOf({}, { media }), submitContext)
    assert.equal(outcome.outcome, 'unavailable')
    assert.deepEqual(await keptIn(storage), [])
  })
})

test('a submit that is given up ends at once and makes no job', async () => {
  await withSandbox(async ({ sandbox, storage }) => {
    const context = { ...submitContext, signal: AbortSignal.abort(new Error('too late')) }
    await assert.rejects(sandbox.submit(requestOf({}), context), /too late/)
    assert.deepEqual(await sandbox.find!(requestOf({}), submitContext), { outcome: 'absent' })
    assert.deepEqual(await keptIn(storage), [])
  })
})

test('a picture that cannot be decoded fails the job as invalid input', async () => {
  await withSandbox(async ({ sandbox, directory }) => {
    const whole = createCanvas(300, 200).toBuffer('image/png')
    for (const [index, bytes] of [Buffer.from('not a picture'), whole.subarray(0, 60)].entries()) {
      const media = await pictureAt(join(directory, 'upload'), bytes)
      const outcome = await ended(
        sandbox,
        await accepted(sandbox, requestOf({}, { jobId: `job_${index}`, media })),
      )
      assert.equal(outcome.status === 'failed' && outcome.code, 'INPUT_MEDIA_INVALID')
    }
  })
})

/** A job in the storage that nobody renders yet; its parts differ from those of an ordinary one. */
async function keptJob({ sandbox, storage }: Given, changes: object): Promise<Json> {
  const failing = await accepted(sandbox, requestOf({ prompt: '[sandbox:fail GENERATION_FAILED]' }))
  const { magic, request, ...job } = failing as Record<string, object>
  const operation = { ...job, magic: { ...magic, fail: null }, request: { ...request, ...changes } }
  await writeJson(storage, jobKeys('job_1').request, operation)
  return operation as unknown as Json
}

test('a render that throws fails the job', async () => {
  await withSandbox(async (given) => {
    const outcome = await ended(given.sandbox, await keptJob(given, { width: -2 }))
    assert.equal(outcome.status === 'failed' && outcome.code, 'GENERATION_FAILED')
  })
})

test('a job whose files are gone fails', async () => {
  await withSandbox(async (given) => {
    const sources = [{ kind: 'image', use: 'scene' }]
    const outcome = await ended(given.sandbox, await keptJob(given, { sources }))
    assert.equal(outcome.status === 'failed' && outcome.code, 'GENERATION_FAILED')
  })
})

test('every failure code can be forced by the prompt', async () => {
  await withSandbox(async ({ sandbox }) => {
    for (const code of Object.keys(jobFailures)) {
      const request = requestOf(
        { prompt: `A cat [sandbox:fail ${code}]` },
        { jobId: `job_${code.toLowerCase()}` },
      )
      const outcome = await polled(sandbox, await accepted(sandbox, request))
      assert.ok(outcome.status === 'failed' && outcome.code === code)
    }
  })
})

test('a malformed magic prompt is refused with its remedy', async () => {
  await withSandbox(async ({ sandbox }) => {
    const outcome = await sandbox.submit(requestOf({ prompt: 'A cat [sandbox:pending soon]' }), submitContext)
    assert.equal(outcome.outcome, 'refused')
    assert.match(outcome.message, /seconds from 0 to 3600/)
  })
})

test('a pending prompt keeps the job waiting for its seconds', async () => {
  await withSandbox(async ({ sandbox }) => {
    const request = requestOf({ prompt: 'A cat [sandbox:pending 30]' })
    assert.equal(sandbox.admit!(request, 0), 30_000)
    assert.equal(sandbox.admit!(request, 29_000), 1_000)
    assert.equal(sandbox.admit!(request, 31_000), 0)
    assert.equal(sandbox.admit!(requestOf({}), 0), 0)
  })
})

test('a busy sandbox lets further jobs wait before they start, and takes them once it has room', async () => {
  await withSandbox(async ({ sandbox }) => {
    const operations: Json[] = []
    const long = { duration: '30', resolution: '720p' }
    for (let index = 0; sandbox.admit!(requestOf({}), 0) === 0; index++) {
      assert.ok(index < 3, 'one thread takes more than a minute’s work')
      operations.push(await accepted(sandbox, requestOf(long, { jobId: `job_line_${index}` })))
    }
    assert.equal(operations.length, 3)
    assert.equal(sandbox.admit!(requestOf({}), 0), 500)
    assert.equal(sandbox.admit!(requestOf({}), 60_000), 15_000)
    assert.equal(sandbox.admit!(requestOf({}), 600_000), 60_000)
    for (const operation of operations) await sandbox.forget!(operation, callContext)
    assert.equal(sandbox.admit!(requestOf({}), 0), 0)
  })
})

test('what takes longer to draw is expected later and gets more time', async () => {
  await withSandbox(async ({ sandbox }) => {
    const still = { slug: 'acme/painter/text-to-image', capability: 'text-to-image' }
    const growing = [
      { ...requestOf({}), model: still },
      { ...requestOf({ resolution: '2k', num_images: '2' }), model: still },
      requestOf({ duration: '5', resolution: '720p' }),
      requestOf({ duration: '5', resolution: '720p', fps: '60' }),
      requestOf({ duration: '5', resolution: '4k', fps: '60' }),
    ]
    for (const figure of [sandbox.expectedMs!, sandbox.timeLimitMs]) {
      const figures = growing.map((request) => figure(request))
      assert.deepEqual(
        figures,
        [...new Set(figures)].sort((one, other) => one - other),
      )
    }
  })
})

test('a processing prompt keeps the job running for its seconds, even when the film is done', async () => {
  await withSandbox(async ({ sandbox, clock, storage }) => {
    const request = requestOf({ prompt: 'A cat [sandbox:processing 60]' })
    const operation = await accepted(sandbox, request)
    while ((await readJson<JobState>(storage, jobKeys('job_1').state))?.end?.status !== 'succeeded') {
      assert.equal((await polled(sandbox, operation)).status, 'running')
      await delay(25)
    }
    clock.pass(59)
    assert.equal((await polled(sandbox, operation)).status, 'running')
    clock.pass(1)
    // the render hears a moment later than the storage that it is done
    assert.equal((await ended(sandbox, operation)).status, 'succeeded')
  })
})

test('an output-404 prompt succeeds with a file that is not there', async () => {
  await withSandbox(async ({ sandbox }) => {
    const operation = await accepted(sandbox, requestOf({ prompt: 'A cat [sandbox:output-404]' }))
    const outcome = await ended(sandbox, operation)
    assert.equal(outcome.status, 'succeeded')
    const { source } = outcome.outputs[0]!
    assert.deepEqual(source, { key: 'sandbox/job_1/missing' })
  })
})

test('a lost prompt is accepted, never answered, and limited to its seconds', async () => {
  await withSandbox(async ({ sandbox, clock }) => {
    const request = requestOf({ prompt: 'A cat [sandbox:lost 3]' })
    const operation = await accepted(sandbox, request)
    assert.equal((await polled(sandbox, operation)).status, 'running')
    clock.pass(3600)
    assert.equal((await polled(sandbox, operation)).status, 'running')
    assert.equal(sandbox.timeLimitMs(request), 3_000)
  })
})

test('forget removes all that is kept of the job, also in the middle of a render', async () => {
  await withSandbox(async ({ sandbox, storage, directory }) => {
    const media = await pictureAt(join(directory, 'upload'), createCanvas(30, 20).toBuffer('image/png'))
    const operation = await accepted(sandbox, requestOf({ duration: '30' }, { media }))
    await sandbox.forget!(operation, callContext)
    assert.deepEqual(await keptOfJobs(storage), [])
    assert.deepEqual(await polled(sandbox, operation), { status: 'absent' })
    assert.deepEqual(await sandbox.find!(requestOf({}), submitContext), { outcome: 'absent' })
  })
})

test('a film that is done leaves nothing on the machine that made it', async () => {
  await withSandbox(async ({ sandbox, directory }) => {
    await ended(sandbox, await accepted(sandbox, requestOf({})))
    assert.deepEqual(await readdir(directory), ['files'])
  })
})

test('a render that is not heard of stopping loses its thread, and the next one gets another', async () => {
  await withSandbox(async ({ sandbox, storage }) => {
    const operation = await accepted(sandbox, requestOf({ duration: '30' }, { jobId: 'job_1' }))
    await sandbox.forget!(operation, callContext)
    assert.deepEqual(await keptOfJobs(storage), [])
    const next = await accepted(sandbox, requestOf({}, { jobId: 'job_2' }))
    assert.equal((await ended(sandbox, next)).status, 'succeeded')
  }, 0)
})

test('a job that keeps killing its process is given up', async () => {
  await withSandbox(async (given) => {
    const operation = await keptJob(given, {})
    const state: JobState = { process: 'dead', attempt: 5, end: null }
    await writeJson(given.storage, jobKeys('job_1').state, state)
    const outcome = await polled(given.sandbox, operation)
    assert.equal(outcome.status === 'failed' && outcome.code, 'GENERATION_FAILED')
  })
})

test('what nobody came back for is swept after a day', async () => {
  await inStorage(async (storage) => {
    for (const key of [
      'sandbox/job_old/request.json',
      'sandbox/job_old/state.json',
      'outputs/job_old/0.mp4',
    ]) {
      await writeJson(storage, key, {})
    }
    const tomorrow = new Date(Date.now() + 25 * 60 * 60 * 1000)
    await sweepLeftovers(storage, new Date())
    assert.equal((await keptIn(storage)).length, 3)
    await sweepLeftovers(storage, tomorrow)
    assert.deepEqual(await keptIn(storage), ['outputs/job_old/0.mp4'])
  })
})
