import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from 'pino'
import { coalesce } from '../coalesce.ts'
import { CommitUnknown, isLockTimeout, isTransient, isUnavailable, pipelinedTransaction } from '../db.ts'
import { ApiError } from '../errors.ts'
import { cancelJob } from './cancel.ts'
import { type Accepted, type Submission, type Verdict, writeBatch } from './write-batch.ts'

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
      return await pipelinedTransaction(context.pool, (client) => writeBatch(client, batch, maybeWritten))
    } catch (error) {
      maybeWritten ||= error instanceof CommitUnknown
      const delayMs = (maybeWritten ? unknownRetryDelaysMs : retryDelaysMs)[attempt]
      if (isTransient(error) && delayMs !== undefined) continue
      if (batch.length > 1 && (isLockTimeout(error) || !isUnavailable(error))) {
        // one account whose row is held, or one row that can't be written, must not fail the others
        return submitInParts(context, batch, maybeWritten, isLockTimeout(error))
      }
      if (!isUnavailable(error)) {
        return [new ApiError('INTERNAL_ERROR', 'The job could not be written.', undefined, error)]
      }
      if (delayMs === undefined || isLockTimeout(error)) {
        if (maybeWritten) giveBackLater(context, batch)
        return batch.map(() => unavailable(maybeWritten, error))
      }
      await sleep(delayMs)
    }
  }
}

async function submitInParts(
  context: SubmitContext,
  batch: Submission[],
  maybeWritten: boolean,
  byAccount: boolean,
): Promise<Verdict[]> {
  const parts = Map.groupBy(batch, (submission) => (byAccount ? submission.accountId : submission.jobId))
  if (parts.size === 1) return batch.map(() => unavailable(maybeWritten, new Error('the account is locked')))
  const verdicts = new Map<Submission, Verdict>()
  for (const part of parts.values()) {
    const found = await submitBatch(context, part, maybeWritten)
    part.forEach((submission, index) => {
      verdicts.set(submission, found[index]!)
    })
  }
  return batch.map((submission) => verdicts.get(submission)!)
}

function unavailable(maybeWritten: boolean, cause: unknown): ApiError {
  const message = maybeWritten
    ? 'The job could not be confirmed as queued. If it was written, it is cancelled and its charge given back, unless you sent an Idempotency-Key: then send the same request again to learn.'
    : 'The job could not be durably queued; nothing was charged. Send the same request again shortly.'
  return new ApiError('PUBSUB_PUBLISH_FAILED', message, { retryAfter: 5 }, cause)
}

const giveBackEveryMs = 5_000
const giveBackAttempts = 720

/**
 * Cancels what may have been written although the client was told that it was not. Jobs with an
 * Idempotency-Key stay: their client asks again and gets them.
 */
function giveBackLater({ pool, log }: SubmitContext, batch: Submission[]): void {
  const giveBack = async ({ accountId, jobId }: Submission) => {
    for (let attempt = 0; attempt < giveBackAttempts; attempt++) {
      await sleep(giveBackEveryMs, undefined, { ref: false })
      try {
        await cancelJob(pool, accountId, jobId, new Date())
        return log.warn({ jobId }, 'cancelled a job whose submit could not be confirmed to its client')
      } catch (error) {
        // it was not written, or is being worked on already
        if (error instanceof ApiError) return log.warn({ jobId, code: error.code }, 'nothing to give back')
      }
    }
  }
  for (const submission of batch) if (submission.idempotency === undefined) void giveBack(submission)
}
