import { isUnavailable } from '../db.ts'
import { isNoSpace } from '../disk.ts'
import { durable } from '../fault-points.ts'
import type { Json, ProviderOutput } from '../providers/provider.ts'
import { addTask } from '../queue/tasks.ts'
import { backoffMs } from './backoff.ts'
import type { JobContext } from './context.ts'
import { firstRun, isHopeless, type Run, restMs } from './cut-offs.ts'
import { forget } from './forget.ts'
import { noteTrouble } from './life.ts'
import { OutputUnavailable, storeOutputs } from './outputs.ts'
import { askForOutputsAgain, collectKey } from './polls.ts'
import { discardOutputs } from './retention.ts'
import { describe } from './send.ts'
import { completeJob, failJob } from './settle.ts'

interface JobRow {
  provider: string
  outputs: ProviderOutput[]
  output_failures: number
  is_too_late: boolean
  operation: Json
}

// A result whose file can't be had is asked for anew this often before the job fails: about 15 s in all.
const maxOutputFailures = 5
const ownRetryDelayMs = 5_000
/** A fault of our own, such as a full disk, is borne until this long after the job's time is over. */
const ownTroubleLimitMs = 3_600_000

/** Copies the outputs of a job that its upstream has done into our storage, and completes it. */
export async function collectJob(context: JobContext, jobId: string, run: Run = firstRun): Promise<void> {
  const job = await findJob(context, jobId)
  // whoever copied before may have been cut off after the job had ended, and what is deleted then had been deleted
  if (job === undefined) return discardIfEnded(context, jobId)
  const provider = context.provider(job.provider)
  const { pool, clock } = context
  if (isHopeless(run) && job.is_too_late) {
    const isOver = await failJob(pool, jobId, { code: 'OUTPUT_UNAVAILABLE' }, clock.now())
    if (isOver && provider) await forget(context, provider, jobId, job.operation)
    return
  }
  const delayMs = restMs(run)
  if (delayMs > 0) {
    const task = { jobId, cutOffs: run.cutOffs }
    await noteTrouble(pool, jobId, `the process died ${run.cutOffs} times while it copied the result`)
    return addTask(pool, 'collect', task, { delayMs, key: collectKey(jobId) })
  }
  try {
    const outputs = await durable('output.store', () => storeOutputs(context, jobId, job.outputs))
    const isDone = await completeJob(context.pool, jobId, outputs, context.fileUrl, context.clock.now())
    if (!isDone) await discardIfEnded(context, jobId)
    if (provider) await forget(context, provider, jobId, job.operation)
  } catch (error) {
    context.log.warn({ jobId, err: error }, 'output not stored')
    const isOver = await tryAgain(context, jobId, job, error)
    if (isOver && provider) await forget(context, provider, jobId, job.operation)
    if (!isOver) await discardIfEnded(context, jobId)
  }
}

async function findJob({ pool }: JobContext, jobId: string): Promise<JobRow | undefined> {
  const { rows } = await pool.query<JobRow>(
    `select p.provider, p.outputs, p.output_failures, a.operation,
       j.deadline_at < filmgate_now() - $2 * interval '1 ms' as is_too_late
     from polls p
     join jobs j on j.id = p.job_id
     left join attempts a on a.job_id = j.id and a.status = 'accepted'
     where p.job_id = $1 and p.outputs is not null and j.status = 'processing'`,
    [jobId, ownTroubleLimitMs],
  )
  return rows[0]
}

/** True if the job was given up. */
async function tryAgain(context: JobContext, jobId: string, job: JobRow, error: unknown): Promise<boolean> {
  const { pool, clock } = context
  const now = clock.now()
  const isTheirs = error instanceof OutputUnavailable
  const failures = job.output_failures + 1
  if (
    isTheirs ? failures >= maxOutputFailures : job.is_too_late && !isUnavailable(error) && !isNoSpace(error)
  ) {
    return failJob(pool, jobId, { code: 'OUTPUT_UNAVAILABLE' }, now)
  }
  if (isTheirs) {
    const delayMs = backoffMs(failures, { baseMs: 500, retryAfterMs: 500 * failures })
    await askForOutputsAgain(pool, jobId, now, { delayMs, cause: describe(error) })
  } else {
    await noteTrouble(pool, jobId, describe(error))
    await addTask(pool, 'collect', { jobId }, { delayMs: ownRetryDelayMs, key: collectKey(jobId) })
  }
  return false
}

/** Of a job that was ended by somebody else meanwhile, or had its files deleted, nobody would look after what is copied. */
async function discardIfEnded({ pool, storage }: JobContext, jobId: string): Promise<void> {
  const { rowCount } = await pool.query(
    "select from jobs where id = $1 and (status in ('failed', 'cancelled') or outputs_deleted_at is not null)",
    [jobId],
  )
  if (rowCount === 1) await discardOutputs(storage, jobId)
}
