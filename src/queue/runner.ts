import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type JobHelpers, Logger as QueueLogger, type Runner, run, type WorkerEvents } from 'graphile-worker'
import type pg from 'pg'
import type { Logger } from 'pino'
import type { TaskName, Tasks } from './tasks.ts'

/** `attempts` counts the runs of this task, this one included: those before it were cut off or threw. */
export type Handlers = {
  [Name in TaskName]?: (payload: Tasks[Name], task: { attempts: number }) => Promise<void>
}

export interface RunningTasks {
  /** What the queue writes on the tasks that are run here, for the heartbeat to vouch for. */
  workerIds(): string[]
  /** Waits for the tasks under way. */
  stop(): Promise<void>
}

const restartDelayMs = 1_000
/** How long what has been run may take to be written down by a library that has stopped. */
const endLimitMs = 2_000
/** How long it may do nothing but fail to take tasks. */
const failLimitMs = 3_000

/**
 * Runs tasks until stopped, at most `concurrency` at a time, and starts again whenever the library gives up, as
 * it does after some seconds without a database. `pool` must read pg's own types.
 */
export async function startRunner(
  pool: pg.Pool,
  handlers: Handlers,
  options: { concurrency: number; log: Logger },
): Promise<RunningTasks> {
  const { concurrency, log } = options
  let workerId: string | undefined
  let isStopping = false
  const start = async (): Promise<StartedQueue> => {
    const events: WorkerEvents = new EventEmitter()
    // tasks are locked by the pool of workers, not by one of them
    events.on('pool:create', ({ workerPool }) => {
      workerId = workerPool.id
    })
    const atRest = untilAtRest(events)
    const runner = await run({
      pgPool: pool,
      concurrency,
      // delayed tasks start up to this late
      pollInterval: 250,
      noHandleSignals: true,
      events,
      logger: toQueueLogger(log),
      taskList: toTaskList(handlers),
      parsedCronItems: [],
      // the ways of taking a task off that survive a lost connection; the others end the process
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    })
    stopIfItOnlyFails(events, runner, log)
    return { runner, ended: untilEnded(runner, atRest, log) }
  }
  let queue: StartedQueue | undefined = await start()
  const supervision = supervise()

  async function supervise(): Promise<void> {
    for (;;) {
      await queue?.ended
      // what it had locked is nobody's now: the heartbeat frees it
      workerId = undefined
      if (isStopping) return
      await sleep(restartDelayMs)
      if (isStopping) return
      queue = await start().catch((error) => {
        log.error({ err: error }, 'the queue does not start')
        return undefined
      })
      // asked to stop while it started
      if (isStopping) stop()
    }
  }

  // it may have stopped by itself; that it has ended is told by `ended`
  function stop(): void {
    queue?.runner.stop().catch(() => {})
  }

  return {
    workerIds: () => (workerId === undefined ? [] : [workerId]),
    async stop() {
      isStopping = true
      stop()
      await supervision
    },
  }
}

interface StartedQueue {
  runner: Runner
  ended: Promise<void>
}

/** No task is under way any more, and none is taken. What is left is to write down those that were run. */
async function untilAtRest(events: WorkerEvents): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  events.on('pool:gracefulShutdown:complete', () => resolve())
  events.on('pool:forcefulShutdown:complete', () => resolve())
  events.on('pool:forcefulShutdown:error', () => resolve())
  return promise
}

/**
 * The library miscounts what is still to be written down where two of such writes fail at once, and never ends
 * (https://github.com/graphile/worker/issues/636 is of the same lines): it is given up after a while. A task that has
 * run and was not taken off runs again, as after the death of its process.
 */
async function untilEnded(runner: Runner, atRest: Promise<void>, log: Logger): Promise<void> {
  const ended = runner.promise.catch((error) => log.error({ err: error }, 'the queue stopped'))
  const isLate = await Promise.race([ended.then(() => false), atRest.then(() => sleep(endLimitMs, true))])
  if (!isLate) return
  log.error('the queue has stopped and does not end: it is given up')
  runner.stop().catch(() => {})
}

/** The library keeps the failure of the first of its questions for its answer, and fails with it from then on. */
function stopIfItOnlyFails(events: WorkerEvents, runner: Runner, log: Logger): void {
  let failingSinceMs: number | undefined
  const works = () => {
    failingSinceMs = undefined
  }
  events.on('worker:getJob:empty', works)
  events.on('job:start', works)
  events.on('worker:getJob:error', ({ error }) => {
    failingSinceMs ??= performance.now()
    if (performance.now() - failingSinceMs < failLimitMs) return
    works()
    log.error({ err: error }, 'the queue takes no tasks: it is started again')
    runner.stop().catch(() => {})
  })
}

function toTaskList(handlers: Handlers) {
  return Object.fromEntries(
    Object.entries(handlers).map(([name, handler]) => [
      name,
      (payload: unknown, { job }: JobHelpers) => handler(payload as never, { attempts: job.attempts }),
    ]),
  )
}

function toQueueLogger(log: Logger): QueueLogger {
  const known = { error: 'error', warning: 'warn', info: 'debug', debug: 'trace' } as const
  return new QueueLogger(() => (level, message) => log[known[level]](message))
}
