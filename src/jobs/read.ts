import { coalesce } from '../coalesce.ts'
import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'

export type JobStatus = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled'

/** Why a job was cancelled by somebody else than its customer. */
export type CancelReason = 'operator' | 'start_timeout'

/** What the wire shows of a status (contract: "Jobs"). */
export const progressOf: Record<JobStatus, 0 | 50 | 100> = {
  pending: 0,
  processing: 50,
  completed: 100,
  failed: 0,
  cancelled: 0,
}

export interface JobSummary {
  jobId: string
  status: JobStatus
  modelSlug: string
  costMicroCents: number
  metadata: Record<string, string> | null
  createdAt: Date
  completedAt: Date | null
}

export interface JobOutput {
  type: 'video' | 'image' | 'audio' | 'text'
  key: string
  posterKey: string | null
  thumbnailKey: string | null
}

export interface JobDetails extends JobSummary {
  outputs: JobOutput[]
  /** Since when a completed job's files are gone; null while there are any, or never were. */
  outputsDeletedAt: Date | null
  error: { code: string; message: string } | null
  /** Why it was cancelled, where that was not the customer's wish. */
  cancelReason: CancelReason | null
  refundedMicroCents: number
  webhookStatus: 'pending' | 'sent' | 'failed' | null
}

interface SummaryRow {
  id: string
  position: bigint
  account_id: bigint
  status: JobStatus
  model_slug: string
  cost_micro_cents: bigint
  metadata: Record<string, string> | null
  created_at: Date
  completed_at: Date | null
}

function toSummary(row: SummaryRow): JobSummary {
  return {
    jobId: row.id,
    status: row.status,
    modelSlug: row.model_slug,
    costMicroCents: Number(row.cost_micro_cents),
    metadata: row.metadata,
    createdAt: row.created_at,
    completedAt: row.completed_at,
  }
}

const summaryColumns =
  'j.id, j.position, j.account_id, j.status, j.model_slug, j.cost_micro_cents, j.metadata, j.created_at, j.completed_at'

interface DetailsRow extends SummaryRow {
  error_code: string | null
  error_message: string | null
  cancel_reason: CancelReason | null
  outputs: JobOutput[]
  outputs_deleted_at: Date | null
  refunded: bigint
  webhook_status: JobDetails['webhookStatus']
  webhook_url: string | null
}

/** One job of the account; throws JOB_NOT_FOUND, or UNAUTHORIZED_ACCESS if it is another account's. */
export type GetJob = (accountId: bigint, jobId: string) => Promise<JobDetails>

/** Reads jobs from the database; requests that arrive together share one read. */
export function createGetJob(db: Db): GetJob {
  const find = coalesce(500, async (jobIds: string[]) => {
    const found = new Map((await findJobs(db, jobIds)).map((row) => [row.id, row]))
    return jobIds.map((jobId) => found.get(jobId))
  })
  return async (accountId, jobId) => {
    const row = await find(jobId)
    if (row === undefined) throw new ApiError('JOB_NOT_FOUND', `There is no job "${jobId.slice(0, 100)}".`)
    checkOwner(row.account_id, accountId)
    return toDetails(row)
  }
}

async function findJobs(db: Db, jobIds: string[]): Promise<DetailsRow[]> {
  const { rows } = await db.query<DetailsRow>({
    name: 'jobs-by-id',
    text: `
      select ${summaryColumns}, j.error_code, j.error_message, j.cancel_reason, j.webhook_url, j.outputs_deleted_at,
        case when j.status = 'completed' and j.outputs_deleted_at is null then (
          select coalesce(json_agg(json_build_object('type', o.type, 'key', o.key, 'posterKey', o.poster_key,
            'thumbnailKey', o.thumbnail_key) order by o.position), '[]')
          from job_outputs o where o.job_id = j.id
        ) else '[]' end as outputs,
        case when j.status in ('completed', 'failed', 'cancelled') then (
          select coalesce(sum(amount_micro_cents), 0)::bigint
          from ledger_transfers t where t.job_id = j.id and t.kind in ('refund', 'goodwill')
        ) else 0 end as refunded,
        (select w.status from webhooks w where w.job_id = j.id) as webhook_status
      from jobs j where j.id = any($1)`,
    values: [[...new Set(jobIds)]],
  })
  return rows
}

function toDetails(row: DetailsRow): JobDetails {
  return {
    ...toSummary(row),
    outputs: row.outputs,
    outputsDeletedAt: row.outputs_deleted_at,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' },
    cancelReason: row.cancel_reason,
    refundedMicroCents: Number(row.refunded),
    // the webhook's row is written when the job ends
    webhookStatus:
      row.webhook_status ?? (row.webhook_url !== null && row.completed_at === null ? 'pending' : null),
  }
}

/** Throws UNAUTHORIZED_ACCESS unless the owner is the caller. Live and test are accounts of their own. */
export function checkOwner(ownerAccountId: bigint, accountId: bigint): void {
  if (ownerAccountId === accountId) return
  throw new ApiError(
    'UNAUTHORIZED_ACCESS',
    'This job belongs to another account, or to the other mode: live jobs are read with live keys, test jobs with test keys.',
  )
}

export interface ListOptions {
  limit: number
  cursor?: string | undefined
  status?: JobStatus | undefined
  modelSlug?: string | undefined
  metadata?: Record<string, string> | undefined
}

/**
 * A page of the account's jobs, newest first. The cursor is the place of the last row in the order in which
 * jobs were written, which never changes: jobs that are added meanwhile come before it.
 */
export async function listJobs(
  db: Db,
  accountId: bigint,
  options: ListOptions,
): Promise<{ jobs: JobSummary[]; nextCursor: string | null }> {
  const { rows } = await db.query<SummaryRow>({
    text: `
      select ${summaryColumns} from jobs j
      where j.account_id = $1
        and ($2::bigint is null or j.position < $2)
        and ($3::job_status is null or j.status = $3)
        and ($4::text is null or j.model_slug = $4)
        and ($5::jsonb is null or j.metadata @> $5)
      order by j.position desc limit $6`,
    values: [
      accountId,
      options.cursor === undefined ? null : readCursor(options.cursor),
      options.status ?? null,
      options.modelSlug ?? null,
      options.metadata === undefined ? null : JSON.stringify(options.metadata),
      options.limit + 1,
    ],
  })
  const page = rows.slice(0, options.limit)
  const last = page.at(-1)
  return {
    jobs: page.map(toSummary),
    nextCursor: rows.length > options.limit && last !== undefined ? writeCursor(last.position) : null,
  }
}

function writeCursor(position: bigint): string {
  return Buffer.from(`p${position}`).toString('base64url')
}

function readCursor(cursor: string): bigint {
  const match = /^p(\d{1,18})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))
  if (match?.[1] !== undefined) return BigInt(match[1])
  throw new ApiError(
    'VALIDATION_ERROR',
    'cursor is not one that a list answered: take nextCursor as it is.',
    {
      issues: [{ path: 'cursor', message: 'must be the nextCursor of an earlier answer' }],
    },
  )
}
