import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { createLocalStorage } from '../src/storage/local.ts'
import type { Experience, Loss } from './client.ts'
import type { Gateway } from './gateways.ts'
import type { Receivers } from './receivers.ts'
import type { Script } from './script.ts'
import type { JobTruth, Truth } from './truth.ts'

export interface JobEvidence {
  id: string
  order: number
  status: string
  errorCode: string | null
  webhookUrl: string | null
  /** From being taken up to its end. */
  processingMs: number | null
  charges: number
  refunds: number
  events: { id: string; kind: string; from: string | null; to: string | null; at: string; detail: unknown }[]
  /** In micro-cents, each as text. */
  chargedMicroCents: string
  refundedMicroCents: string
  /** As the operator is told; null where nobody knows. */
  costMicroCents: string | null
  marginMicroCents: string | null
  attempts: {
    number: number
    provider: string
    status: string
    upstreamId: string | null
    cause: string | null
    billedMicroCents: string | null
  }[]
  outputs: { key: string; poster: string | null; thumbnail: string | null; bytes: string; sha256: string }[]
  webhooks: { id: string; status: string; body: string; attempts: number; error: string | null }[]
  /** Undefined where no upstream ever heard of it. */
  truth: JobTruth | undefined
  script: Script
}

/** All that is left behind by a run, for the checks to judge. */
export interface Evidence {
  experiences: Experience[]
  /** The jobs that came in while nothing was done to the servers but stopping them gently. */
  gentleOrders: Set<number>
  jobs: JobEvidence[]
  truth: Truth
  receivers: Receivers
  gateways: Gateway[]
  losses: Loss[]
  logLines: string[]
  tasks: Record<string, unknown>[]
  polls: { jobId: string; status: string; errorCode: string | null }[]
  /** SHA-256 of every stored output by its key. */
  files: Map<string, string>
  /** Keys of upstreams, which belong in no log. */
  secrets: string[]
  ledgerVerify: { code: number; stdout: string; stderr: string }
}

/** Every job with what belongs to it. */
export async function loadJobs(
  pool: pg.Pool,
  truth: Truth,
  scriptOf: (order: number) => Script,
): Promise<JobEvidence[]> {
  const truths = new Map(truth.jobs.map((job) => [job.jobId, job]))
  const { rows } = await pool.query(`
    select j.id, (j.metadata ->> 'order')::int as "order", j.status::text, j.error_code as "errorCode",
      j.webhook_url as "webhookUrl",
      (1000 * extract(epoch from j.completed_at - j.dispatched_at))::float8 as "processingMs",
      (select count(*)::int from ledger_transfers t where t.job_id = j.id and t.kind = 'charge') as charges,
      (select count(*)::int from ledger_transfers t where t.job_id = j.id and t.kind = 'refund') as refunds,
      (select coalesce(sum(amount_micro_cents), 0)::text from ledger_transfers t where t.job_id = j.id and t.kind = 'charge')
        as "chargedMicroCents",
      (select coalesce(sum(amount_micro_cents), 0)::text from ledger_transfers t where t.job_id = j.id and t.kind = 'refund')
        as "refundedMicroCents",
      m.cost_micro_cents::text as "costMicroCents", m.margin_micro_cents::text as "marginMicroCents",
      (select coalesce(json_agg(json_build_object('id', e.id::text, 'kind', e.kind, 'from', e.from_status, 'to', e.to_status,
         'at', e.at, 'detail', e.detail) order by e.id), '[]') from job_events e where e.job_id = j.id) as events,
      (select coalesce(json_agg(json_build_object('number', a.number, 'status', a.status, 'cause', a.cause,
         'provider', a.provider, 'billedMicroCents', a.billed_micro_cents::text,
         'upstreamId', coalesce(a.operation ->> 'id', a.operation ->> 'requestId')) order by a.number), '[]') from attempts a where a.job_id = j.id) as attempts,
      (select coalesce(json_agg(json_build_object('key', o.key, 'poster', o.poster_key, 'thumbnail', o.thumbnail_key,
         'bytes', o.bytes::text, 'sha256', o.sha256)), '[]') from job_outputs o where o.job_id = j.id) as outputs,
      (select coalesce(json_agg(json_build_object('id', w.id, 'status', w.status, 'body', w.body,
         'attempts', (select count(*) from webhook_attempts t where t.webhook_id = w.id),
         'error', (select t.error from webhook_attempts t where t.webhook_id = w.id order by attempt desc limit 1))), '[]')
        from webhooks w where w.job_id = j.id) as webhooks
    from jobs j join job_money m on m.job_id = j.id order by j.position`)
  return rows.map((row) => ({ ...row, truth: truths.get(row.id), script: scriptOf(row.order) }))
}

/**
 * What may still be run. A task that was replaced while a process that died had it stays as a spent row, which the sweep
 * removes after a day.
 */
export async function loadTasks(pool: pg.Pool): Promise<Evidence['tasks']> {
  const { rows } = await pool.query(
    `select t.identifier, j.payload::text, j.key, j.run_at, j.attempts, j.last_error, j.locked_by
     from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
     where j.attempts < j.max_attempts limit 200`,
  )
  return rows
}

export async function loadPolls(pool: pg.Pool): Promise<Evidence['polls']> {
  const { rows } = await pool.query(
    'select p.job_id as "jobId", j.status::text, j.error_code as "errorCode" from polls p join jobs j on j.id = p.job_id',
  )
  return rows
}

export async function hashOutputs(dataDir: string): Promise<Evidence['files']> {
  const directory = join(dataDir, 'files')
  const storage = await createLocalStorage({ directory })
  const files: Evidence['files'] = new Map()
  for await (const key of storage.list('outputs/')) {
    const hash = createHash('sha256')
    await pipeline(createReadStream(join(directory, key)), hash)
    files.set(key, hash.digest('hex'))
  }
  return files
}
