import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { Piscina } from 'piscina'
import { type Clock, systemClock } from '../../clock.ts'
import { limitedTo } from '../../limited-to.ts'
import type { FindOutcome, Json, PollOutcome, Provider, ProviderRequest, SubmitOutcome } from '../provider.ts'
import {
  copyDurably,
  exists,
  type Failure,
  type Heartbeat,
  jobFolder,
  makeFolder,
  readJson,
  removeFolder,
  replaceFile,
  type SandboxJob,
  sweepFolders,
  writeDurably,
} from './folder.ts'
import { readMagic } from './magic.ts'
import type { RenderResult, RenderTask } from './render.ts'
import { promptsOf, readRenderRequest } from './request.ts'
import { expectedWorkMs, workMsOf } from './work.ts'

export interface SandboxOptions {
  /** One folder per job; it is what the storage keeps below `sandbox/`. */
  directory: string
  /** Films rendered at once. */
  threads?: number
  /** How long a render may take to notice that it should stop, in ms, before its thread is ended. */
  stopLimitMs?: number
  clock?: Clock
}

export type Sandbox = Provider & {
  /** Stops at the next frame. Half-made films are taken up by the next process that is asked for them. */
  close(): Promise<void>
}

/** Work per thread that may wait for it, well within a job's time limit. */
const queueMsPerThread = 60_000
const busyDelayMs = 500
const longestBusyDelayMs = 60_000
const heartbeatEveryMs = 2_000
/** A heartbeat older than this means that the rendering process has died. */
const heartbeatStaleMs = 10_000
/** A slow machine gets thirty times what a job takes, but the customer an end within this. */
const mostWorkLimitMs = 1_800_000
/** A film that took this many processes down with it is given up. */
const attemptLimit = 5

interface Render {
  stop: Int32Array
  workMs: number
  attempt: number
  hasThread: boolean
  /** Ends the thread in the middle of whatever it does. */
  thread: AbortController
  done: Promise<void>
}

/** The built-in renderer, behaving like a small vendor with a disk of its own. Its threads start at the first job. */
export function createSandbox({ directory, clock = systemClock, ...options }: SandboxOptions): Sandbox {
  const { stopLimitMs = 5_000 } = options
  const threads = options.threads ?? Math.min(4, Math.max(1, availableParallelism() - 1))
  const processId = randomUUID()
  const renders = new Map<string, Render>()
  const inLine = limitedTo(threads)
  const pool = new Piscina<RenderTask, RenderResult>({
    filename: new URL('./render.ts', import.meta.url).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 60_000,
    // The encoders answer through the thread's event loop, which must not be put to sleep.
    atomics: 'disabled',
    // Requests come first: the kernel gives a renderer what the server leaves over.
    niceIncrement: 10,
  })
  let closing = false
  const beat = setInterval(() => {
    for (const [jobId, render] of renders) {
      // A beat that can't be written shows as silence, which is what it then is.
      writeHeartbeat(jobId, render.attempt).catch(() => {})
    }
  }, heartbeatEveryMs).unref()
  sweepFolders(directory, clock.now()).catch(() => {})

  function writeHeartbeat(jobId: string, attempt: number): Promise<void> {
    const heartbeat: Heartbeat = { process: processId, at: clock.now().toISOString(), attempt }
    return replaceFile(jobFolder(directory, jobId).heartbeat, heartbeat)
  }

  async function start(job: SandboxJob, attempt: number): Promise<void> {
    if (closing || renders.has(job.jobId)) {
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const render = {
      stop,
      workMs: workMsOf(job.request),
      attempt,
      hasThread: false,
      thread: new AbortController(),
      done: promise,
    }
    renders.set(job.jobId, render)
    try {
      await writeHeartbeat(job.jobId, attempt)
    } catch (error) {
      renders.delete(job.jobId)
      resolve()
      throw error
    }
    finishRender(job, render).finally(() => {
      renders.delete(job.jobId)
      resolve()
    })
  }

  /** Never rejects: whatever happens to a render is found on the disk, or is taken up again by a later poll. */
  async function finishRender(job: SandboxJob, render: Render): Promise<void> {
    const folder = jobFolder(directory, job.jobId)
    try {
      const result = await inLine(() => runRender(job, render))
      if (result.outcome === 'failed') {
        await writeDurably(folder.path, folder.failure, result.failure)
      } else if (result.outcome === 'stopped') {
        await replaceFile(folder.heartbeat, { process: processId, at: new Date(0).toISOString(), attempt: 0 })
      }
    } catch {
      // The folder was deleted under the render, or the disk is full: the next poll decides what that means.
    }
  }

  async function runRender({ jobId, request }: SandboxJob, render: Render): Promise<RenderResult> {
    if (Atomics.load(render.stop, 0) === 1) {
      return { outcome: 'stopped' }
    }
    render.hasThread = true
    try {
      const task = { directory, jobId, process: processId, request, stop: render.stop }
      return await pool.run(task, { signal: render.thread.signal })
    } catch (error) {
      if (closing || render.thread.signal.aborted) {
        return { outcome: 'stopped' }
      }
      const message = 'The sandbox could not render this job.'
      return { outcome: 'failed', failure: { code: 'GENERATION_FAILED', message, cause: String(error) } }
    }
  }

  /** A thread looks at `stop` between frames; a film of the customer's can keep it in one for minutes. */
  async function stopped(render: Render): Promise<void> {
    Atomics.store(render.stop, 0, 1)
    const end = setTimeout(() => render.thread.abort(), stopLimitMs)
    await render.done
    clearTimeout(end)
  }

  async function submit(request: ProviderRequest): Promise<SubmitOutcome> {
    const folder = jobFolder(directory, request.jobId)
    const known = await readJson<SandboxJob>(folder.request)
    if (known !== null) {
      return { outcome: 'accepted', operation: known as unknown as Json }
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
    await makeFolder(folder.path)
    for (const [index, file] of reading.files.entries()) {
      await copyDurably(file.path, folder.source(index))
    }
    // Last, and with it the job exists: a crash before this line leaves nothing that a poll would take for one.
    await writeDurably(folder.path, folder.request, job)
    if (isRendered(job)) {
      await start(job, 1)
    }
    return { outcome: 'accepted', operation: job as unknown as Json }
  }

  async function find(jobId: string): Promise<FindOutcome> {
    const known = await readJson<SandboxJob>(jobFolder(directory, jobId).request)
    return known === null ? { outcome: 'absent' } : { outcome: 'found', operation: known as unknown as Json }
  }

  async function pollOne(operation: Json): Promise<PollOutcome> {
    const job = operation as unknown as SandboxJob
    // Never heard of again; an error would be one for the other jobs of the call as well.
    if (job.magic.lostSeconds !== null) {
      return { status: 'running' }
    }
    const outcome = await outcomeOnDisk(job)
    const elapsedMs = clock.now().getTime() - new Date(job.submittedAt).getTime()
    if (elapsedMs < job.magic.processingSeconds * 1000) {
      return { status: 'running' }
    }
    if (job.magic.fail !== null) {
      const message = `The prompt asked for this failure with [sandbox:fail ${job.magic.fail}].`
      return { status: 'failed', code: job.magic.fail, message }
    }
    if (outcome.status === 'succeeded' && job.magic.missingOutput) {
      const key = `sandbox/${job.jobId}/missing`
      return { status: 'succeeded', outputs: [{ type: job.request.type, source: { key } }] }
    }
    return outcome
  }

  /** Reads how far a job is, and starts it where nobody is rendering it. */
  async function outcomeOnDisk(job: SandboxJob): Promise<PollOutcome> {
    const folder = jobFolder(directory, job.jobId)
    const files = folder.outputs(job.request)
    if (await exists(files.at(-1)!)) {
      const outputs = files.map((file) => {
        const key = `sandbox/${job.jobId}/${basename(file)}`
        return { type: job.request.type, source: { key } }
      })
      return { status: 'succeeded', outputs }
    }
    const failure = await readJson<Failure>(folder.failure)
    if (failure !== null) {
      return { status: 'failed', code: failure.code, message: failure.message }
    }
    if (renders.has(job.jobId) || !isRendered(job)) {
      return { status: 'running' }
    }
    const heartbeat = await readJson<Heartbeat>(folder.heartbeat)
    if (heartbeat !== null && clock.now().getTime() - new Date(heartbeat.at).getTime() < heartbeatStaleMs) {
      return { status: 'running' }
    }
    const attempt = (heartbeat?.attempt ?? 0) + 1
    if (attempt > attemptLimit) {
      const message = `The sandbox gave this job up after ${attemptLimit} attempts that did not end.`
      return { status: 'failed', code: 'GENERATION_FAILED', message }
    }
    if (!(await exists(folder.request))) {
      if (job.request.sources.length > 0) {
        const message = 'The sandbox no longer has the files of this job; submit it again.'
        return { status: 'failed', code: 'GENERATION_FAILED', message }
      }
      await makeFolder(folder.path)
      await writeDurably(folder.path, folder.request, job)
    }
    await start(job, attempt)
    return { status: 'running' }
  }

  return {
    name: 'sandbox',
    admit({ input }, waitedMs) {
      const reading = readMagic(promptsOf(input))
      const pendingMs = 'magic' in reading ? reading.magic.pendingSeconds * 1000 : 0
      if (pendingMs > waitedMs) return pendingMs - waitedMs
      const waitingMs = [...renders.values()].reduce((sum, { workMs }) => sum + workMs, 0)
      if (waitingMs < threads * queueMsPerThread) return 0
      // the longer it has waited the longer until it asks again, so that a long line asks seldom
      return Math.min(longestBusyDelayMs, Math.max(busyDelayMs, waitedMs / 4))
    },
    serves: () => true,
    pollBatch: 100,
    // What is on its disk is there at once.
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
    submit,
    poll: (operations) => Promise.all(operations.map(pollOne)),
    find,
    async forget(operation) {
      const { jobId } = operation as unknown as SandboxJob
      const render = renders.get(jobId)
      if (render !== undefined) {
        // One that still waits for its turn ends when that comes, without its folder.
        if (render.hasThread) await stopped(render)
        else Atomics.store(render.stop, 0, 1)
      }
      await removeFolder(jobFolder(directory, jobId).path)
    },
    async close() {
      closing = true
      clearInterval(beat)
      await Promise.all([...renders.values()].map(stopped))
      await pool.destroy()
    },
  }
}

/** Jobs whose end the prompt has already decided are not worth a render. */
function isRendered({ magic }: SandboxJob): boolean {
  return magic.fail === null && magic.lostSeconds === null
}
