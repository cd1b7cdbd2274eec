import assert from 'node:assert/strict'
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import type { Clock } from '../../clock.ts'
import { jobFailures } from '../../errors.ts'
import type { Json } from '../provider.ts'
import { accepted, ended, inFolder, inspectFilm, polled, requestOf, submitContext } from './fixture.ts'
import { exists, jobFolder, sweepFolders } from './folder.ts'
import { createSandbox, type Sandbox } from './sandbox.ts'

/** A clock that stands until it is moved. */
function handClock(): Clock & { pass(seconds: number): void } {
  let now = Date.parse('2026-01-01T00:00:00Z')
  return {
    now: () => new Date(now),
    pass(seconds) {
      now += seconds * 1000
    },
  }
}

async function withSandbox(
  run: (sandbox: Sandbox, clock: ReturnType<typeof handClock>, directory: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (directory) => {
    const clock = handClock()
    const sandbox = createSandbox({ directory, clock, threads: 1 })
    try {
      await run(sandbox, clock, directory)
    } finally {
      await sandbox.close()
    }
  })
}

test('a job ends with a playable file on the sandbox’s own disk', async () => {
  await withSandbox(async (sandbox, _clock, directory) => {
    const outcome = await ended(sandbox, await accepted(sandbox, requestOf({})))
    assert.equal(outcome.status, 'succeeded')
    const { source } = outcome.outputs[0]!
    assert.ok('key' in source)
    assert.equal(source.key, 'sandbox/job_1/output.mp4')
    assert.equal((await inspectFilm(join(directory, 'job_1', 'output.mp4'))).frames, 24)
  })
})

test('the input picture may go once submit has returned', async () => {
  await withSandbox(async (sandbox, _clock, directory) => {
    const path = join(directory, 'upload')
    await writeFile(path, createCanvas(30, 20).toBuffer('image/png'))
    const media = {
      image_url: [{ path, contentType: 'image/png', kind: 'image' as const, width: 30, height: 20 }],
    }
    const operation = await accepted(sandbox, requestOf({}, { media }))
    await rm(path)
    assert.equal((await ended(sandbox, operation)).status, 'succeeded')
  })
})

test('a submit that is repeated makes no second job', async () => {
  await withSandbox(async (sandbox, clock, directory) => {
    const first = await accepted(sandbox, requestOf({}))
    clock.pass(5)
    assert.deepEqual(await accepted(sandbox, requestOf({})), first)
    assert.deepEqual(await readdir(directory), ['job_1'])
    assert.equal((await ended(sandbox, first)).status, 'succeeded')
  })
})

test('a picture that cannot be decoded fails the job as invalid input', async () => {
  await withSandbox(async (sandbox, _clock, directory) => {
    const path = join(directory, 'upload')
    const whole = createCanvas(300, 200).toBuffer('image/png')
    for (const [index, bytes] of [Buffer.from('not a picture'), whole.subarray(0, 60)].entries()) {
      await writeFile(path, bytes)
      const media = {
        image_url: [{ path, contentType: 'image/png', kind: 'image' as const, width: 1, height: 1 }],
      }
      const outcome = await ended(
        sandbox,
        await accepted(sandbox, requestOf({}, { jobId: `job_${index}`, media })),
      )
      assert.equal(outcome.status === 'failed' && outcome.code, 'INPUT_MEDIA_INVALID')
    }
  })
})

test('a render that throws fails the job', async () => {
  await withSandbox(async (sandbox, _clock, directory) => {
    const path = join(directory, 'upload')
    await writeFile(path, createCanvas(30, 20).toBuffer('image/png'))
    const media = {
      image_url: [{ path, contentType: 'image/png', kind: 'image' as const, width: 30, height: 20 }],
    }
    // A folder stands where the film belongs, so that it can't be put in its place.
    await mkdir(join(directory, 'job_1', 'output.mp4', 'x'), { recursive: true })
    await accepted(sandbox, requestOf({}, { media }))
    for (;;) {
      if (await exists(jobFolder(directory, 'job_1').failure)) {
        break
      }
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    await rm(join(directory, 'job_1', 'output.mp4'), { recursive: true })
    const operation = await accepted(sandbox, requestOf({}, { media }))
    const outcome = await polled(sandbox, operation)
    assert.equal(outcome.status === 'failed' && outcome.code, 'GENERATION_FAILED')
  })
})

test('every failure code can be forced by the prompt', async () => {
  await withSandbox(async (sandbox) => {
    for (const code of Object.keys(jobFailures)) {
      const request = requestOf({ prompt: `A cat [sandbox:fail ${code}]` }, { jobId: `job_${code}` })
      const outcome = await polled(sandbox, await accepted(sandbox, request))
      assert.ok(outcome.status === 'failed' && outcome.code === code)
    }
  })
})

test('a malformed magic prompt is refused with its remedy', async () => {
  await withSandbox(async (sandbox) => {
    const outcome = await sandbox.submit(requestOf({ prompt: 'A cat [sandbox:pending soon]' }), submitContext)
    assert.equal(outcome.outcome, 'refused')
    assert.match(outcome.message, /seconds from 0 to 3600/)
  })
})

test('a pending prompt keeps the job waiting for its seconds', async () => {
  await withSandbox(async (sandbox) => {
    const request = requestOf({ prompt: 'A cat [sandbox:pending 30]' })
    assert.equal(sandbox.admit!(request, 0), 30_000)
    assert.equal(sandbox.admit!(request, 29_000), 1_000)
    assert.equal(sandbox.admit!(request, 31_000), 0)
    assert.equal(sandbox.admit!(requestOf({}), 0), 0)
  })
})

test('a busy sandbox lets further jobs wait before they start, and takes them once it has room', async () => {
  await withSandbox(async (sandbox) => {
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
    for (const operation of operations) await sandbox.forget!(operation)
    assert.equal(sandbox.admit!(requestOf({}), 0), 0)
  })
})

test('what takes longer to draw is expected later and gets more time', async () => {
  await withSandbox(async (sandbox) => {
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
  await withSandbox(async (sandbox, clock, directory) => {
    const request = requestOf({ prompt: 'A cat [sandbox:processing 60]' })
    const operation = await accepted(sandbox, request)
    while (!(await exists(join(directory, 'job_1', 'output.mp4')))) {
      assert.equal((await polled(sandbox, operation)).status, 'running')
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    clock.pass(59)
    assert.equal((await polled(sandbox, operation)).status, 'running')
    clock.pass(1)
    assert.equal((await polled(sandbox, operation)).status, 'succeeded')
  })
})

test('an output-404 prompt succeeds with a file that is not there', async () => {
  await withSandbox(async (sandbox) => {
    const operation = await accepted(sandbox, requestOf({ prompt: 'A cat [sandbox:output-404]' }))
    const outcome = await ended(sandbox, operation)
    assert.equal(outcome.status, 'succeeded')
    const { source } = outcome.outputs[0]!
    assert.deepEqual(source, { key: 'sandbox/job_1/missing' })
  })
})

test('a lost prompt is accepted, never answered, and limited to its seconds', async () => {
  await withSandbox(async (sandbox, clock) => {
    const request = requestOf({ prompt: 'A cat [sandbox:lost 3]' })
    const operation = await accepted(sandbox, request)
    assert.equal((await polled(sandbox, operation)).status, 'running')
    clock.pass(3600)
    assert.equal((await polled(sandbox, operation)).status, 'running')
    assert.equal(sandbox.timeLimitMs(request), 3_000)
  })
})

test('a job whose process died is taken up by the next one once the heartbeat is old', async () => {
  await inFolder(async (directory) => {
    const clock = handClock()
    const first = createSandbox({ directory, clock, threads: 1 })
    const operation = await accepted(first, requestOf({}))
    await first.close()
    // What a killed process leaves: a heartbeat that was fresh when it died.
    const heartbeat = { process: 'dead', at: clock.now().toISOString(), attempt: 1 }
    await writeFile(jobFolder(directory, 'job_1').heartbeat, JSON.stringify(heartbeat))
    const second = createSandbox({ directory, clock, threads: 1 })
    clock.pass(9)
    assert.equal((await polled(second, operation)).status, 'running')
    const untouched = await readdir(jobFolder(directory, 'job_1').path)
    clock.pass(1)
    assert.equal((await ended(second, operation)).status, 'succeeded')
    assert.ok(!untouched.includes('output.mp4'))
    await second.close()
  })
})

test('a job that was stopped with its process is taken up at the next poll', async () => {
  await inFolder(async (directory) => {
    const first = createSandbox({ directory, threads: 1 })
    const operation = await accepted(first, requestOf({ duration: '30' }))
    await first.close()
    const left = await readdir(jobFolder(directory, 'job_1').path)
    assert.ok(!left.includes('output.mp4'), 'closing waited for the film')
    const again = createSandbox({ directory, threads: 1 })
    const shorter = {
      ...(operation as object),
      request: { ...(operation as { request: object }).request, shots: [{ prompt: 'Sea', frames: 6 }] },
    }
    assert.equal((await ended(again, shorter as unknown as Json)).status, 'succeeded')
    await again.close()
  })
})

test('a painted job whose folder is gone is made again, one with a picture fails', async () => {
  await withSandbox(async (sandbox, _clock, directory) => {
    const painted = await accepted(sandbox, requestOf({}))
    await ended(sandbox, painted)
    await rm(join(directory, 'job_1'), { recursive: true })
    assert.equal((await ended(sandbox, painted)).status, 'succeeded')
    const pictured = {
      ...(painted as object),
      jobId: 'job_2',
      request: { ...(painted as { request: object }).request, sources: [{ kind: 'image', use: 'scene' }] },
    }
    const outcome = await polled(sandbox, pictured as unknown as Json)
    assert.equal(outcome.status === 'failed' && outcome.code, 'GENERATION_FAILED')
  })
})

test('forget deletes the folder, also in the middle of a render', async () => {
  await withSandbox(async (sandbox, _clock, directory) => {
    const operation = await accepted(sandbox, requestOf({ duration: '30' }))
    await sandbox.forget!(operation)
    assert.deepEqual(await readdir(directory), [])
  })
})

test('a render that is not heard of stopping loses its thread, and the next one gets another', async () => {
  await inFolder(async (directory) => {
    const sandbox = createSandbox({ directory, threads: 1, stopLimitMs: 0 })
    try {
      const operation = await accepted(sandbox, requestOf({ duration: '30' }, { jobId: 'job_1' }))
      await sandbox.forget!(operation)
      assert.deepEqual(await readdir(directory), [])
      const next = await accepted(sandbox, requestOf({}, { jobId: 'job_2' }))
      assert.equal((await ended(sandbox, next)).status, 'succeeded')
    } finally {
      await sandbox.close()
    }
  })
})

test('a job that keeps killing its process is given up', async () => {
  await withSandbox(async (sandbox, clock, directory) => {
    const operation = (await accepted(
      sandbox,
      requestOf({ prompt: '[sandbox:fail GENERATION_FAILED]' }),
    )) as { magic: object }
    const job = { ...operation, magic: { ...operation.magic, fail: null } } as unknown as Json
    const heartbeat = { process: 'dead', at: clock.now().toISOString(), attempt: 5 }
    await writeFile(jobFolder(directory, 'job_1').heartbeat, JSON.stringify(heartbeat))
    clock.pass(20)
    const outcome = await polled(sandbox, job)
    assert.equal(outcome.status === 'failed' && outcome.code, 'GENERATION_FAILED')
  })
})

test('folders that nobody came back for are swept after a day', async () => {
  await inFolder(async (directory) => {
    for (const name of ['old', 'new']) {
      await mkdir(join(directory, name))
    }
    const now = new Date()
    const longAgo = new Date(now.getTime() - 25 * 60 * 60 * 1000)
    await utimes(join(directory, 'old'), longAgo, longAgo)
    await sweepFolders(directory, now)
    assert.deepEqual(await readdir(directory), ['new'])
  })
})
