import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../db.ts'
import type { CheckAnswer } from './check-upstreams.ts'
import type { ServerRow, ServerUpstream } from './servers.ts'

/** Longer than a server takes to see the question, and its upstream to answer. */
const answerLimitMs = 15_000
const lookEveryMs = 100

/** A server that has an upstream, of those that have it with the same key at the same address. */
export interface Asked {
  server: ServerRow
  upstream: ServerUpstream
}

/** One living server for each key and address of an upstream: the others would be told the same. */
export function serversToAsk(servers: ServerRow[], name: string): Asked[] {
  const found = new Map<string, Asked>()
  for (const server of servers.filter(({ isAlive }) => isAlive)) {
    for (const upstream of server.upstreams.filter((each) => each.name === name)) {
      found.set(`${upstream.fingerprint} ${upstream.baseHost}`, { server, upstream })
    }
  }
  return [...found.values()]
}

/** Has servers make the free check of their upstream, and waits for what they say; undefined where one gives no answer. */
export async function askServers(
  db: Db,
  asked: Asked[],
  { mayResume }: { mayResume: boolean },
): Promise<(CheckAnswer | undefined)[]> {
  const ids = asked.map(() => randomUUID())
  await db.query(
    `with old as (
       delete from upstream_checks where asked_at < filmgate_now() - interval '1 hour'
     )
     insert into upstream_checks (id, server_id, upstream, may_resume)
     select id, server_id, upstream, $4 from unnest($1::text[], $2::text[], $3::text[]) as asked (id, server_id, upstream)
     -- one that has stopped meanwhile gives no answer
     where server_id in (select id from servers)`,
    [ids, asked.map(({ server }) => server.serverId), asked.map(({ upstream }) => upstream.name), mayResume],
  )
  const endsAt = performance.now() + answerLimitMs
  for (;;) {
    const { rows } = await db.query<{ id: string; answer: CheckAnswer | null }>(
      'select id, answer from upstream_checks where id = any($1)',
      [ids],
    )
    if (rows.every(({ answer }) => answer !== null) || performance.now() > endsAt) {
      await db.query('delete from upstream_checks where id = any($1)', [ids])
      return ids.map((id) => rows.find((row) => row.id === id)?.answer ?? undefined)
    }
    await sleep(lookEveryMs)
  }
}
