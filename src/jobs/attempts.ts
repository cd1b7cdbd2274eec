import type pg from 'pg'
import { type Db, storableJson, transaction } from '../db.ts'
import type { JobFailureCode } from '../errors.ts'
import { durable } from '../fault-points.ts'
import { newId } from '../ids.ts'
import type { Billed, Json, Route } from '../providers/provider.ts'
import { tell } from './life.ts'
import type { JobStatus } from './read.ts'

/**
 * Writes an attempt down before the upstream is called, and sets the job's time limit anew. Undefined if the job is not
 * processing any more, or an earlier attempt may be alive at an upstream, or there is one of this `number`, so that the way was
 * chosen by what is not so any more: then nothing may be sent. `answerLimitMs`: if no answer is written down within
 * this time, the attempt is looked after as one whose outcome is unknown.
 */
export async function beginAttempt(
  db: Db,
  jobId: string,
  options: {
    route: Route
    listedCostMicroCents: bigint | undefined
    processId: string
    /** Of the upstream; see `Provider`. */
    account?: string | undefined
    /** One more than were made when the way was chosen; without it, it is the next. */
    number?: number
    at: Date
    timeLimitMs: number
    answerLimitMs: number
  },
): Promise<{ attemptId: string; number: number } | undefined> {
  const attemptId = newId('att', options.at)
  const { rows } = await durable('attempt.begin', () =>
    db.query<{ number: number }>({
      name: 'attempt-begin',
      text: `
        with job as (
          select id, model_slug from jobs where id = $1 and status = 'processing' for update
        ), begun as (
          insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, route,
            listed_cost_micro_cents, account)
          select $2, job.id, coalesce($11, 1 + (select max(number) from attempts where job_id = $1), 1), $3, job.model_slug,
            $7, job.id, $8, $9, $10
          from job
          on conflict do nothing
          returning id, job_id, number, provider
        ), timed as (
          update jobs set provider = begun.provider, deadline_at = filmgate_now() + $5 * interval '1 ms', trouble = null
          from begun where jobs.id = begun.job_id
        ), watched as (
          insert into polls (job_id, provider, due_at)
          select job_id, provider, filmgate_now() + $6 * interval '1 ms' from begun
          on conflict (job_id) do update set provider = excluded.provider, due_at = excluded.due_at, failures = 0, absences = 0
        ), told as (
          insert into job_events (job_id, at, kind, detail)
          select job_id, $4, 'attempt_sent', jsonb_build_object(
            'attempt', number, 'provider', provider, 'model', $8::jsonb ->> 'model') from begun
        )
        select number from begun`,
      values: [
        jobId,
        attemptId,
        options.route.upstream,
        options.at,
        options.timeLimitMs,
        options.answerLimitMs,
        options.processId,
        options.route,
        options.listedCostMicroCents,
        options.account ?? null,
        options.number ?? null,
      ],
    }),
  )
  return rows[0] && { attemptId, number: rows[0].number }
}

export interface AttemptAnswer {
  jobId: string
  attemptId: string
  at: Date
}

/**
 * Keeps the operation under which the upstream has the job, and plans the first poll. It is kept even if the job has ended
 * meanwhile, since it leads to what the upstream is paid for; answers the job's status, undefined if the attempt had
 * been answered before.
 */
export async function acceptAttempt(
  pool: pg.Pool,
  { jobId, attemptId, at }: AttemptAnswer,
  operation: Json,
  firstPollMs: number,
): Promise<JobStatus | undefined> {
  return durable('attempt.answer', () =>
    transaction(pool, async (client) => {
      const status = await lockJob(client, jobId)
      const isNews = await answer(client, attemptId, ['sending', 'unknown'], 'accepted', { operation })
      if (!isNews) return undefined
      await client.query(
        `insert into polls (job_id, provider, due_at)
         select job_id, provider, filmgate_now() + $2 * interval '1 ms' from attempts where id = $1
         on conflict (job_id) do update set due_at = excluded.due_at, failures = 0, absences = 0`,
        [attemptId, firstPollMs],
      )
      // one that was held beyond its time has it anew
      await client.query(
        `update jobs set deadline_at = filmgate_now() + (deadline_at - dispatched_at)
         where id = $1 and status = 'processing' and deadline_at <= filmgate_now()`,
        [jobId],
      )
      await tell(client, jobId, 'attempt_accepted', at)
      return status
    }),
  )
}

/**
 * The upstream has said no: nothing was created there. `then` settles what becomes of the job, in the same transaction.
 * `code`: it will never want this job, so that it is not asked again.
 */
export async function refuseAttempt(
  pool: pg.Pool,
  { jobId, attemptId, at }: AttemptAnswer,
  { cause, code }: { cause: string; code?: JobFailureCode },
  then: (client: pg.PoolClient) => Promise<void>,
): Promise<boolean> {
  return durable('attempt.answer', () =>
    transaction(pool, async (client) => {
      await lockJob(client, jobId)
      // others may have taken it for lost meanwhile: its own answer ends that
      if (!(await answer(client, attemptId, ['sending', 'unknown'], 'refused', { cause, code }))) return false
      await tell(client, jobId, 'attempt_refused', at, { cause })
      await then(client)
      return true
    }),
  )
}

/** The answer was lost: from here on the upstream is asked whether it has the job, the first time in `askAfterMs`. */
export async function loseAttempt(
  pool: pg.Pool,
  { jobId, attemptId, at }: AttemptAnswer,
  cause: string,
  askAfterMs: number,
): Promise<boolean> {
  return durable('attempt.answer', () =>
    transaction(pool, async (client) => {
      await lockJob(client, jobId)
      if (!(await answer(client, attemptId, ['sending'], 'unknown', { cause }))) return false
      await client.query(
        `update polls set due_at = filmgate_now() + $2 * interval '1 ms', failures = 0, absences = 0 where job_id = $1`,
        [jobId, askAfterMs],
      )
      await tell(client, jobId, 'attempt_unknown', at, { cause })
      return true
    }),
  )
}

/** The route of an attempt. Those that were made before there were routes have none: it was the model itself. */
export function routeSent(attempt: { route: Route | null; provider: string; model_slug: string }): Route {
  return attempt.route ?? { upstream: attempt.provider, model: attempt.model_slug }
}

/** Whether an attempt is still to be answered by whoever sends it: others may have taken that for dead. */
export async function isSending(db: Db, attemptId: string): Promise<boolean> {
  const { rowCount } = await db.query("select from attempts where id = $1 and status = 'sending'", [
    attemptId,
  ])
  return rowCount === 1
}

/** The upstream has said that it knows nothing of a lost submit. `then` may send the job anew. */
export async function missAttempt(
  pool: pg.Pool,
  { jobId, attemptId, at }: AttemptAnswer,
  then: (client: pg.PoolClient) => Promise<void>,
): Promise<boolean> {
  return durable('attempt.answer', () =>
    transaction(pool, async (client) => {
      await lockJob(client, jobId)
      if (!(await answer(client, attemptId, ['unknown'], 'absent', {}))) return false
      await tell(client, jobId, 'attempt_absent', at)
      await then(client)
      return true
    }),
  )
}

/** The lock of the job's row comes before all others, so that no two transactions wait for each other in a ring. */
async function lockJob(client: pg.PoolClient, jobId: string): Promise<JobStatus | undefined> {
  const { rows } = await client.query<{ status: JobStatus }>(
    'select status from jobs where id = $1 for update',
    [jobId],
  )
  return rows[0]?.status
}

async function answer(
  client: pg.PoolClient,
  attemptId: string,
  from: string[],
  to: string,
  { operation, cause, code }: { operation?: Json; cause?: string; code?: JobFailureCode | undefined },
): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'attempt-answer',
    text: `
      update attempts set status = $3, answered_at = filmgate_now(), operation = $4, cause = coalesce($5, cause), refusal_code = $6
      where id = $1 and status::text = any($2)`,
    values: [
      attemptId,
      from,
      to,
      operation === undefined ? null : storableJson(operation),
      cause ?? null,
      code ?? null,
    ],
  })
  return rowCount === 1
}

/** What an upstream says that it charged. It is not believed beyond being kept: an amount must be one. */
export async function recordBilling(
  db: Db,
  attemptId: string,
  { microCents, statement }: Billed,
): Promise<void> {
  const isAmount = microCents !== undefined && Number.isSafeInteger(microCents) && microCents >= 0
  await db.query({
    name: 'attempt-bill',
    text: `update attempts set billed_micro_cents = $2, billing = $3 where id = $1`,
    values: [attemptId, isAmount ? microCents : null, storableJson(statement)],
  })
}
