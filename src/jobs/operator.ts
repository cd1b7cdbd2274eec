import type { Db } from '../db.ts'
import type { JobStatus } from './read.ts'

export interface OperatorJob {
  jobId: string
  status: JobStatus
  model: string
  mode: 'live' | 'test'
  costMicroCents: number
  email: string
  createdAt: string
}

/** The newest jobs of all users. */
export async function listJobsForOperator(db: Db, limit: number): Promise<OperatorJob[]> {
  const { rows } = await db.query<
    Omit<OperatorJob, 'costMicroCents' | 'createdAt'> & { cost: bigint; created_at: Date }
  >(
    `select j.id as "jobId", j.status, j.model_slug as model, a.mode, j.cost_micro_cents as cost, u.email, j.created_at
     from jobs j join accounts a on a.id = j.account_id join users u on u.id = a.user_id
     order by j.created_at desc, j.position desc limit $1`,
    [limit],
  )
  return rows.map(({ cost, created_at, ...row }) => ({
    ...row,
    costMicroCents: Number(cost),
    createdAt: created_at.toISOString(),
  }))
}

/** Everything that is known of one job, with its transfers, outputs and webhook attempts. */
export async function showJobForOperator(
  db: Db,
  jobId: string,
): Promise<Record<string, unknown> | undefined> {
  const { rows } = await db.query<{ job: Record<string, unknown> }>(
    `select json_build_object(
       'jobId', j.id, 'status', j.status, 'model', j.model_slug, 'version', j.model_version, 'mode', a.mode,
       'userId', u.id, 'email', u.email, 'apiKeyId', j.api_key_id, 'requestId', j.request_id,
       'costMicroCents', j.cost_micro_cents, 'priceBasis', j.price_basis, 'provider', j.provider, 'operation', j.operation,
       'input', j.input, 'metadata', j.metadata,
       'error', case when j.error_code is not null then json_build_object('code', j.error_code, 'message', j.error_message) end,
       'createdAt', j.created_at, 'dispatchedAt', j.dispatched_at, 'deadlineAt', j.deadline_at, 'completedAt', j.completed_at,
       'transfers', (select coalesce(json_agg(json_build_object('id', t.id, 'kind', t.kind, 'amountMicroCents', t.amount_micro_cents,
          'createdAt', t.created_at) order by t.id), '[]') from ledger_transfers t where t.job_id = j.id),
       'outputs', (select coalesce(json_agg(to_jsonb(o) - 'job_id' order by o.position), '[]') from job_outputs o where o.job_id = j.id),
       'webhook', (select json_build_object('id', w.id, 'url', w.url, 'status', w.status, 'attempts',
          (select coalesce(json_agg(to_jsonb(t) - 'webhook_id' order by t.attempt), '[]') from webhook_attempts t where t.webhook_id = w.id))
          from webhooks w where w.job_id = j.id)) as job
     from jobs j join accounts a on a.id = j.account_id join users u on u.id = a.user_id
     where j.id = $1`,
    [jobId],
  )
  return rows[0]?.job
}
