import { coalesce } from '../coalesce.ts'
import type { Db } from '../db.ts'
import type { MediaChange } from './clean-media.ts'
import { type EventKind, transitions } from './life.ts'
import type { JobStatus } from './read.ts'

/**
 * What customers read of each kind of entry: nothing of the upstream but that there is one, and no cause. Entries that are
 * no change of status have the status of the last one before them; `status` stands in where a job is older than its timeline.
 */
const publicForms = {
  submitted: { event: 'submitted', status: 'pending', message: 'The job was accepted, charged and queued.' },
  processing: { event: 'processing', status: 'processing', message: 'The job was taken up.' },
  attempt_sent: {
    event: 'sent',
    status: 'processing',
    message: 'The job is being sent to the provider.',
  },
  attempt_accepted: { event: 'accepted', status: 'processing', message: 'The provider has the job.' },
  attempt_refused: {
    event: 'not_taken',
    status: 'processing',
    message: 'The provider has not taken the job.',
  },
  attempt_unknown: {
    event: 'unconfirmed',
    status: 'processing',
    message: 'The answer of the provider was lost: whether it has the job is being found out.',
  },
  attempt_absent: {
    event: 'not_taken',
    status: 'processing',
    message: 'The provider does not have the job: it can be sent again.',
  },
  held: {
    event: 'held',
    status: 'processing',
    message: 'What became of the job at the provider is not known: it is kept until that is clear.',
  },
  media_making: {
    event: 'media_making',
    status: 'processing',
    message: 'Input files are being encoded anew for the provider, which can take some minutes.',
  },
  media_made: {
    event: 'media_made',
    status: 'processing',
    message: 'Input files were made ready for the provider.',
  },
  output_ready: {
    event: 'output_ready',
    status: 'processing',
    message: 'The provider is done: its files are being copied.',
  },
  output_retried: {
    event: 'output_retried',
    status: 'processing',
    message: 'The files could not be copied yet: it will be tried again.',
  },
  completed: {
    event: 'completed',
    status: 'completed',
    message: 'The job has completed: get it for its files.',
  },
  failed: { event: 'failed', status: 'failed', message: 'The job has failed. Its charge was given back.' },
  cancelled: {
    event: 'cancelled',
    status: 'cancelled',
    message: 'The job was cancelled. Its charge was given back.',
  },
  late_result: {
    event: 'late_result',
    status: 'failed',
    message: 'The provider delivered after the job had ended. Nothing changes: the charge stays given back.',
  },
} as const satisfies Record<
  'submitted' | JobStatusChange | EventKind,
  { event: string; status: JobStatus; message: string }
>

type JobStatusChange = Exclude<JobStatus, 'pending'>
type Kind = keyof typeof publicForms

/** The names of events as customers know them. */
export const eventNames = [...new Set(Object.values(publicForms).map(({ event }) => event))]

/** One entry of a job's timeline, as customers may read it. */
export interface JobEvent {
  /** Greater than that of every entry of the job before it. */
  id: bigint
  event: (typeof eventNames)[number]
  /** How the job stood from then on. */
  status: JobStatus
  message: string
  at: Date
}

/** Nothing but a late result can follow. */
export function hasEnded(status: JobStatus): boolean {
  return transitions[status].length === 0
}

/** The events of a job after the one of this id, in their order; 0n for all of them. */
export type ReadEvents = (jobId: string, after: bigint) => Promise<JobEvent[]>

/** Reads timelines from the database; requests that arrive together share one read. */
export function createReadEvents(db: Db): ReadEvents {
  const find = coalesce(500, (asked: Asked[]) => findEvents(db, asked))
  return (jobId, after) => find({ jobId, after })
}

/** Whose events are wanted, after which. */
export interface Asked {
  jobId: string
  after: bigint
}

interface EventRow {
  place: bigint
  id: bigint
  kind: Kind
  at: Date
  status: JobStatus | null
  failure: string | null
  /** Of `media_made` alone. */
  made: { files: MediaChange[] } | null
}

/**
 * The events that each of `asked` wants, by one statement. Of very many the first 500; an entry becomes visible after all
 * that have a lesser id in its job, so none is passed over by who goes on from the last.
 */
export async function findEvents(db: Db, asked: Asked[]): Promise<JobEvent[][]> {
  const { rows } = await db.query<EventRow>({
    name: 'events-after',
    text: `
      select asked.place, e.id, e.kind, e.at,
        (select before.to_status from job_events before
         where before.job_id = e.job_id and before.id <= e.id and before.to_status is not null
         order by before.id desc limit 1) as status,
        case when e.kind = 'failed' then (select error_message from jobs where jobs.id = e.job_id) end as failure,
        case when e.kind = 'media_made' then e.detail end as made
      from unnest($1::text[], $2::bigint[]) with ordinality as asked (job_id, after, place)
      cross join lateral (
        select id, job_id, kind, at, detail from job_events
        where job_id = asked.job_id and id > asked.after
        order by id limit 500
      ) as e
      order by asked.place, e.id`,
    values: [asked.map(({ jobId }) => jobId), asked.map(({ after }) => after)],
  })
  const found = Map.groupBy(rows, ({ place }) => Number(place))
  return asked.map((_, index) => (found.get(index + 1) ?? []).map(toEvent))
}

function toEvent({ id, kind, at, status, failure, made }: EventRow): JobEvent {
  const form = publicForms[kind]
  const message =
    failure ?? (made === null ? form.message : `${form.message} ${made.files.map(said).join(' ')}`)
  return { id, event: form.event, status: status ?? form.status, message, at }
}

function said({ media, from, to, changes }: MediaChange): string {
  const type = from === to ? from : `${from} to ${to}`
  return `${media}: ${[type, ...changes].join(', ')}.`
}

/** How a job stands that is older than timelines and has none, as its only event; everything else comes after it. */
export function presentEvent(job: { status: JobStatus; completedAt: Date | null }, now: Date): JobEvent {
  const kind = job.status === 'pending' ? 'submitted' : job.status
  return { id: 0n, ...publicForms[kind], at: job.completedAt ?? now }
}
