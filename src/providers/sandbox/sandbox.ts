import { availableParallelism, hostname } from 'node:os'
import { type Clock, systemClock } from '../../clock.ts'
import type { JobFailureCode } from '../../errors.ts'
import { limitedTo } from '../../limited-to.ts'
import type { Storage } from '../../storage/storage.ts'
import type {
  CallContext,
  FindOutcome,
  Json,
  PollOutcome,
  Provider,
  ProviderRequest,
  SubmitOutcome,
} from '../provider.ts'
import { readMagic } from './magic.ts'
import { createRenderer } from './renderer.ts'
import { promptsOf, readRenderRequest } from './request.ts'
import {
  type JobState,
  jobKeys,
  readJson,
  removeJob,
  type SandboxJob,
  sweepLeftovers,
  writeJson,
} from './store.ts'
import { expectedWorkMs } from './work.ts'

export interface SandboxOptions {
  /** Where the jobs are kept; all processes of one gateway have the same. */
  storage: Storage
  /** On this machine, for the films that it makes. */
  temporaryDirectory: string
  /** Films rendered at once. */
  threads?: number
  /** How long a render may take to notice that it should stop, in ms, before its thread is ended. */
  stopLimitMs?: number
  /** Each one is a paid request to the storage. */
  heartbeatEveryMs?: number
  clock?: Clock
  /** False while the disk is nearly full: nothing is begun, and what was cut off waits. */
  hasRoom?: () => boolean
}

export type Sandbox = Provider & {
  /** Stops at the next frame. Half-made films are taken up by the next process that is asked for them. */
  close(): Promise<void>
}

/** Work per thread that may wait for it, well within a job's time limit. */
/** None of them is heard: that there is one is enough. */
const soundTypes = ['audio/mpeg', 'audio/wav', 'audio/mp4', 'audio/ogg', 'audio/flac', 'audio/aac']
const queueMsPerThread = 60_000
const busyDelayMs = 500
const noRoomDelayMs = 5_000
const longestBusyDelayMs = 60_000
/** A slow machine gets thirty times what a job takes, but the customer an end within this. */
const mostWorkLimitMs = 1_800_000
/** A film that took this many processes down with it is given up. */
const attemptLimit = 5
const readsAtOnce = 16
const sweepEveryMs = 24 * 60 * 60 * 1000

/**
 * The built-in renderer, behaving like a small vendor whose machines share one storage. Its threads start at the first
 * job.
 */
export function createSandbox({ storage, clock = systemClock, ...options }: SandboxOptions): Sandbox {
  const { temporaryDirectory, stopLimitMs = 5_000, heartbeatEveryMs = 5_000, hasRoom = () => true } = options
  const threads = options.threads ?? Math.min(4, Math.max(1, availableParallelism() - 1))
  const renderer = createRenderer({
    storage,
    temporaryDirectory,
    threads,
    stopLimitMs,
    heartbeatEveryMs,
    clock,
    hasRoom,
  })
  const reading = limitedTo(readsAtOnce)
  let sweeping: Promise<void> | undefined
  const sweep = () => {
    // What could not be removed now is still there tomorrow.
    sweeping = sweepLeftovers(storage).catch(() => {})
  }
  sweep()
  const sweeps = setInterval(sweep, sweepEveryMs).unref()

  async function submit(request: ProviderRequest, { signal }: CallContext): Promise<SubmitOutcome> {
    const keys = jobKeys(request.jobId)
    const known = await readJson<SandboxJob>(storage, keys.request)
    if (known !== null) {
      return { outcome: 'accepted', operation: operationOf(known) }
    }
    const magicReading = readMagic(promptsOf(request.input))
    if ('problem' in magicReading) {
      return { outcome: 'refused', code: 'GENERATION_FAILED', message: magicReading.problem }
    }
    const reading = readRenderRequest(request)
    if ('problem' in reading) {
      const message = `The sandbox cannot render this input: ${reading.problem}`
      return { outcome: 'refused', code: 'GENERATION_FAILED', message }
    }
    const job: SandboxJob = {
      jobId: request.jobId,
      submittedAt: clock.now().toISOString(),
      magic: magicReading.magic,
      request: reading.request,
    }
    try {
      for (const [index, file] of reading.files.entries()) {
        await storage.put(keys.source(index), { file: file.path })
      }
    } catch (cause) {
      return { outcome: 'unavailable', cause }
    }
    signal.throwIfAborted()
    // Last, and with it the job exists: a crash before this line leaves nothing that a poll would take for one.
    await writeJson(storage, keys.request, job)
    if (isRendered(job)) {
      await renderer.start(job, 1)
    }
    return { outcome: 'accepted', operation: operationOf(job) }
  }

  async function find(jobId: string): Promise<FindOutcome> {
    const known = await readJson<SandboxJob>(storage, jobKeys(jobId).request)
    return known === null ? { outcome: 'absent' } : { outcome: 'found', operation: operationOf(known) }
  }

  async function poll(operations: Json[]): Promise<PollOutcome[]> {
    const outcomes = await Promise.allSettled(
      operations.map((operation) => reading(() => pollOne(jobOf(operation)))),
    )
    const answers = outcomes.filter(({ status }) => status === 'fulfilled')
    const failure = outcomes.find(({ status }) => status === 'rejected')
    // What can't be read of one job is no news of it, and no reason to keep quiet about the others.
    if (failure?.status === 'rejected' && answers.length === 0) throw failure.reason
    return outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : { status: 'running' }))
  }

  async function pollOne(job: SandboxJob): Promise<PollOutcome> {
    const { magic, request } = job
    // Never heard of again; an error would be one for the other jobs of the call as well.
    if (magic.lostSeconds !== null) {
      return { status: 'running' }
    }
    const outcome: PollOutcome = magic.fail === null ? await renderOutcome(job) : forcedFailure(magic.fail)
    const elapsedMs = clock.now().getTime() - new Date(job.submittedAt).getTime()
    if (elapsedMs < magic.processingSeconds * 1000 && outcome.status !== 'absent') {
      return { status: 'running' }
    }
    if (outcome.status === 'succeeded' && magic.missingOutput) {
      const key = jobKeys(job.jobId).missing
      return { status: 'succeeded', outputs: [{ type: request.type, source: { key } }] }
    }
    return outcome
  }

  /** Reads how far a job is, and starts it where nobody is rendering it. */
  async function renderOutcome(job: SandboxJob): Promise<PollOutcome> {
    if (renderer.has(job.jobId)) {
      return { status: 'running', isHeld: renderer.isHeld(job.jobId) }
    }
    const keys = jobKeys(job.jobId)
    const state = await readJson<JobState>(storage, keys.state)
    if (state !== null && state.end !== null) {
      return endOf(job, state.end)
    }
    const { isRendered, nextAttempt } =
      state === null ? { isRendered: false, nextAttempt: 1 } : await renderer.outlook(state)
    // Jobs that were accepted go before new ones; where even they are too many here, others may have room.
    if (isRendered || renderer.workMs >= 2 * threads * queueMsPerThread) {
      return { status: 'running' }
    }
    if ((await storage.stat(keys.request)) === undefined) {
      return { status: 'absent' }
    }
    if (nextAttempt > attemptLimit) {
      const message = `The sandbox gave this job up after ${attemptLimit} attempts that did not end.`
      return { status: 'failed', code: 'GENERATION_FAILED', message }
    }
    await renderer.start(job, nextAttempt)
    return { status: 'running' }
  }

  return {
    name: 'sandbox',
    admit({ input }, waitedMs) {
      const reading = readMagic(promptsOf(input))
      const pendingMs = 'magic' in reading ? reading.magic.pendingSeconds * 1000 : 0
      if (pendingMs > waitedMs) return pendingMs - waitedMs
      if (!hasRoom()) return noRoomDelayMs
      if (renderer.workMs < threads * queueMsPerThread) return 0
      // the longer it has waited the longer until it asks again, so that a long line asks seldom
      return Math.min(longestBusyDelayMs, Math.max(busyDelayMs, waitedMs / 4))
    },
    trouble: () =>
      hasRoom()
        ? undefined
        : `the disk of ${hostname()} is nearly full (FILMGATE_MIN_FREE_DISK), and renders wait until there is room`,
    takes: { video: ['video/mp4', 'video/quicktime', 'video/webm'], audio: soundTypes },
    readsFiles: true,
    pollBatch: 100,
    // What a submit that was given up still writes belongs to the same job, and is found by the next one.
    settleMs: 0,
    expectedMs(request) {
      const reading = readMagic(promptsOf(request.input))
      const magicSeconds = 'magic' in reading ? reading.magic.processingSeconds : 0
      return Math.max(expectedWorkMs(request), magicSeconds * 1000)
    },
    timeLimitMs(request) {
      const reading = readMagic(promptsOf(request.input))
      const magic = 'magic' in reading ? reading.magic : null
      if (magic !== null && magic.lostSeconds !== null) {
        return magic.lostSeconds * 1000
      }
      const workMs = Math.min(mostWorkLimitMs, 30 * expectedWorkMs(request))
      return 120_000 + workMs + (magic?.processingSeconds ?? 0) * 1000
    },
    pollDelayMs(elapsedMs) {
      return elapsedMs < 5_000 ? 250 : 500
    },
    submit: (request, context) => within(context.signal, submit(request, context)),
    poll: (operations, { signal }) => within(signal, poll(operations)),
    find: ({ jobId }, { signal }) => within(signal, find(jobId)),
    async forget(operation) {
      const job = jobOf(operation)
      await renderer.drop(job.jobId)
      await removeJob(storage, job)
    },
    async close() {
      clearInterval(sweeps)
      // what it has put there to read the time is not left behind
      await Promise.all([renderer.close(), sweeping])
    },
  }
}

/** Jobs whose end the prompt has already decided are not worth a render. */
function isRendered({ magic }: SandboxJob): boolean {
  return magic.fail === null && magic.lostSeconds === null
}

function forcedFailure(code: JobFailureCode): PollOutcome {
  return { status: 'failed', code, message: `The prompt asked for this failure with [sandbox:fail ${code}].` }
}

function endOf({ jobId, request }: SandboxJob, end: NonNullable<JobState['end']>): PollOutcome {
  if (end.status === 'failed') {
    return { status: 'failed', code: end.failure.code, message: end.failure.message }
  }
  const keys = jobKeys(jobId).outputs(request)
  return { status: 'succeeded', outputs: keys.map((key) => ({ type: request.type, source: { key } })) }
}

function operationOf(job: SandboxJob): Json {
  return job as unknown as Json
}

function jobOf(operation: Json): SandboxJob {
  return operation as unknown as SandboxJob
}

/** Ends with the signal, whatever the storage does. */
async function within<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>()
  const giveUp = () => reject(signal.reason)
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}
