import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startS3Server } from '../../../test/s3-server.ts'
import type { Clock } from '../../clock.ts'
import { createS3Storage } from '../../storage/s3.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Json } from '../provider.ts'
import { accepted, callContext, ended, handClock, inStorage, polled, requestOf } from './fixture.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from './sandbox.ts'
import { type Heartbeat, heartbeatKey, type JobState, jobKeys, readJson, writeJson } from './store.ts'

interface Given {
  storage: Storage
  directory: string
  /** Each sandbox is a machine of its own: only the storage is shared. */
  machine(options?: Partial<SandboxOptions>): Sandbox
}

async function withMachines(run: (given: Given) => Promise<void>): Promise<void> {
  await inStorage(async (storage, directory) => {
    const machines: Sandbox[] = []
    const machine: Given['machine'] = (options) => {
      const sandbox = createSandbox({ storage, temporaryDirectory: directory, threads: 1, ...options })
      machines.push(sandbox)
      return sandbox
    }
    try {
      await run({ storage, directory, machine })
    } finally {
      for (const sandbox of machines) await sandbox.close()
    }
  })
}

function stateIn(storage: Storage): Promise<JobState | null> {
  return readJson<JobState>(storage, jobKeys('job_1').state)
}

async function handOver(storage: Storage, first: Sandbox, second: Sandbox): Promise<void> {
  const operation = await accepted(first, requestOf({}))
  assert.deepEqual(await second.find!(requestOf({}), callContext), { outcome: 'found', operation })
  const outcome = await ended(second, operation)
  assert.equal(outcome.status, 'succeeded')
  const { source } = outcome.outputs[0]!
  assert.ok('key' in source && (await storage.stat(source.key)) !== undefined)
  assert.equal((await stateIn(storage))?.attempt, 1)
  await second.forget!(operation, callContext)
  // once it has heard that its render is done
  assert.deepEqual(await ended(first, operation), { status: 'absent' })
}

test('a job of one machine is found, polled, collected and forgotten by another', async () => {
  await withMachines(async ({ storage, machine }) => {
    await handOver(storage, machine(), machine())
  })
})

test('so it is with an S3-compatible store, which is asked for little', async () => {
  const server = await startS3Server()
  let writes = 0
  server.meddle = ({ method }) => {
    if (method === 'PUT' || method === 'POST') writes++
    return false
  }
  const settings = await server.newBucket()
  try {
    await withMachines(async ({ directory, machine }) => {
      const stores = await Promise.all(
        ['first', 'second'].map(() => createS3Storage(settings, { temporaryDirectory: directory })),
      )
      const [first, second] = stores.map((storage) => machine({ storage, heartbeatEveryMs: 3_600_000 }))
      writes = 0
      await handOver(stores[0]!, first!, second!)
      // a heartbeat, the request, two states and the film
      assert.equal(writes, 5)
      for (const sandbox of [first!, second!]) await sandbox.close()
      for (const store of stores) store.close()
    })
  } finally {
    await server.stop()
  }
})

test('the jobs of a machine that is killed are ended by another, the one under way and the one in line', async () => {
  await withMachines(async ({ directory, machine }) => {
    const operations = await submittedByKilled(directory)
    const later: Clock = { now: () => new Date(Date.now() + 20_000) }
    const second = machine({ clock: later })
    for (const operation of operations) {
      assert.equal((await ended(second, operation)).status, 'succeeded')
    }
  })
})

/** Two jobs of a process that renders the first of them when it is killed. */
async function submittedByKilled(directory: string): Promise<Json[]> {
  const script = `
    import { createLocalStorage } from ${JSON.stringify(import.meta.resolve('../../storage/local.ts'))}
    import { createSandbox } from ${JSON.stringify(import.meta.resolve('./sandbox.ts'))}
    import { accepted, requestOf } from ${JSON.stringify(import.meta.resolve('./fixture.ts'))}
    const [directory] = process.argv.slice(1)
    const storage = await createLocalStorage({ directory: directory + '/files' })
    const sandbox = createSandbox({ storage, temporaryDirectory: directory, threads: 1 })
    const first = await accepted(sandbox, requestOf({ duration: '5' }, { jobId: 'job_1' }))
    const second = await accepted(sandbox, requestOf({}, { jobId: 'job_2' }))
    console.log(JSON.stringify([first, second]))
    process.kill(process.pid, 'SIGKILL')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return JSON.parse(printed)
}

/** What a killed process leaves: a sign of life that was fresh when it died. */
async function leaveBehind(
  storage: Storage,
  clock: Clock,
  heartbeat: Partial<Heartbeat> = {},
): Promise<void> {
  const state: JobState = { process: 'other', attempt: 1, end: null }
  await writeJson(storage, jobKeys('job_1').state, state)
  await writeJson(storage, heartbeatKey('other'), {
    at: clock.now().toISOString(),
    isClosed: false,
    ...heartbeat,
  })
}

test('a job is left to a machine that was heard of within 15 seconds, and then taken over', async () => {
  await withMachines(async ({ storage, machine }) => {
    const clock = handClock()
    const first = machine({ clock })
    const operation = await accepted(first, requestOf({}))
    await first.close()
    await leaveBehind(storage, clock)
    const second = machine({ clock })
    clock.pass(14)
    assert.equal((await polled(second, operation)).status, 'running')
    assert.equal((await stateIn(storage))?.process, 'other')
    clock.pass(1)
    assert.equal((await ended(second, operation)).status, 'succeeded')
    assert.equal((await stateIn(storage))?.attempt, 2)
  })
})

test('a job that was stopped with its machine is taken up at the next poll, and not counted against it', async () => {
  await withMachines(async ({ storage, machine }) => {
    const first = machine()
    const operation = (await accepted(first, requestOf({ duration: '30' }))) as { request: object }
    await first.close()
    assert.equal((await stateIn(storage))?.end, null)
    const second = machine()
    const shorter = {
      ...operation,
      request: { ...operation.request, shots: [{ prompt: 'Sea', frames: 6 }] },
    }
    assert.equal((await ended(second, shorter as unknown as Json)).status, 'succeeded')
    assert.equal((await stateIn(storage))?.attempt, 1)
  })
})

test('a machine that finds its job taken over stops, and what the other one does stays', async () => {
  await withMachines(async ({ storage, directory, machine }) => {
    const first = machine({ heartbeatEveryMs: 20 })
    // It would take longer than the test may.
    await accepted(first, requestOf({ duration: '60', resolution: '4k', fps: '60' }))
    const rendersOf = async () => (await readdir(directory)).filter((name) => name.startsWith('sandbox-'))
    while ((await rendersOf()).length === 0) await delay(10)
    await leaveBehind(storage, handClock())
    while ((await rendersOf()).length > 0) await delay(10)
    assert.equal((await stateIn(storage))?.process, 'other')
  })
})

test('a storage that is out of order for a while costs no job and no second render', async () => {
  await withMachines(async ({ storage, machine }) => {
    let puts = 0
    const flaky: Storage = {
      ...storage,
      put: async (key, ...rest) => {
        if (key.endsWith('.mp4') && ++puts < 3) throw new Error('no answer')
        return storage.put(key, ...rest)
      },
    }
    const sandbox = machine({ storage: flaky })
    const operation = await accepted(sandbox, requestOf({}))
    assert.equal((await ended(sandbox, operation)).status, 'succeeded')
    assert.equal(puts, 3)
    assert.equal((await stateIn(storage))?.attempt, 1)
  })
})

test('what cannot be read of one job is no news of it, and none at all is no answer', async () => {
  await withMachines(async ({ storage, machine }) => {
    const clock = handClock()
    const first = machine({ clock })
    const operations = [
      await accepted(first, requestOf({})),
      await accepted(first, requestOf({}, { jobId: 'job_2' })),
    ]
    for (const operation of operations) await ended(first, operation)
    const broken: Storage = {
      ...storage,
      open: async (key, ...rest) => {
        if (key.startsWith('sandbox/job_1/')) throw new Error('no answer')
        return storage.open(key, ...rest)
      },
    }
    const second = machine({ storage: broken, clock })
    const outcomes = await second.poll(operations, callContext)
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['running', 'succeeded'],
    )
    await assert.rejects(second.poll(operations.slice(0, 1), callContext), /no answer/)
  })
})

test('a poll ends with its signal, however long the storage takes', async () => {
  await withMachines(async ({ storage, machine }) => {
    const hanging: Storage = { ...storage, open: () => new Promise(() => {}) }
    const first = machine()
    const operation = await accepted(first, requestOf({}))
    const second = machine({ storage: hanging })
    const signal = AbortSignal.abort(new Error('too late'))
    await assert.rejects(second.poll([operation], { signal }), /too late/)
  })
})

test('polls of jobs that the machine renders itself ask nothing of the storage', async () => {
  await withMachines(async ({ storage, machine }) => {
    let isCounting = false
    const counted = new Proxy(storage, {
      get(target, name: keyof Storage) {
        assert.ok(!isCounting, `${name} is asked of the storage`)
        return target[name]
      },
    })
    const sandbox = machine({ storage: counted })
    await accepted(sandbox, requestOf({ duration: '30' }))
    const operation = await accepted(sandbox, requestOf({}, { jobId: 'job_2' }))
    // It waits for its turn, so that nothing but the polls is done for it.
    isCounting = true
    for (let polls = 0; polls < 20; polls++) {
      assert.equal((await polled(sandbox, operation)).status, 'running')
    }
    isCounting = false
  })
})
