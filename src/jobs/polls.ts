import type pg from 'pg'
import { type Db, storableJson, transaction } from '../db.ts'
import { durable } from '../fault-points.ts'
import type { Json, ProviderOutput } from '../providers/provider.ts'
import type { AttemptStatus } from './life.ts'
import { tell } from './life.ts'
import type { JobStatus } from './read.ts'

/** A job that is due to be asked about, with all that decides what to do. */
export interface DuePoll {
  job_id: string
  provider: string
  /** How often it was asked about, this time included. */
  asked: number
  failures: number
  absences: number
  status: JobStatus
  model_slug: string
  /** Until the job's time is over, by the database's clock. */
  left_ms: number
  completed_at: Date | null
  unknown_outcome: 'refund' | 'hold'
  /** The attempt that may be alive. */
  attempt_id: string | null
  attempt_status: Extract<AttemptStatus, 'sending' | 'accepted' | 'unknown'> | null
  operation: Json
  /** The upstream's, that the attempt was sent with. */
  account: string | null
  /** Since it was accepted or its answer lost, by the database's clock. */
  elapsed_ms: number | null
  /** It is still being sent, but by a process that is gone, or for too long. */
  is_abandoned: boolean
  /** Calls to the upstream fail. */
  is_failing: boolean
  /** Our own trouble is noted of it. */
  is_troubled: boolean
}

/**
 * Takes up to so many due polls of each provider, the longest due first; none while its circuit is open, one call's worth
 * while it is tried whether it is back. They are due again after `leaseMs`, by which whoever took them should have said when
 * to ask next. Those that became due longer than `lookBackMs` ago are passed over.
 */
export async function claimPolls(
  db: Db,
  wanted: { provider: string; most: number; batch: number }[],
  options: { processId: string; leaseMs: number; lookBackMs: number },
): Promise<DuePoll[]> {
  const { rows } = await db.query<DuePoll>({
    name: 'polls-claim',
    text: `
      with due as (
        select found.job_id from unnest($1::text[], $2::int[], $4::int[]) as wanted (provider, most, batch)
        left join upstreams u on u.name = wanted.provider
        cross join lateral (
          select job_id from polls
          where polls.provider = wanted.provider and outputs is null
            and due_at <= filmgate_now() and due_at > filmgate_now() - $6 * interval '1 ms'
          order by due_at limit case when u.open_until is null then most else least(most, batch) end
          for update skip locked
        ) as found
        where coalesce(greatest(u.open_until, u.busy_until) <= filmgate_now(), true)
      ), claimed as (
        update polls set due_at = filmgate_now() + $3 * interval '1 ms', claimed_by = $5, asked = asked + 1
        from due where polls.job_id = due.job_id
        returning polls.*
      )
      select c.job_id, c.provider, c.asked, c.failures, c.absences, j.status, j.model_slug, j.completed_at,
        u.unknown_outcome, a.id as attempt_id, a.status as attempt_status, a.operation, a.account,
        (1000 * extract(epoch from j.deadline_at - filmgate_now()))::float8 as left_ms,
        (1000 * extract(epoch from filmgate_now() - a.answered_at))::float8 as elapsed_ms,
        a.status = 'sending' and (p.id is null or a.started_at < filmgate_now() - interval '2 minutes') as is_abandoned,
        coalesce(s.failures, 0) > 0 as is_failing, j.trouble is not null as is_troubled
      from claimed c
      join jobs j on j.id = c.job_id
      join accounts b on b.id = j.account_id
      join users u on u.id = b.user_id
      left join attempts a on a.job_id = j.id and a.status in ('sending', 'accepted', 'unknown')
      left join processes p on p.id = a.process_id and p.beat_at > filmgate_now() - interval '15 s'
      left join upstreams s on s.name = c.provider`,
    values: [
      wanted.map(({ provider }) => provider),
      wanted.map(({ most }) => most),
      options.leaseMs,
      wanted.map(({ batch }) => batch),
      options.processId,
      options.lookBackMs,
    ],
  })
  return rows
}

export interface NextPoll {
  jobId: string
  delayMs: number
  failures: number
  absences: number
}

/**
 * Plans the next polls of jobs that were claimed. One that a callback has brought forward meanwhile stays due. The rows
 * are locked in the order of their ids, as all who lock many do, so that no two wait for each other in a ring.
 */
export async function planPolls(db: Db, next: NextPoll[]): Promise<void> {
  await db.query({
    name: 'polls-plan',
    text: `
      with next as (
        select * from unnest($1::text[], $2::float8[], $3::int[], $4::int[]) as next (job_id, delay, failures, absences)
      ), mine as (
        select job_id from polls where job_id = any($1) and outputs is null order by job_id for update
      )
      update polls set
        due_at = case when due_at <= filmgate_now() then due_at else filmgate_now() + delay * interval '1 ms' end,
        claimed_by = null,
        failures = next.failures,
        absences = next.absences
      from mine join next using (job_id)
      where polls.job_id = mine.job_id`,
    values: [
      next.map(({ jobId }) => jobId),
      next.map(({ delayMs }) => delayMs),
      next.map(({ failures }) => failures),
      next.map(({ absences }) => absences),
    ],
  })
}

/** Lets others ask at once what processes were asking that have died meanwhile. */
export async function releasePolls(db: Db): Promise<void> {
  await db.query({
    name: 'polls-release',
    text: `
      update polls set due_at = filmgate_now(), claimed_by = null
      where job_id in (
        select job_id from polls
        where claimed_by is not null and outputs is null and not exists (
          select from processes p where p.id = claimed_by and p.beat_at > filmgate_now() - interval '15 s')
        for update skip locked)`,
  })
}

/** Has the upstream asked at once about a job; does nothing for one that is not at an upstream. */
export async function bringPollForward(db: Db, jobId: string): Promise<void> {
  await db.query({
    name: 'poll-bring-forward',
    text: 'update polls set due_at = filmgate_now() where job_id = $1 and outputs is null and due_at > filmgate_now()',
    values: [jobId],
  })
}

/** A job that its upstream has done. */
export interface DoneJob {
  jobId: string
  attemptId: string
  at: Date
  outputs: ProviderOutput[]
}

/**
 * Upstreams are done: a task for each job copies what was made. Those that have ended, or have such a task, are left
 * alone. One statement for many: a transaction for each was most of what finding it cost, and the NOTIFY of its task
 * made commits wait in line.
 */
export async function planCollects(db: Db, done: DoneJob[]): Promise<void> {
  const plan = () =>
    db.query({
      name: 'polls-collect',
      text: `
        with done as (
          select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::jsonb[]) as done (job_id, attempt_id, at, outputs)
        ), job as (
          select id from jobs where id = any($1) and status = 'processing' order by id for update
        ), mine as (
          select job_id from polls where job_id in (select id from job) and outputs is null order by job_id for update
        ), planned as (
          update polls set outputs = done.outputs, claimed_by = null
          from mine join done using (job_id)
          where polls.job_id = mine.job_id
          returning polls.job_id, done.attempt_id, done.at
        ), finished as (
          update attempts set finished_at = coalesce(finished_at, filmgate_now())
          from planned where attempts.id = planned.attempt_id
        ), told as (
          insert into job_events (job_id, at, kind) select job_id, at, 'output_ready' from planned
        )
        select from graphile_worker.add_jobs(array(
          select row('collect', json_build_object('jobId', job_id), null, null, null, 'collect:' || job_id, null, null)::graphile_worker.job_spec
          from planned))`,
      values: [
        done.map(({ jobId }) => jobId),
        done.map(({ attemptId }) => attemptId),
        done.map(({ at }) => at),
        done.map(({ outputs }) => storableJson(outputs)),
      ],
    })
  await durable('poll.answer', plan)
}

/** One task at most waits to copy a job's outputs. */
export function collectKey(jobId: string): string {
  return `collect:${jobId}`
}

/** The outputs could not be had as they were named: the upstream is asked for them again. */
export async function askForOutputsAgain(
  pool: pg.Pool,
  jobId: string,
  at: Date,
  options: { delayMs: number; cause: string },
): Promise<void> {
  await transaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `with job as (select id from jobs where id = $1 and status = 'processing' for update)
       update polls set outputs = null, output_failures = output_failures + 1, due_at = filmgate_now() + $2 * interval '1 ms'
       from job where polls.job_id = job.id and outputs is not null`,
      [jobId, options.delayMs],
    )
    if (rowCount === 1) await tell(client, jobId, 'output_retried', at, { cause: options.cause })
  })
}

/** Nothing more is asked about the job. `late`: its upstream has a result, too late; the timeline tells so. */
export async function dropPoll(pool: pg.Pool, jobId: string, late?: { at: Date }): Promise<void> {
  await transaction(pool, async (client) => {
    await client.query('select from jobs where id = $1 for update', [jobId])
    const { rowCount } = await client.query('delete from polls where job_id = $1', [jobId])
    if (rowCount === 1 && late) await tell(client, jobId, 'late_result', late.at)
  })
}

/** Gives a job that is under way as much more time, and never less than a minute from now. `trouble`: why. */
export async function postponeDeadline(
  db: Db,
  jobId: string,
  byMs: number,
  trouble: string | null,
): Promise<void> {
  await db.query(
    `update jobs set trouble = $3, deadline_at = greatest(
       deadline_at + $2 * interval '1 ms', filmgate_now() + interval '1 minute')
     where id = $1 and status = 'processing'`,
    [jobId, byMs, trouble],
  )
}
