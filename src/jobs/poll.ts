import { type Db, isUnavailable } from '../db.ts'
import type { JobFailureCode } from '../errors.ts'
import type { Json, PollOutcome, Provider } from '../providers/provider.ts'
import { addTask, bringForward } from '../queue/tasks.ts'
import type { JobContext } from './context.ts'
import { OutputUnavailable, storeOutputs } from './outputs.ts'
import { completeJob, failJob } from './settle.ts'

interface JobRow {
  provider: string
  operation: Json
  dispatched_at: Date
  deadline_at: Date
}

// A result whose file can't be fetched is asked for again this often before the job fails.
const maxOutputFailures = 3
const outputRetryMs = 2_000

const retryDelayMs = 5_000

/** Asks the provider once how a job stands and acts on it; adds the next poll if it is not done. */
export async function pollJob(context: JobContext, jobId: string, outputFailures: number): Promise<void> {
  const { rows } = await context.pool.query<JobRow>(
    "select provider, operation, dispatched_at, deadline_at from jobs where id = $1 and status = 'processing'",
    [jobId],
  )
  const job = rows[0]
  if (job === undefined) return
  const provider = context.provider(job.provider)
  const isLate = context.clock.now() >= job.deadline_at
  const outcome = await ask(context, provider, jobId, job.operation)
  if (outcome.status === 'running') {
    if (isLate) return end(context, provider, jobId, job.operation, { code: 'PROVIDER_TIMEOUT' })
    return pollAgain(context, jobId, provider, job, outputFailures)
  }
  if (outcome.status === 'failed') return end(context, provider, jobId, job.operation, outcome)
  try {
    const outputs = await storeOutputs(context, jobId, outcome.outputs)
    await completeJob(context.pool, jobId, outputs, context.fileUrl, context.clock.now())
    await forget(context, provider, jobId, job.operation)
  } catch (error) {
    // a fault of our own, such as a full disk, is borne until the job's time is over
    const isTheirs = error instanceof OutputUnavailable
    context.log.warn({ jobId, err: error }, 'output not stored')
    const failures = isTheirs ? outputFailures + 1 : outputFailures
    if (failures >= maxOutputFailures || (isLate && !isUnavailable(error))) {
      return end(context, provider, jobId, job.operation, { code: 'OUTPUT_UNAVAILABLE' })
    }
    await pollAgain(context, jobId, provider, job, failures)
  }
}

/** Asks the provider at once about a job that waits for its next poll; does nothing for any other. */
export async function bringPollForward(db: Db, jobId: string): Promise<void> {
  await bringForward(db, `poll:${jobId}`)
}

// No answer counts as running: the time limit is what ends the waiting.
async function ask(
  { log }: JobContext,
  provider: Provider | undefined,
  jobId: string,
  operation: Json,
): Promise<PollOutcome> {
  if (operation === null || provider === undefined) return { status: 'running' }
  try {
    return await provider.poll(operation)
  } catch (error) {
    log.warn({ jobId, provider: provider.name, err: error }, 'poll failed')
    return { status: 'running' }
  }
}

async function pollAgain(
  { pool, clock }: JobContext,
  jobId: string,
  provider: Provider | undefined,
  job: JobRow,
  outputFailures: number,
): Promise<void> {
  const now = clock.now().getTime()
  const usualMs = provider?.pollDelayMs(now - job.dispatched_at.getTime()) ?? retryDelayMs
  const delayMs = usualMs + outputFailures * outputRetryMs
  const runAt = new Date(Math.min(now + delayMs, Math.max(now + 100, job.deadline_at.getTime())))
  await addTask(pool, 'poll', { jobId, outputFailures }, { runAt, key: `poll:${jobId}` })
}

async function end(
  context: JobContext,
  provider: Provider | undefined,
  jobId: string,
  operation: Json,
  failure: { code: JobFailureCode; message?: string },
): Promise<void> {
  await failJob(context.pool, jobId, failure, context.clock.now())
  await forget(context, provider, jobId, operation)
}

async function forget(
  { log }: JobContext,
  provider: Provider | undefined,
  jobId: string,
  operation: Json,
): Promise<void> {
  if (operation === null || provider?.forget === undefined) return
  await provider
    .forget(operation)
    .catch((error) => log.warn({ jobId, err: error }, 'provider did not forget'))
}
