import type { FastifyReply } from 'fastify'
import type { ApiError } from '../errors.ts'
import type { JobDetails } from '../jobs/read.ts'
import { hasEnded } from '../jobs/timeline.ts'
import type { JobWatch, Watcher } from '../jobs/watch.ts'
import type { Services } from './services.ts'

/** A place among the watchers for as long as the client waits for this answer. */
export function joinWatch(watch: JobWatch, accountId: bigint, reply: FastifyReply): Watcher | ApiError {
  const watcher = watch.join(accountId)
  if (!('leave' in watcher)) return watcher
  const { socket } = reply.request.raw
  if (reply.raw.closed || socket.destroyed) {
    watcher.leave()
    return watcher
  }
  // An answer that stands in line behind others of its connection may not hear of its end. As many may stand there as
  // there are places.
  socket.setMaxListeners(0)
  socket.once('close', watcher.leave)
  reply.raw.once('close', () => {
    socket.off('close', watcher.leave)
    watcher.leave()
  })
  return watcher
}

/**
 * The job once it has ended, the time is over or the server stops. The job is safe whatever becomes of the waiting: where
 * nothing can be read, undefined.
 */
export async function waitForEnd(
  { getJob }: Pick<Services, 'getJob'>,
  accountId: bigint,
  jobId: string,
  watcher: Watcher,
  waitMs: number,
): Promise<JobDetails | undefined> {
  try {
    const job = await getJob(accountId, jobId)
    if (hasEnded(job.status)) return job
    const until = performance.now() + waitMs
    for (let after = 0n, status = job.status; !hasEnded(status); ) {
      const last = (await watcher.next(jobId, after, Math.max(0, until - performance.now()))).at(-1)
      if (last === undefined) break
      after = last.id
      status = last.status
    }
    return await getJob(accountId, jobId)
  } catch {
    return undefined
  }
}
