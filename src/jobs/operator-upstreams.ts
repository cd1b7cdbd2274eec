import type { Db } from '../db.ts'
import type { SuspensionReason } from '../providers/provider.ts'

/** How an upstream stands for the operator; all by the database's clock. */
export interface UpstreamStanding {
  name: string
  /** ok: jobs go there; open: calls failed, and none are made until then; busy: it asked for fewer calls until then. */
  circuit: { state: 'ok' | 'open' | 'busy'; failures: number; until: string | null }
  /** What takes no jobs until the operator has mended something; model null: all of it. */
  suspensions: {
    model: string | null
    reason: SuspensionReason
    cause: string
    since: string
    retryAt: string
    /** The free check was good, and does not show that it is mended: the next job tries. */
    isTriedByJob: boolean
  }[]
  jobsInFlight: number
  today: UpstreamDay
}

/** Since midnight UTC. */
export interface UpstreamDay {
  attempts: number
  accepted: number
  /** Of what is known. */
  costMicroCents: number
  /** Attempts of which nobody knows what they cost. */
  ofUnknownCost: number
  /** What customers paid for the jobs that it has completed. */
  chargedMicroCents: number
  /**
   * What is left of that, of jobs that have ended and whose cost is known: one that is being made is no loss yet, and one that
   * may have cost anything no gain.
   */
  marginMicroCents: number
}

/** Reads how upstreams stand. */
export async function readUpstreams(db: Db, names: string[]): Promise<UpstreamStanding[]> {
  const { rows } = await db.query<{ standing: UpstreamStanding }>(
    `with today as (
       select a.provider, count(*) as attempts, count(*) filter (where a.status = 'accepted') as accepted,
         coalesce(sum(c.cost_micro_cents), 0) as cost,
         count(*) filter (where c.cost_micro_cents is null) as unknown,
         coalesce(sum(j.cost_micro_cents) filter (where a.status = 'accepted' and j.status = 'completed'), 0) as charged,
         coalesce(sum(case when a.status = 'accepted' and j.status = 'completed' then j.cost_micro_cents - goodwill.amount else 0 end
           - c.cost_micro_cents) filter (where j.status in ('completed', 'failed', 'cancelled')), 0) as margin
       from attempts a
       join attempt_costs c on c.attempt_id = a.id
       join jobs j on j.id = a.job_id
       cross join lateral (
         select coalesce(sum(amount_micro_cents), 0) as amount from ledger_transfers t
         where t.job_id = j.id and t.kind = 'goodwill'
       ) as goodwill
       where a.provider = any($1) and a.started_at >= date_trunc('day', filmgate_now(), 'UTC')
       group by a.provider
     )
     select json_build_object(
       'name', asked.name,
       'circuit', json_build_object(
         'state', case when u.open_until > filmgate_now() then 'open' when u.busy_until > filmgate_now() then 'busy' else 'ok' end,
         'failures', coalesce(u.failures, 0),
         'until', case when greatest(u.open_until, u.busy_until) > filmgate_now() then greatest(u.open_until, u.busy_until) end),
       'suspensions', (select coalesce(json_agg(json_build_object('model', nullif(model, ''), 'reason', reason, 'cause', cause,
          'since', closed_at, 'retryAt', retry_at, 'isTriedByJob', is_checked) order by model), '[]') from upstream_closures where upstream = asked.name),
       'jobsInFlight', (select count(*) from polls p join jobs j on j.id = p.job_id
          where p.provider = asked.name and j.status = 'processing'),
       'today', json_build_object('attempts', coalesce(t.attempts, 0), 'accepted', coalesce(t.accepted, 0),
          'costMicroCents', coalesce(t.cost, 0), 'ofUnknownCost', coalesce(t.unknown, 0),
          'chargedMicroCents', coalesce(t.charged, 0), 'marginMicroCents', coalesce(t.margin, 0))) as standing
     from unnest($1::text[]) with ordinality as asked (name, place)
     left join upstreams u on u.name = asked.name
     left join today t on t.provider = asked.name
     order by place`,
    [names],
  )
  return rows.map(({ standing }) => standing)
}
