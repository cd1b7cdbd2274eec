import { randomUUID } from 'node:crypto'
import { startHeartbeat } from '../queue/heartbeat.ts'
import { startRunner } from '../queue/runner.ts'
import { deliverWebhook } from '../webhooks/deliver.ts'
import type { JobContext } from './context.ts'
import { dispatchJob } from './dispatch.ts'
import { pollJob } from './poll.ts'
import { sweep } from './sweep.ts'

const jobConcurrency = 8
const webhookConcurrency = 16
const sweepEveryMs = 10 * 60_000

/**
 * Starts working off the queue: one runner for jobs and one for webhooks, with one heartbeat. `stop` waits for
 * the tasks under way.
 */
export async function startWorker(context: JobContext): Promise<{ stop(): Promise<void> }> {
  const { pool, log } = context
  const workerIds = new Set<string>()
  const options = { log, onWorker: (id: string) => void workerIds.add(id) }
  // the heartbeat first: a task must never run under a worker that nobody vouches for
  const heartbeat = await startHeartbeat(pool, randomUUID(), () => [...workerIds], log)
  const runners = [
    await startRunner(
      pool,
      {
        dispatch: ({ jobId }) => dispatchJob(context, jobId),
        poll: ({ jobId, outputFailures }) => pollJob(context, jobId, outputFailures ?? 0),
      },
      { ...options, concurrency: jobConcurrency },
    ),
    await startRunner(
      pool,
      { deliver_webhook: ({ webhookId }) => deliverWebhook(context, webhookId) },
      { ...options, concurrency: webhookConcurrency },
    ),
  ]
  const sweeper = setInterval(() => {
    sweep(context).catch((error) => log.error({ err: error }, 'sweep failed'))
  }, sweepEveryMs)
  return {
    async stop() {
      clearInterval(sweeper)
      await Promise.all(runners.map((runner) => runner.stop()))
      await heartbeat.stop()
    },
  }
}
