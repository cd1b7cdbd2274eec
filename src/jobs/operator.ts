import type { Db } from '../db.ts'
import type { JobStatus } from './read.ts'

export interface OperatorJob {
  jobId: string
  status: JobStatus
  model: string
  mode: 'live' | 'test'
  /** What the customer was charged. */
  priceMicroCents: number
  /** What is left of it after what was given back and what the upstreams charge; null where that is not known, and for test jobs. */
  marginMicroCents: number | null
  email: string
  createdAt: string
}

/** The newest jobs of all users. */
export async function listJobsForOperator(
  db: Db,
  limit: number,
  filter: { status?: JobStatus | undefined; jobIds?: string[] | undefined } = {},
): Promise<OperatorJob[]> {
  const { rows } = await db.query<
    Omit<OperatorJob, 'priceMicroCents' | 'marginMicroCents' | 'createdAt'> & {
      price: bigint
      margin: bigint | null
      created_at: Date
    }
  >(
    `select j.id as "jobId", j.status, j.model_slug as model, a.mode, j.cost_micro_cents as price, u.email, j.created_at,
       (select margin_micro_cents from job_money m where m.job_id = j.id) as margin
     from jobs j join accounts a on a.id = j.account_id join users u on u.id = a.user_id
     where ($2::job_status is null or j.status = $2)
       and ($3::text[] is null or j.id = any($3))
     order by j.created_at desc, j.position desc limit $1`,
    [limit, filter.status ?? null, filter.jobIds ?? null],
  )
  return rows.map(({ price, margin, created_at, ...row }) => ({
    ...row,
    priceMicroCents: Number(price),
    marginMicroCents: margin === null ? null : Number(margin),
    createdAt: created_at.toISOString(),
  }))
}

interface OperatorAttempt {
  number: number
  provider: string
  /** What the upstream calls the model; null in an attempt made before there were routes. */
  model: string | null
  status: string
  operation: unknown
  /** Why the upstream does not want the job, now or later. */
  refusalCode: string | null
  /** By the upstream's list, and by its bill. */
  listedCostMicroCents: number | null
  billedCostMicroCents: number | null
  /** What counts of them; null where nobody knows. */
  costMicroCents: number | null
  /** The bill in the upstream's own words. */
  billing: unknown
  cause: string | null
  startedAt: string
  answeredAt: string | null
  finishedAt: string | null
}

interface OperatorPolling {
  provider: string
  dueAt: string
  asked: number
  failures: number
  absences: number
  outputFailures: number
  /** The upstream's result is there, and is to be copied. */
  hasResult: boolean
}

interface OperatorEvent {
  id: number
  at: string
  kind: string
  from: JobStatus | null
  to: JobStatus | null
  detail: Record<string, unknown> | null
}

export interface OperatorMoney {
  chargedMicroCents: number
  /** By the job's end and by goodwill. */
  refundedMicroCents: number
  goodwillMicroCents: number
  /** What the upstreams have charged; null, as the margin then is, where nobody knows. The sandbox's jobs have no margin. */
  costMicroCents: number | null
  marginMicroCents: number | null
}

interface OperatorTransfer {
  id: number
  kind: string
  amountMicroCents: number
  note: string | null
  createdAt: string
}

/** All that is known of a job, and these in particular. */
export interface OperatorReport extends Record<string, unknown> {
  createdAt: string
  mode: 'live' | 'test'
  priceMicroCents: number
  transfers: OperatorTransfer[]
  money: OperatorMoney
  attempts: OperatorAttempt[]
  /** Null where no upstream is asked. */
  polling: OperatorPolling | null
  timeline: OperatorEvent[]
}

/** Everything that is known of one job: money, attempts, what the upstream is asked, timeline, outputs and webhook. */
export async function showJobForOperator(db: Db, jobId: string): Promise<OperatorReport | undefined> {
  const { rows } = await db.query<{ job: OperatorReport }>(
    `select json_build_object(
       'jobId', j.id, 'status', j.status, 'model', j.model_slug, 'version', j.model_version, 'mode', a.mode,
       'userId', u.id, 'email', u.email, 'apiKeyId', j.api_key_id, 'requestId', j.request_id,
       'priceMicroCents', j.cost_micro_cents, 'priceBasis', j.price_basis, 'routes', j.routes, 'provider', j.provider, 'operation', j.operation,
       'input', j.input, 'metadata', j.metadata,
       'error', case when j.error_code is not null then json_build_object('code', j.error_code, 'message', j.error_message) end,
       'cancelReason', j.cancel_reason, 'createdAt', j.created_at, 'dispatchedAt', j.dispatched_at, 'deadlineAt', j.deadline_at, 'completedAt', j.completed_at, 'trouble', j.trouble,
       'transfers', (select coalesce(json_agg(json_build_object('id', t.id, 'kind', t.kind, 'amountMicroCents', t.amount_micro_cents,
          'note', t.note, 'createdAt', t.created_at) order by t.id), '[]') from ledger_transfers t where t.job_id = j.id),
       'money', (select json_build_object('chargedMicroCents', charged_micro_cents, 'refundedMicroCents', refunded_micro_cents,
          'goodwillMicroCents', goodwill_micro_cents, 'costMicroCents', cost_micro_cents, 'marginMicroCents', margin_micro_cents) from job_money m where m.job_id = j.id),
       'attempts', (select coalesce(json_agg(json_build_object('number', t.number, 'provider', t.provider,
          'model', t.route ->> 'model', 'status', t.status, 'operation', t.operation, 'cause', t.cause,
          'refusalCode', t.refusal_code, 'listedCostMicroCents', t.listed_cost_micro_cents,
          'billedCostMicroCents', t.billed_micro_cents, 'costMicroCents', c.cost_micro_cents, 'billing', t.billing,
          'startedAt', t.started_at, 'answeredAt', t.answered_at, 'finishedAt', t.finished_at) order by t.number), '[]')
          from attempts t join attempt_costs c on c.attempt_id = t.id where t.job_id = j.id),
       'polling', (select json_build_object('provider', p.provider, 'dueAt', p.due_at, 'asked', p.asked, 'failures', p.failures,
          'absences', p.absences, 'outputFailures', p.output_failures, 'hasResult', p.outputs is not null)
          from polls p where p.job_id = j.id),
       'timeline', (select coalesce(json_agg(json_build_object('id', e.id, 'at', e.at, 'kind', e.kind, 'from', e.from_status,
          'to', e.to_status, 'detail', e.detail) order by e.id), '[]') from job_events e where e.job_id = j.id),
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
