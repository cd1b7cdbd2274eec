import type { Db } from '../db.ts'
import type { CancelReason, JobStatus } from './read.ts'

/** The legal changes of a job's status. The database knows the same table (job_events_transition). */
export const transitions = {
  pending: ['processing', 'cancelled'],
  processing: ['completed', 'failed', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<JobStatus, readonly JobStatus[]>

/** Those of an attempt: once it is unknown only the upstream can say what it is. */
export const attemptTransitions = {
  sending: ['accepted', 'refused', 'unknown'],
  unknown: ['accepted', 'refused', 'absent'],
  accepted: [],
  refused: [],
  absent: [],
} as const

export type AttemptStatus = keyof typeof attemptTransitions

type Transitions = typeof transitions

/** What a change of status leads to besides: the row as it is afterwards. */
export interface ChangedJob {
  request_id: string
  webhook_url: string | null
  metadata: Record<string, string> | null
}

export interface Change<From extends JobStatus> {
  from: From
  to: Transitions[From][number]
  at: Date
  /** From now, by the database's clock: those of the processes may differ. */
  timeLimitMs?: number
  error?: { code: string; message: string }
  /** Why it is cancelled, where that is not the customer's wish. */
  cancelReason?: CancelReason | undefined
  /** For the operator's timeline. */
  detail?: Record<string, unknown> | undefined
}

/**
 * Changes a job's status and writes its timeline, in one statement under the lock of the row; undefined if the job was not
 * in `from` any more, and then nothing is changed.
 */
export async function changeStatus<From extends JobStatus>(
  db: Db,
  jobId: string,
  { from, to, at, timeLimitMs, error, cancelReason, detail }: Change<From>,
): Promise<ChangedJob | undefined> {
  const { rows } = await db.query<ChangedJob>({
    name: 'job-change-status',
    text: `
      with changed as (
        update jobs set
          status = $3::job_status,
          dispatched_at = case when $3::job_status = 'processing' then $4::timestamptz else dispatched_at end,
          deadline_at = coalesce(filmgate_now() + $5 * interval '1 ms', deadline_at),
          completed_at = case when $3::job_status <> 'processing' then $4::timestamptz end,
          error_code = $6,
          error_message = $7,
          cancel_reason = $9,
          trouble = case when $3::job_status = 'processing' then trouble end
        where id = $1 and status = $2::job_status
        returning id, request_id, webhook_url, metadata
      ), told as (
        insert into job_events (job_id, at, kind, from_status, to_status, detail)
        select id, $4::timestamptz, $3::job_status::text::job_event_kind, $2::job_status, $3::job_status, $8::jsonb
        from changed
      )
      select request_id, webhook_url, metadata from changed`,
    values: [
      jobId,
      from,
      to,
      at,
      timeLimitMs ?? null,
      error?.code ?? null,
      error?.message ?? null,
      detail ?? null,
      cancelReason ?? null,
    ],
  })
  return rows[0]
}

/** What the timeline tells beside changes of status. */
export type EventKind =
  | 'attempt_sent'
  | 'attempt_accepted'
  | 'attempt_refused'
  | 'attempt_unknown'
  | 'attempt_absent'
  | 'held'
  | 'media_making'
  | 'media_made'
  | 'output_ready'
  | 'output_retried'
  | 'late_result'

/**
 * Adds to a job's timeline, under the lock of its row. A job that is held again and again tells so once, until something
 * else happens to it; one whose files are made ready again tells that only where it is told something new.
 */
export async function tell(
  db: Db,
  jobId: string,
  kind: EventKind,
  at: Date,
  detail?: Record<string, unknown>,
): Promise<void> {
  await db.query({
    name: 'job-tell',
    text: `
      insert into job_events (job_id, at, kind, detail)
      select job.id, $3::timestamptz, $2::job_event_kind, $4::jsonb
      from (select id from jobs where id = $1 for update) as job
      where case $2::job_event_kind
        when 'held' then 'held' is distinct from (
          select kind from job_events where job_id = $1 order by id desc limit 1)
        when 'media_making' then not exists (
          select from job_events where job_id = $1 and kind = 'media_making' and detail = $4::jsonb)
        when 'media_made' then not exists (
          select from job_events where job_id = $1 and kind = 'media_made' and detail = $4::jsonb)
        else true
      end`,
    values: [jobId, kind, at, detail ?? null],
  })
}

/** Notes what of our own keeps an unfinished job from getting on, for the operator to see; null: nothing any more. */
export async function noteTrouble(db: Db, jobId: string, trouble: string | null): Promise<void> {
  await db.query({
    name: 'job-note-trouble',
    text: `
      update jobs set trouble = $2
      where id = $1 and status in ('pending', 'processing') and trouble is distinct from $2`,
    values: [jobId, trouble],
  })
}

/** The first entry of new jobs' timelines, in the transaction that writes them. */
export async function tellSubmitted(db: Db, jobs: { jobId: string; createdAt: Date }[]): Promise<void> {
  await db.query({
    name: 'jobs-tell-submitted',
    text: `
      insert into job_events (job_id, at, kind)
      select job_id, at, 'submitted' from unnest($1::text[], $2::timestamptz[]) as job (job_id, at)`,
    values: [jobs.map(({ jobId }) => jobId), jobs.map(({ createdAt }) => createdAt)],
  })
}
