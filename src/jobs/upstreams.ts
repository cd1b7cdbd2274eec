import type { Db } from '../db.ts'
import { saneRetryAfterMs } from './backoff.ts'

/** This many failures in a row open the circuit of an upstream: nothing is sent there for a while. */
const failuresToOpen = 5
const shortestOpenMs = 5_000
const longestOpenMs = 60_000
/** One call may try whether an upstream is back; the others wait this long for how it fares. */
const probeMs = 10_000

/**
 * How long nothing should be sent to an upstream, in ms by the database's clock; 0 sends now. Shared by all processes. Of
 * those who ask after its circuit was open for its time one is let through; the others wait for what becomes of that.
 */
export async function upstreamWait(db: Db, name: string): Promise<{ waitMs: number; isFailing: boolean }> {
  const { rows } = await db.query<{ wait_ms: number; failures: number }>({
    name: 'upstream-wait',
    text: `
      with probe as (
        update upstreams set open_until = filmgate_now() + $2 * interval '1 ms'
        where name = $1 and failures >= $3 and open_until <= filmgate_now() and coalesce(busy_until, filmgate_now()) <= filmgate_now()
        returning name
      )
      select failures, case when exists (select from probe) then 0 else
        greatest(0, 1000 * extract(epoch from greatest(open_until, busy_until) - filmgate_now()))::int end as wait_ms
      from upstreams where name = $1`,
    values: [name, probeMs, failuresToOpen],
  })
  const row = rows[0]
  return { waitMs: row?.wait_ms ?? 0, isFailing: (row?.failures ?? 0) > 0 }
}

/** Counts a call that got no answer, or a server error: the circuit opens for longer the more there were in a row. */
export async function upstreamFailed(db: Db, name: string): Promise<void> {
  await db.query({
    name: 'upstream-failed',
    text: `
      insert into upstreams as u (name, failures) values ($1, 1)
      on conflict (name) do update set
        failures = u.failures + 1,
        changed_at = filmgate_now(),
        open_until = case when u.failures + 1 >= $2
          then filmgate_now() + least($4, $3 * power(2, least(20, u.failures + 1 - $2))) * (0.5 + random() / 2) * interval '1 ms' end`,
    values: [name, failuresToOpen, shortestOpenMs, longestOpenMs],
  })
}

/** The upstream has answered: its circuit is closed. */
export async function upstreamAnswered(db: Db, name: string): Promise<void> {
  await db.query({
    name: 'upstream-answered',
    text: `update upstreams set failures = 0, open_until = null, changed_at = filmgate_now() where name = $1 and failures > 0`,
    values: [name],
  })
}

/** The upstream asks for fewer calls: none are made for this long. No failure. */
export async function upstreamBusy(db: Db, name: string, waitMs: number): Promise<void> {
  await db.query({
    name: 'upstream-busy',
    text: `
      insert into upstreams as u (name, busy_until) values ($1, filmgate_now() + $2 * interval '1 ms')
      on conflict (name) do update set busy_until = greatest(u.busy_until, excluded.busy_until), changed_at = filmgate_now()`,
    values: [name, saneRetryAfterMs(waitMs)],
  })
}

/** A first closing lasts this long, each further one in a row twice as long. */
const shortestClosureMs = 60_000
const longestClosureMs = 15 * 60_000
/** Longer than a submit may take. */
const probeClosedMs = 90_000

/** The upstream takes no jobs before the operator has done something; `model`: none of this model, '' all. */
export async function closeUpstream(
  db: Db,
  closure: { upstream: string; model: string; cause: string },
): Promise<void> {
  await db.query({
    name: 'upstream-close',
    text: `
      insert into upstream_closures as c (upstream, model, cause, retry_at)
      values ($1, $2, $3, filmgate_now() + $4 * interval '1 ms')
      on conflict (upstream, model) do update set
        cause = excluded.cause,
        times = c.times + 1,
        retry_at = filmgate_now() + least($5, $4 * power(2, least(10, c.times))) * interval '1 ms',
        is_probed = false
      -- what was under way when it was found closed is the same finding
      where c.is_probed or c.retry_at <= filmgate_now()`,
    values: [closure.upstream, closure.model, closure.cause, shortestClosureMs, longestClosureMs],
  })
}

/** True for one of those that ask after a closure's time is over: its job tries whether the upstream is open again. */
export async function probeClosed(db: Db, upstream: string, model: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'upstream-probe-closed',
    text: `
      update upstream_closures set retry_at = filmgate_now() + $3 * interval '1 ms', is_probed = true
      where upstream = $1 and model in ('', $2) and retry_at <= filmgate_now()`,
    values: [upstream, model, probeClosedMs],
  })
  return rowCount !== 0
}

/** The upstream takes jobs again: what was found closed is open. Without a model all of it. */
export async function openUpstream(db: Db, upstream: string, model?: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'upstream-open',
    text: `delete from upstream_closures where upstream = $1 and ($2::text is null or model in ('', $2))`,
    values: [upstream, model ?? null],
  })
  return rowCount !== 0
}
