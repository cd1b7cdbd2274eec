import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { Piscina } from 'piscina'
import type { Clock } from '../../clock.ts'
import { isNoSpace } from '../../disk.ts'
import { limitedTo } from '../../limited-to.ts'
import type { Storage } from '../../storage/storage.ts'
import type { RenderResult, RenderTask } from './render.ts'
import {
  type Heartbeat,
  heartbeatKey,
  type JobState,
  jobKeys,
  outputNames,
  readJson,
  type SandboxJob,
  sourceName,
  writeJson,
} from './store.ts'
import { workMsOf } from './work.ts'

export interface RendererOptions {
  /** Shared by all processes. */
  storage: Storage
  /** On this machine: where films are made. */
  temporaryDirectory: string
  threads: number
  stopLimitMs: number
  heartbeatEveryMs: number
  clock: Clock
  hasRoom(): boolean
}

/** A process that has not been heard of for so long has died. */
const staleMs = 15_000
const storageRetryMs = 1_000

interface Render {
  job: SandboxJob
  workMs: number
  attempt: number
  /** Waits for its turn. */
  isInLine: boolean
  /** It waits for room on the disk. */
  isHeld: boolean
  /** Tells the thread to end at the next frame. */
  stop: Int32Array
  /** Its result is not wanted any more. */
  dropped: AbortController
  /** Ends the thread in the middle of whatever it does. */
  thread: AbortController
  done: Promise<void>
}

export type Renderer = ReturnType<typeof createRenderer>

/**
 * The renders of this process. Each job's state in the storage names the process that renders it; whoever finds another
 * one there leaves the job to it. Where two render the same job for a while, both put the same files in the same places.
 */
export function createRenderer(options: RendererOptions) {
  const { storage, temporaryDirectory, threads, stopLimitMs, heartbeatEveryMs, clock, hasRoom } = options
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
  let isClosing = false
  let lastBeat = Number.NEGATIVE_INFINITY
  const beats = setInterval(() => {
    // One that can't be written shows as silence, which is what it then is.
    if (renders.size > 0) beat().catch(() => {})
    for (const render of renders.values()) {
      if (!render.isInLine) dropIfNotOurs(render).catch(() => {})
    }
  }, heartbeatEveryMs).unref()

  async function beat(isClosed = false): Promise<void> {
    const at = clock.now()
    await writeJson(storage, heartbeatKey(processId), { at: at.toISOString(), isClosed } satisfies Heartbeat)
    lastBeat = at.getTime()
  }

  function writeState({ job, attempt }: Render, end: JobState['end']): Promise<void> {
    const state: JobState = { process: processId, attempt, end }
    return writeJson(storage, jobKeys(job.jobId).state, state)
  }

  async function isOurs({ job }: Render): Promise<boolean> {
    const state = await readJson<JobState>(storage, jobKeys(job.jobId).state)
    return state?.process === processId && state.end === null
  }

  async function dropIfNotOurs(render: Render): Promise<void> {
    if (!(await isOurs(render))) await drop(render)
  }

  /** One beat stands for all jobs; a process that had nothing to do has been silent. */
  async function claim(render: Render): Promise<void> {
    if (clock.now().getTime() - lastBeat >= heartbeatEveryMs) await beat()
    await writeState(render, null)
  }

  async function start(job: SandboxJob, attempt: number): Promise<void> {
    if (isClosing || renders.has(job.jobId)) {
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const render: Render = {
      job,
      workMs: workMsOf(job.request),
      attempt,
      isInLine: true,
      isHeld: false,
      stop: new Int32Array(new SharedArrayBuffer(4)),
      dropped: new AbortController(),
      thread: new AbortController(),
      done: promise,
    }
    renders.set(job.jobId, render)
    // A claim that was not written, or not known to be, is seen when the job's turn comes.
    await claim(render).catch(() => {})
    make(render)
      // Only a render that was dropped ends without its result in the storage.
      .catch(() => {})
      .finally(() => {
        renders.delete(job.jobId)
        resolve()
      })
  }

  async function make(render: Render): Promise<void> {
    const folder = join(temporaryDirectory, `sandbox-${randomUUID()}`)
    try {
      const result = await inLine(() => persistently(render, () => renderIn(folder, render)))
      if (result.outcome !== 'stopped') await persistently(render, () => publish(folder, render, result))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** Until it is done or the job dropped: a storage that is out of order for a while costs no job. */
  async function persistently<Result>(render: Render, action: () => Promise<Result>): Promise<Result> {
    for (;;) {
      render.dropped.signal.throwIfAborted()
      try {
        const result = await action()
        render.isHeld = false
        return result
      } catch (error) {
        render.isHeld = isNoSpace(error) || !hasRoom()
        await delay(storageRetryMs, undefined, { signal: render.dropped.signal })
      }
    }
  }

  async function renderIn(folder: string, render: Render): Promise<RenderResult> {
    render.isInLine = false
    if (!(await isOurs(render))) {
      return { outcome: 'stopped' }
    }
    if (!hasRoom()) throw new Error('the disk has no room for a render')
    // what an attempt left that was cut off takes room
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const { jobId, request } = render.job
    for (const index of request.sources.keys()) {
      const source = await storage.open(jobKeys(jobId).source(index))
      if (source === undefined) {
        const message = 'The sandbox no longer has the files of this job; submit it again.'
        return { outcome: 'failed', failure: { code: 'GENERATION_FAILED', message } }
      }
      await pipeline(source.stream, createWriteStream(join(folder, sourceName(index))))
    }
    return await runThread(folder, render)
  }

  async function runThread(folder: string, render: Render): Promise<RenderResult> {
    const { request } = render.job
    try {
      const result = await pool.run({ folder, request, stop: render.stop }, { signal: render.thread.signal })
      if (result.outcome === 'failed' && isNoSpace(new Error(result.failure.cause))) throw new Error('ENOSPC')
      return result
    } catch (error) {
      if (render.dropped.signal.aborted) {
        return { outcome: 'stopped' }
      }
      // the next attempt makes it anew, once there is room
      if (isNoSpace(error)) throw error
      const message = 'The sandbox could not render this job.'
      return { outcome: 'failed', failure: { code: 'GENERATION_FAILED', message, cause: String(error) } }
    }
  }

  /** Puts the files in their places, and then says that they are there. */
  async function publish(folder: string, render: Render, result: RenderResult): Promise<void> {
    if (!(await isOurs(render))) {
      return
    }
    if (result.outcome === 'failed') {
      await writeState(render, { status: 'failed', failure: result.failure })
      return
    }
    const { jobId, request } = render.job
    const keys = jobKeys(jobId).outputs(request)
    for (const [index, name] of outputNames(request).entries()) {
      await storage.put(keys[index]!, { file: join(folder, name) })
    }
    await writeState(render, { status: 'succeeded' })
  }

  /** A thread looks at `stop` between frames; a film of the customer's can keep it in one for minutes. */
  async function drop(render: Render): Promise<void> {
    Atomics.store(render.stop, 0, 1)
    render.dropped.abort()
    // One that waits for its turn ends when that comes.
    if (render.isInLine && !isClosing) return
    const end = setTimeout(() => render.thread.abort(), stopLimitMs)
    await render.done
    clearTimeout(end)
  }

  return {
    has: (jobId: string) => renders.has(jobId),
    isHeld: (jobId: string) => renders.get(jobId)?.isHeld ?? false,
    start,
    /** Work that waits or is under way, in ms of one thread. */
    get workMs() {
      const wanted = [...renders.values()].filter(({ dropped }) => !dropped.signal.aborted)
      return wanted.reduce((sum, { workMs }) => sum + workMs, 0)
    },
    /** Whether somebody renders the job, and, if not, the number of the next attempt at it. */
    async outlook({ process, attempt }: JobState): Promise<{ isRendered: boolean; nextAttempt: number }> {
      // What this process renders it knows without asking: it has lost this one.
      if (process === processId) return { isRendered: false, nextAttempt: attempt + 1 }
      const heartbeat = await readJson<Heartbeat>(storage, heartbeatKey(process))
      if (heartbeat === null) return { isRendered: false, nextAttempt: attempt + 1 }
      const silentMs = clock.now().getTime() - new Date(heartbeat.at).getTime()
      const isRendered = !heartbeat.isClosed && silentMs < staleMs
      return { isRendered, nextAttempt: heartbeat.isClosed ? attempt : attempt + 1 }
    },
    /** Stops rendering the job, if this process does. */
    async drop(jobId: string): Promise<void> {
      const render = renders.get(jobId)
      if (render !== undefined) await drop(render)
    },
    /** Stops at the next frame; the next process that is asked for one of these jobs takes it up. */
    async close(): Promise<void> {
      isClosing = true
      clearInterval(beats)
      const hasBeaten = lastBeat > Number.NEGATIVE_INFINITY
      await Promise.all([...renders.values()].map(drop))
      if (hasBeaten) await beat(true).catch(() => {})
      await pool.destroy()
    },
  }
}
