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
