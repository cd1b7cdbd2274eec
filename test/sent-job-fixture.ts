import type pg from 'pg'
import { newId } from '../src/ids.ts'
import { beginAttempt } from '../src/jobs/attempts.ts'
import type { Route } from '../src/providers/provider.ts'
import type { Customer } from './database.ts'

/** Writes a processing job whose first attempt is being sent, by a process that is alive unless it is gone. */
export async function addSentJob(
  pool: pg.Pool,
  { accountId, keyId }: Pick<Customer, 'accountId' | 'keyId'>,
  route: Route,
  { isGone = false }: { isGone?: boolean } = {},
): Promise<{ jobId: string; attemptId: string }> {
  const at = new Date()
  const jobId = newId('job', at)
  await pool.query(
    `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, provider, status,
       cost_micro_cents, created_at, estimated_completion_at, dispatched_at, deadline_at)
     values ($1, $2, $3, 'req_x', 'a/b/c', '1', '{}', $5, 'processing', 0, $4, $4, $4, $4)`,
    [jobId, accountId, keyId, at, route.upstream],
  )
  const processId = isGone ? 'gone' : 'alive'
  await pool.query(
    `insert into processes (id, worker_ids, beat_at) values ('alive', '{}', now() + interval '1 hour') on conflict do nothing`,
  )
  const begun = await beginAttempt(pool, jobId, {
    route,
    listedCostMicroCents: undefined,
    processId,
    at,
    timeLimitMs: 3_600_000,
    answerLimitMs: 3_600_000,
  })
  return { jobId, attemptId: begun!.attemptId }
}
