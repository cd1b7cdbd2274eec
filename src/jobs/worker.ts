import type pg from 'pg'
import { durable } from '../fault-points.ts'
import { startHeartbeat } from '../queue/heartbeat.ts'
import { type RunningTasks, startRunner } from '../queue/runner.ts'
import { repeat } from '../repeat.ts'
import { createDeliver } from '../webhooks/deliver.ts'
import { placesOfAll } from '../webhooks/turns.ts'
import { adoptJob } from './adopt.ts'
import { collectJob } from './collect.ts'
import type { JobContext } from './context.ts'
import { toRun } from './cut-offs.ts'
import { dispatchJob } from './dispatch.ts'
import { startPoller } from './poller.ts'
import { discardOutputs } from './retention.ts'
import { bearSetBack } from './set-back.ts'
import { sweep } from './sweep.ts'

const sweepEveryMs = 60_000
const lookAtClockEveryMs = 5_000

/**
 * Starts working off the queue and asking upstreams. Dispatches, which may wait for a customer's slow file server, copies
 * of outputs, and webhooks, which may wait for a slow receiver, have runners of their own, so that none holds up the
 * others. `stop` waits for what is under way.
 */
export async function startWorker(
  context: JobContext,
  { queuePool, lookupPool }: { queuePool: pg.Pool; lookupPool: pg.Pool },
): Promise<{ stop(): Promise<void> }> {
  const { pool, log } = context
  const runners: RunningTasks[] = []
  const workerIds = () => runners.flatMap((runner) => runner.workerIds())
  const heartbeat = await startHeartbeat(pool, context.processId, workerIds, log)
  const start = async (concurrency: number, handlers: Parameters<typeof startRunner>[1]) => {
    runners.push(await startRunner(queuePool, handlers, { concurrency, log }))
    // at once: a task must not run for long under an id that nobody vouches for
    await heartbeat.beat()
  }
  const stop = async () => {
    await Promise.all(runners.map((runner) => runner.stop()))
    await heartbeat.stop()
  }
  try {
    await start(16, {
      collect: ({ jobId, cutOffs }, { attempts }) => collectJob(context, jobId, toRun(cutOffs, attempts)),
      discard: ({ jobId }) => durable('files.discard', () => discardOutputs(context.storage, jobId)),
      poll: ({ jobId }) => adoptJob(context, jobId),
    })
    await start(placesOfAll, { deliver_webhook: createDeliver(context) })
    await start(16, {
      dispatch: ({ jobId, cutOffs }, { attempts }) => dispatchJob(context, jobId, toRun(cutOffs, attempts)),
    })
  } catch (error) {
    await stop().catch((stopError) => log.error({ err: stopError }, 'stopping failed'))
    throw error
  }

  const poller = startPoller(context, lookupPool)
  const sweeps = repeat(
    sweepEveryMs,
    () => sweep(context),
    (error) => log.error({ err: error }, 'sweep failed'),
  )
  const looksAtClock = repeat(
    lookAtClockEveryMs,
    () => bearSetBack(context),
    (error) => log.warn({ err: error }, "the database's clock could not be looked at"),
  )
  return {
    async stop() {
      await Promise.all([sweeps.stop(), looksAtClock.stop(), poller.stop()])
      await stop()
    },
  }
}
