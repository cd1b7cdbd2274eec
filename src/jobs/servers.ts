import { hostname } from 'node:os'
import type { Logger } from 'pino'
import type { Config, UpstreamConfig, UpstreamName } from '../config.ts'
import type { Db } from '../db.ts'
import type { Provider } from '../providers/provider.ts'
import { upstreams as known } from '../providers/upstreams.ts'
import { repeat } from '../repeat.ts'

const beatEveryMs = 5_000
/** A server that has not beaten for this long is gone. */
const deadAfterMs = 15_000
const forgottenAfterMs = 24 * 3_600_000

/** An upstream as a server has it: never a key. */
export interface ServerUpstream {
  name: string
  /** Null where it is not set by the environment. */
  baseHost: string | null
  credentials: 'api key' | 'access key and secret' | null
  /** Tells keys apart; a key can't be read out of it. As `attempts.account`. */
  fingerprint: string | null
  hasWebhookSecret: boolean
}

/** A running server, or one that ran within a day and did not stop properly. */
export interface ServerRow {
  serverId: string
  role: string
  host: string
  pid: number
  startedAt: string
  beatAt: string
  isAlive: boolean
  /** Its FILMGATE_MIN_MARGIN; null: none. */
  minMargin: string | null
  upstreams: ServerUpstream[]
}

/** What a server tells of its upstreams. */
export function describeUpstreams(providers: Provider[], settings: Config['upstreams']): ServerUpstream[] {
  return providers.map(({ name, account }) => {
    const found: UpstreamConfig | undefined = settings[name as UpstreamName]
    const baseUrl = found && (found.baseUrl ?? known[name as UpstreamName]?.defaultBaseUrl)
    return {
      name,
      baseHost: URL.parse(baseUrl ?? '')?.host ?? null,
      credentials: found === undefined ? null : found.apiKey ? 'api key' : 'access key and secret',
      fingerprint: account ?? null,
      hasWebhookSecret: found?.webhookSecret !== undefined,
    }
  })
}

/** Writes down that this server runs, and beats until it is stopped. */
export async function announceServer(
  { pool, log }: { pool: Db; log: Logger },
  server: { id: string; role: string; upstreams: ServerUpstream[]; minMargin: string | undefined },
): Promise<{ stop(): Promise<void> }> {
  const beat = () =>
    pool.query(
      `with forgotten as (
         delete from servers where beat_at < filmgate_now() - $6 * interval '1 ms'
       )
       insert into servers (id, role, host, pid, upstreams, min_margin) values ($1, $2, $3, $4, $5, $7)
       on conflict (id) do update set beat_at = filmgate_now()`,
      [
        server.id,
        server.role,
        hostname(),
        process.pid,
        JSON.stringify(server.upstreams),
        forgottenAfterMs,
        server.minMargin,
      ],
    )
  await beat()
  const beats = repeat(beatEveryMs, beat, (error) =>
    log.error({ err: error }, 'a server could not tell that it runs'),
  )
  return {
    async stop() {
      await beats.stop()
      await pool.query('delete from servers where id = $1', [server.id])
    },
  }
}

/** The upstreams that servers have, to be asked what they can do and nothing else: a command has no key. */
export function openAsServersHave(servers: ServerRow[]): Provider[] {
  const had = new Map(servers.flatMap(({ upstreams }) => upstreams.map((each) => [each.name, each])))
  return [...had.values()].flatMap(({ name, credentials }) => {
    const upstream = known[name as UpstreamName]
    if (upstream === undefined) return []
    const keys =
      credentials === 'access key and secret'
        ? { accessKey: 'not-a-key', secretKey: 'not-a-key' }
        : { apiKey: 'not-a-key' }
    return [upstream.open({ baseUrl: upstream.defaultBaseUrl, ...keys })]
  })
}

/** Of servers that were killed nobody deletes the rows: for where no other can be running. */
export async function forgetServers(db: Db): Promise<void> {
  await db.query('delete from servers')
}

/** The servers on this database, the oldest first. */
export async function readServers(db: Db): Promise<ServerRow[]> {
  const { rows } = await db.query<{ server: ServerRow }>(
    `select json_build_object('serverId', id, 'role', role, 'host', host, 'pid', pid, 'startedAt', started_at,
       'beatAt', beat_at, 'isAlive', beat_at > filmgate_now() - $1 * interval '1 ms', 'minMargin', min_margin, 'upstreams', upstreams) as server
     from servers order by started_at, id`,
    [deadAfterMs],
  )
  return rows.map(({ server }) => server)
}

/**
 * The FILMGATE_MIN_MARGIN of those of the servers that take jobs, which is looked at with the price. Where they differ the
 * strictest counts, as a route that it keeps a job off may be missing.
 */
export function minMarginOf(servers: ServerRow[]): { minMargin: string | null; differs: boolean } {
  const all = servers.filter(({ role }) => role !== 'worker').map(({ minMargin }) => minMargin)
  const [strictest = null] = all.filter((each) => each !== null).toSorted((a, b) => Number(b) - Number(a))
  return { minMargin: strictest, differs: new Set(all).size > 1 }
}
