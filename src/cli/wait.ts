import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from './api.ts'
import type { Progress } from './progress.ts'

/** What a submit answers. */
export interface Submitted {
  jobId: string
  status: 'pending'
  estimatedCompletionTime: string
  costMicroCents: number
  createdAt: string
}

/** What is asked of a job while it is waited for. */
export interface Job {
  jobId: string
  status: 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled'
  outputs: { url: string; type: string }[] | null
  error: { code: string; message: string } | null
  costMicroCents: number
  createdAt: string
}

// A server that is being restarted, or out of reach for some minutes, does not end the waiting.
const attempts = 20
const drawEveryMs = 200

/** Asks for a job until it has ended, the less often the longer it takes. */
export async function waitForJob(
  api: Api,
  { jobId, estimatedCompletionTime }: Submitted,
  { show, signal }: { show: (progress: Omit<Progress, 'label'>) => void; signal: AbortSignal },
): Promise<Job> {
  const start = performance.now()
  for (;;) {
    const job = await api.call<Job>('GET', `/v1/jobs/${jobId}`, { attempts, signal })
    const hasEnded = job.status !== 'pending' && job.status !== 'processing'
    // both by the server's clock
    const expectedMs = Math.max(1, Date.parse(estimatedCompletionTime) - Date.parse(job.createdAt))
    for (const nextLook = performance.now() + pauseMs(performance.now() - start); ; ) {
      const elapsedMs = performance.now() - start
      const share = hasEnded ? 1 : Math.min(0.95, elapsedMs / expectedMs)
      show({ status: job.status, share, seconds: elapsedMs / 1000 })
      if (hasEnded) return job
      if (performance.now() >= nextLook) break
      await sleep(drawEveryMs, undefined, { signal })
    }
  }
}

function pauseMs(elapsedMs: number): number {
  return Math.min(5_000, Math.max(drawEveryMs, elapsedMs / 20))
}
