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
  const start = () => {
    const events: WorkerEvents = new EventEmitter()
    // tasks are locked by the pool of workers, not by one of them
    events.on('pool:create', ({ workerPool }) => {
      workerId = workerPool.id
    })
    return run({
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
  }
  let runner: Runner | undefined = await start()
  const supervision = supervise()

  async function supervise(): Promise<void> {
    for (;;) {
      await runner?.promise.catch((error) => log.error({ err: error }, 'the queue stopped'))
      // what it had locked is nobody's now: the heartbeat frees it
      workerId = undefined
      if (isStopping) return
      await sleep(restartDelayMs)
      if (isStopping) return
      runner = await start().catch((error) => {
        log.error({ err: error }, 'the queue does not start')
        return undefined
      })
      // asked to stop while it started
      if (isStopping) await runner?.stop().catch(() => {})
    }
  }

  return {
    workerIds: () => (workerId === undefined ? [] : [workerId]),
    async stop() {
      isStopping = true
      // it may have stopped by itself
      await runner?.stop().catch(() => {})
      await supervision
    },
  }
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
