import { EventEmitter } from 'node:events'
import { Logger as QueueLogger, type Runner, run, type WorkerEvents } from 'graphile-worker'
import type pg from 'pg'
import type { Logger } from 'pino'
import type { TaskName, Tasks } from './tasks.ts'

export type Handlers = { [Name in TaskName]?: (payload: Tasks[Name]) => Promise<void> }

/**
 * Runs tasks until stopped, at most `concurrency` at a time. Each kind of work that may wait long on others
 * has a runner of its own, so that slow webhook receivers never hold up jobs.
 */
export async function startRunner(
  pool: pg.Pool,
  handlers: Handlers,
  options: { concurrency: number; log: Logger; onWorker(workerId: string): void },
): Promise<Runner> {
  const events: WorkerEvents = new EventEmitter()
  events.on('worker:create', ({ worker }) => options.onWorker(worker.workerId))
  return run({
    pgPool: pool,
    concurrency: options.concurrency,
    // delayed tasks start up to this late
    pollInterval: 250,
    noHandleSignals: true,
    events,
    logger: new QueueLogger(() => (level, message) => {
      const level_ =
        level === 'error' || level === 'warning' ? (level === 'error' ? 'error' : 'warn') : 'debug'
      options.log[level_](message)
    }),
    taskList: handlers as Record<string, (payload: unknown) => Promise<void>>,
    parsedCronItems: [],
  })
}
