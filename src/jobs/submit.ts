import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from 'pino'
import { databaseTime } from '../clock.ts'
import { coalesce } from '../coalesce.ts'
import { CommitUnknown, isLockTimeout, isTransient, isUnavailable, pipelinedTransaction } from '../db.ts'
import { ApiError } from '../errors.ts'
import { durable } from '../fault-points.ts'
import { cancelJob } from './cancel.ts'
import type { Accepted } from './idempotency.ts'
import { type Submission, type Verdict, writeBatch } from './write-batch.ts'

export type Submit = (submission: Submission) => Promise<Accepted>

// A batch as large as this holds the account rows for about 30 ms.
const maxBatch = 256
/** While the database is away: nothing was written, so the client may as well wait for it a little. */
const retryDelaysMs = [100, 400, 1_500]
/** When the answer to a commit was lost: only the database can say what became of it. */
const unknownRetryDelaysMs = [100, 400, 1_500, 3_000, 5_000, 5_000, 5_000, 5_000]

/**
 * Submits jobs durably: one transaction writes idempotency key, job, charge and dispatch task, and the answer
 * is given after its commit. Submits that arrive together share one transaction, as set-based statements;
 * that is ten times as fast on one busy account as a transaction each (measured, docs/decisions/submit.md).
 * Refusals are thrown as ApiError and leave nothing behind.
 */
export function createSubmit(pool: pg.Pool, log: Logger): Submit {
  const submitTogether = coalesce(maxBatch, (batch: Submission[]) => submitBatch({ pool, log }, batch, false))
  return async (submission) => {
    const verdict = await submitTogether(submission)
    if (verdict instanceof ApiError) throw verdict
    return verdict
  }
}

interface SubmitContext {
  pool: pg.Pool
  log: Logger
}

/** One verdict per submission. `maybeWritten`: an earlier attempt's commit may have happened, so look first. */
async function submitBatch(
  context: SubmitContext,
  batch: Submission[],
  maybeWritten: boolean,
): Promise<Verdict[]> {
  for (let attempt = 0; ; attempt++) {
    try {
      const write = () =>
        pipelinedTransaction(context.pool, (client) => writeBatch(client, batch, maybeWritten))
      return await durable('submit.commit', write)
    } catch (error) {
      maybeWritten ||= error instanceof CommitUnknown
      const delayMs = (maybeWritten ? unknownRetryDelaysMs : retryDelaysMs)[attempt]
      if (isTransient(error) && delayMs !== undefined) continue
      const mayPart = isLockTimeout(error) ? !maybeWritten : !isUnavailable(error)
      if (mayPart) {
        // one account whose row is held, or one row that can't be written, must not fail the others
        const parts = Map.groupBy(batch, ({ accountId, jobId }) => (isLockTimeout(error) ? accountId : jobId))
        if (parts.size > 1) return submitParts(context, batch, [...parts.values()], maybeWritten)
      }
      // where a commit may still be under way it holds the account's lock: then that is waited for as well
      const isFinal = !isUnavailable(error) || (isLockTimeout(error) && !maybeWritten)
      if (delayMs === undefined || isFinal) return giveUp(context, batch, maybeWritten, error)
      await sleep(delayMs)
    }
  }
}

async function submitParts(
  context: SubmitContext,
  batch: Submission[],
  parts: Submission[][],
  maybeWritten: boolean,
): Promise<Verdict[]> {
  const verdicts = new Map<Submission, Verdict>()
  const submitPart = async (part: Submission[]) => {
    const found = await submitBatch(context, part, maybeWritten)
    for (const [index, submission] of part.entries()) verdicts.set(submission, found[index]!)
  }
  await Promise.all(parts.map(submitPart))
  return batch.map((submission) => verdicts.get(submission)!)
}

function giveUp(
  context: SubmitContext,
  batch: Submission[],
  maybeWritten: boolean,
  cause: unknown,
): Verdict[] {
  if (maybeWritten) for (const submission of batch) void giveBack(context, submission)
  const isKnown = !maybeWritten && !isUnavailable(cause)
  const message = maybeWritten
    ? 'The job could not be confirmed as queued: it may have been written and charged. Look for it in GET /v1/jobs, or send the same request again with its Idempotency-Key, before you send another. Without a key it is cancelled and refunded if it has not started.'
    : 'The job could not be durably queued; nothing was charged. Send the same request again shortly.'
  return batch.map(() =>
    isKnown
      ? new ApiError('INTERNAL_ERROR', 'The job could not be written; nothing was charged.', undefined, cause)
      : new ApiError('PUBSUB_PUBLISH_FAILED', message, { retryAfter: 5 }, cause),
  )
}

const giveBackEveryMs = 5_000
const giveBackAttempts = 720

/**
 * Cancels a job that may have been written although its client could not be told so. One with an
 * Idempotency-Key stays: its client asks again and gets it.
 */
async function giveBack({ pool, log }: SubmitContext, submission: Submission): Promise<void> {
  const { accountId, jobId, idempotency } = submission
  if (idempotency !== undefined) return
  for (let attempt = 0; attempt < giveBackAttempts; attempt++) {
    try {
      // a commit that is still under way holds this lock: what is not there afterwards never will be
      await pool.query('select from accounts where id = $1 for update', [accountId])
      await cancelJob({ pool, provider: () => undefined }, accountId, jobId, await databaseTime(pool))
      return log.warn({ jobId }, 'cancelled a job whose submit could not be confirmed to its client')
    } catch (error) {
      if (error instanceof ApiError) return log.warn({ jobId, code: error.code }, 'nothing to give back')
    }
    await sleep(giveBackEveryMs, undefined, { ref: false })
  }
}
