import type pg from 'pg'
import { transaction } from '../db.ts'
import type { AttemptStatus } from './life.ts'
import type { JobStatus } from './read.ts'
import { failJobWithin } from './settle.ts'

/** What became of an operator's word that a job of unknown outcome is to be given up. */
export type GivenUp = 'refunded' | 'no such job' | { refused: string }

/**
 * Ends a job that is kept because nobody knows whether its upstream has it: failed and refunded once. Should the
 * upstream have a result after all, the timeline tells it. Any other job ends by itself, and is left alone.
 */
export async function giveUpJob(pool: pg.Pool, jobId: string, now: Date): Promise<GivenUp> {
  return transaction(pool, async (client): Promise<GivenUp> => {
    const job = await client.query<{ status: JobStatus }>(
      'select status from jobs where id = $1 for update',
      [jobId],
    )
    const status = job.rows[0]?.status
    if (status === undefined) return 'no such job'
    if (status !== 'processing') return { refused: `the job is ${status}` }
    const { rows } = await client.query<{ status: AttemptStatus }>(
      'select status from attempts where job_id = $1 order by number desc limit 1',
      [jobId],
    )
    if (rows[0]?.status !== 'unknown') {
      return {
        refused: `the outcome of the job is not unknown: its last attempt is ${rows[0]?.status ?? 'yet to be made'}`,
      }
    }
    const failure = {
      code: 'PROVIDER_TIMEOUT',
      message: 'It could not be learnt whether the provider has this job.',
    } as const
    await failJobWithin(client, jobId, failure, now, { lateWatchMs: 60_000 })
    return 'refunded'
  })
}
