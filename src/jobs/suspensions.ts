import type { Db } from '../db.ts'
import type { CheckOutcome, SuspensionReason } from '../providers/provider.ts'

/** A first suspension lasts this long, each further one in a row twice as long. */
const shortestMs = 60_000
const longestMs = 15 * 60_000
/** Longer than a submit may take. */
const jobProbeMs = 90_000
/** Longer than a check may take. */
const checkProbeMs = 30_000
/** What is suspended again within this time after a check was good is not believed to be mended by another check. */
const provenMs = longestMs

/** The upstream takes no jobs before the operator has mended something; `model`: none of this model, '' all. */
export async function suspendUpstream(
  db: Db,
  suspended: { upstream: string; model: string; reason: SuspensionReason; cause: string },
): Promise<void> {
  await db.query({
    name: 'upstream-suspend',
    text: `
      insert into upstream_closures as c (upstream, model, reason, cause, closed_at, retry_at, is_unproven)
      select $1, $2, $3, $4, filmgate_now(), filmgate_now() + $5 * interval '1 ms',
        exists (select from upstreams where name = $1 and $3 = any(opened_by_check_of)
          and opened_by_check_at > filmgate_now() - $7 * interval '1 ms')
      on conflict (upstream, model) do update set
        reason = excluded.reason,
        cause = excluded.cause,
        times = c.times + 1,
        retry_at = filmgate_now() + least($6, $5 * power(2, least(10, c.times))) * interval '1 ms',
        is_probed = false,
        is_checked = false,
        probe_job_id = null
      -- what was under way when it was found suspended is the same finding
      where c.is_probed or c.retry_at <= filmgate_now()`,
    values: [
      suspended.upstream,
      suspended.model,
      suspended.reason,
      suspended.cause,
      shortestMs,
      longestMs,
      provenMs,
    ],
  })
}

/**
 * True for one of those that ask after the time of a suspension is over: its job tries whether the upstream takes jobs
 * again. `hasCheck`: the upstream's free check comes first.
 */
export async function probeSuspended(
  db: Db,
  route: { upstream: string; model: string },
  { jobId, hasCheck }: { jobId: string; hasCheck: boolean },
): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'upstream-probe-suspended',
    text: `
      update upstream_closures set
        retry_at = filmgate_now() + $4 * interval '1 ms', is_probed = true, probe_job_id = $3
      where upstream = $1 and model in ('', $2)
        and (probe_job_id = $3 or retry_at <= filmgate_now() and (is_checked or not $5))
        -- all that keep jobs away from the route must be over
        and not exists (
          select from upstream_closures o where o.upstream = $1 and o.model in ('', $2)
            and o.probe_job_id is distinct from $3
            and (o.retry_at > filmgate_now() or not o.is_checked and $5))`,
    values: [route.upstream, route.model, jobId, jobProbeMs, hasCheck],
  })
  return rowCount !== 0
}

/** The job that was to try never came to be: another may. */
export async function releaseProbe(db: Db, jobId: string): Promise<void> {
  await db.query({
    name: 'upstream-release-probe',
    text: `
      update upstream_closures set retry_at = filmgate_now(), is_probed = false, probe_job_id = null
      where probe_job_id = $1`,
    values: [jobId],
  })
}

/** The upstream has taken a job of this model, so it takes jobs again. */
export async function resumeUpstream(db: Db, upstream: string, model: string): Promise<void> {
  await db.query({
    name: 'upstream-resume',
    text: `delete from upstream_closures where upstream = $1 and model in ('', $2)`,
    values: [upstream, model],
  })
}

/** Takes what is due to be checked at these upstreams; due again in a while, should whoever took it never come back. */
export async function claimChecks(db: Db, upstreams: string[]): Promise<Map<string, string[]>> {
  const { rows } = await db.query<{ upstream: string; model: string }>({
    name: 'upstream-claim-checks',
    text: `
      update upstream_closures c set retry_at = filmgate_now() + $2 * interval '1 ms', is_probed = true, probe_job_id = null
      from (
        select upstream, model from upstream_closures
        where upstream = any($1) and retry_at <= filmgate_now() and not is_checked
        order by upstream, model for update skip locked
      ) as due
      where c.upstream = due.upstream and c.model = due.model
      returning c.upstream, c.model`,
    values: [upstreams, checkProbeMs],
  })
  const models = Map.groupBy(rows, ({ upstream }) => upstream)
  return new Map([...models].map(([upstream, of]) => [upstream, of.map(({ model }) => model)]))
}

/**
 * Leaves to the next job what no check can prove: an upstream whose time is over and that has none, and one of which the job
 * that tried has not told how it fared.
 */
export async function offerToJobs(db: Db, upstreams: { all: string[]; checked: string[] }): Promise<void> {
  await db.query({
    name: 'upstream-offer-to-jobs',
    text: `
      update upstream_closures set is_checked = true, is_probed = false, probe_job_id = null
      where upstream = any($1) and retry_at <= filmgate_now()
        and case when is_checked then is_probed else upstream <> all($2) end`,
    values: [upstreams.all, upstreams.checked],
  })
}

/** Has what is suspended checked at once: a server has started, perhaps with what was missing. */
export async function checkSoon(db: Db, upstreams: string[]): Promise<void> {
  await db.query({
    name: 'upstream-check-soon',
    text: `
      update upstream_closures set retry_at = filmgate_now()
      where upstream = any($1) and not is_checked and not is_probed and retry_at > filmgate_now()`,
    values: [upstreams],
  })
}

/** What a check has led to: how much takes jobs again, and how much the next job tries. */
export interface Resumed {
  resumed: number
  toBeTried: number
}

/**
 * Acts on the answer of an upstream's free check. A good one ends what it proves to be mended; of the rest of `models`
 * (undefined: of all) a job may try at once. A bad one leaves `models` alone for longer.
 */
export async function settleCheck(
  db: Db,
  upstream: string,
  { isWell, proves = [] }: Pick<CheckOutcome, 'isWell' | 'proves'>,
  models?: string[],
): Promise<Resumed> {
  if (!isWell) {
    await leaveAlone(db, upstream, models ?? [])
    return { resumed: 0, toBeTried: 0 }
  }
  const { rows } = await db.query<{ resumed: number; tried: number }>({
    name: 'upstream-settle-check',
    text: `
      with resumed as (
        delete from upstream_closures where upstream = $1 and reason = any($2) and not is_unproven returning model, reason
      ), remembered as (
        insert into upstreams (name, opened_by_check_at, opened_by_check_of)
        select $1, filmgate_now(), array_agg(reason) from resumed having count(*) > 0
        on conflict (name) do update
          set opened_by_check_at = excluded.opened_by_check_at, opened_by_check_of = excluded.opened_by_check_of
      ), tried as (
        update upstream_closures set retry_at = filmgate_now(), is_probed = false, is_checked = true, probe_job_id = null
        where upstream = $1 and (reason <> all($2) or is_unproven) and ($3::text[] is null or model = any($3))
          -- unless a job is trying already
          and (probe_job_id is null or retry_at <= filmgate_now())
        returning model
      )
      select (select count(*)::int from resumed) as resumed, (select count(*)::int from tried) as tried`,
    values: [upstream, proves, models ?? null],
  })
  const { resumed, tried } = rows[0]!
  return { resumed, toBeTried: tried }
}

async function leaveAlone(db: Db, upstream: string, models: string[]): Promise<void> {
  await db.query({
    name: 'upstream-leave-alone',
    text: `
      update upstream_closures set
        times = times + 1,
        retry_at = filmgate_now() + least($4, $3 * power(2, least(10, times))) * interval '1 ms',
        is_probed = false,
        is_checked = false
      where upstream = $1 and model = any($2) and probe_job_id is null`,
    values: [upstream, models, shortestMs, longestMs],
  })
}
