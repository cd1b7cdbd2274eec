import { pairedUpstreams } from '../config.ts'
import type { Db } from '../db.ts'
import { dollars } from '../dollars.ts'
import { type Asked, askServers, serversToAsk } from '../jobs/ask-servers.ts'
import type { CheckAnswer } from '../jobs/check-upstreams.ts'
import { readUpstreams, type UpstreamStanding } from '../jobs/operator-upstreams.ts'
import { readServers, type ServerRow } from '../jobs/servers.ts'
import { hint } from '../policy/override-request.ts'
import type { Upstream } from '../providers/provider.ts'
import { upstreams } from '../providers/upstreams.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'

interface ListedServer {
  serverId: string
  role: string
  host: string
  pid: number
  since: string
  isAlive: boolean
  baseHost: string | null
  /** Of what kind; never the keys themselves. */
  credentials: 'api key' | 'access key and secret' | null
  fingerprint: string | null
  hasWebhookSecret: boolean
}

interface Listed extends UpstreamStanding {
  title: string
  /** A running server has it. */
  configured: boolean
  servers: ListedServer[]
  /** Null where it was not asked. */
  reachable: boolean | null
  /** It took the credentials of every server that was asked. */
  well: boolean | null
  explanation: string | null
}

/** Lists every upstream that there is an adapter for, as the running servers have it. */
export async function listUpstreams(options: { check: boolean; json?: boolean }): Promise<void> {
  const known = Object.values(upstreams)
  await withDatabase(async ({ pool }) => {
    const servers = await readServers(pool)
    const asked = options.check ? known.flatMap(({ name }) => serversToAsk(servers, name)) : []
    const checks = await check(pool, asked, { mayResume: false })
    const standings = await readUpstreams(
      pool,
      known.map(({ name }) => name),
    )
    const listed = known.map((upstream, index) => toListed(upstream, servers, standings[index]!, checks))
    print(options, { upstreams: listed }, describe(listed, servers))
  })
}

/** Has running servers ask one upstream whether their credentials are good, and take jobs again where they are. */
export async function checkUpstream(name: string, options: { json?: boolean }): Promise<void> {
  const upstream = Object.values(upstreams).find((each) => each.name === name)
  if (upstream === undefined) {
    throw new CommandFailed(`there is no upstream ${name}: ${hint(name, Object.keys(upstreams))}`)
  }
  const checks = await withDatabase(async ({ pool }) => {
    const servers = await readServers(pool)
    const asked = serversToAsk(servers, name)
    if (asked.length === 0) throw new CommandFailed(whyNotAsked(upstream, servers))
    return check(pool, asked, { mayResume: true })
  })
  const sum = (count: (check: Checked) => number) => checks.reduce((total, each) => total + count(each), 0)
  const isWell = checks.every((each) => each.isWell)
  const [resumed, toBeTried] = [sum((each) => each.resumed), sum((each) => each.toBeTried)]
  const explanation = checks.map((each) => each.explanation).join(' ')
  print(options, { name, isWell, explanation, wasOpened: resumed > 0, resumed, toBeTried, checks }, [
    `${upstream.title}: ${isWell ? 'well' : 'NOT well'}`,
    ...checks.map((each) => (checks.length === 1 ? each.explanation : `${each.server}: ${each.explanation}`)),
    ...(resumed > 0 ? ['It was suspended, and takes jobs again.'] : []),
    ...(toBeTried > 0 ? ['What only a job can show to be mended, the next job tries.'] : []),
  ])
  if (!isWell) process.exitCode = 1
}

type Checked = CheckAnswer & { name: string; server: string; fingerprint: string | null }

async function check(db: Db, asked: Asked[], options: { mayResume: boolean }): Promise<Checked[]> {
  if (asked.length === 0) return []
  const answers = await askServers(db, asked, options)
  return asked.map(({ server, upstream }, index) => ({
    name: upstream.name,
    server: placeOf(server),
    fingerprint: upstream.fingerprint,
    ...(answers[index] ?? {
      isWell: false,
      isReached: false,
      explanation: 'The server that has it gave no answer: does it run, and reach its database?',
      resumed: 0,
      toBeTried: 0,
    }),
  }))
}

function whyNotAsked(upstream: Upstream, servers: ServerRow[]): string {
  const set = `${variablesOf(upstream)} for it`
  return servers.some(({ isAlive }) => isAlive)
    ? `${upstream.title} is not set up on any running server of this database: set ${set}, and start it again`
    : `no server runs on this database, so that nobody has the key of ${upstream.title}: start one with "filmgate serve", and set ${set}`
}

/** The variables that an upstream's credentials are in, for people. */
export function variablesOf({ name }: Pick<Upstream, 'name'>): string {
  const prefix = name.toUpperCase()
  return pairedUpstreams.includes(name)
    ? `${prefix}_API_KEY, or ${prefix}_ACCESS_KEY and ${prefix}_SECRET_KEY`
    : `${prefix}_API_KEY`
}

function toListed(
  { name, title }: Upstream,
  all: ServerRow[],
  standing: UpstreamStanding,
  checks: Checked[],
): Listed {
  const servers = all.flatMap(({ serverId, role, host, pid, startedAt: since, isAlive, upstreams }) =>
    upstreams
      .filter((each) => each.name === name)
      .map(({ name: _, ...own }) => ({ serverId, role, host, pid, since, isAlive, ...own })),
  )
  const mine = checks.filter((each) => each.name === name)
  return {
    ...standing,
    title,
    configured: servers.some(({ isAlive }) => isAlive),
    servers,
    reachable: mine.length === 0 ? null : mine.every(({ isReached }) => isReached),
    well: mine.length === 0 ? null : mine.every(({ isWell }) => isWell),
    explanation: mine.length === 0 ? null : mine.map(({ explanation }) => explanation).join(' '),
  }
}

function wordFor(reachable: boolean | null, well: boolean | null): string {
  if (reachable === null) return ''
  return well ? 'yes' : reachable ? 'yes, NOT well' : 'NO'
}

function credentialsOf({ servers, configured }: Listed): string {
  const living = servers.filter(({ isAlive }) => isAlive)
  const kinds = [...new Set(living.map(({ credentials }) => credentials ?? 'own adapter'))]
  return configured ? kinds.join(', ') : 'not set up'
}

function suspendedWord({ suspensions }: Listed): string {
  const whole = suspensions.find(({ model }) => model === null)
  if (whole !== undefined) return `all: ${whole.reason}`
  return suspensions.length === 0 ? '' : `${suspensions.length} of its models`
}

function describe(listed: Listed[], servers: ServerRow[]): string[] {
  const rows = listed.map((each) => {
    const { name, circuit, jobsInFlight, today } = each
    return [
      name,
      credentialsOf(each),
      String(each.servers.filter(({ isAlive }) => isAlive).length),
      wordFor(each.reachable, each.well),
      circuit.until === null ? circuit.state : `${circuit.state} until ${circuit.until}`,
      suspendedWord(each),
      String(jobsInFlight),
      String(today.attempts),
      dollars(today.costMicroCents) + (today.ofUnknownCost > 0 ? ` + ${today.ofUnknownCost} not known` : ''),
      dollars(today.marginMicroCents),
    ]
  })
  const head = [
    'upstream',
    'credentials',
    'servers',
    'answers',
    'circuit',
    'suspended',
    'in flight',
    'attempts',
    'spent',
    'margin',
  ]
  const suspensions = listed.flatMap(({ name, suspensions }) =>
    suspensions.map(
      ({ model, reason, cause, retryAt, isTriedByJob }) =>
        `${name} is suspended${model === null ? '' : ` for ${model}`} (${reason}): ${cause} (${isTriedByJob ? 'the next job tries' : 'looked at again'} ${retryAt})`,
    ),
  )
  const explained = listed.flatMap(({ name, well, explanation }) =>
    well === false ? [`${name}: ${explanation}`] : [],
  )
  return [...table([head, ...rows]), ...suspensions, ...explained, '', ...describeServers(listed, servers)]
}

function describeServers(listed: Listed[], servers: ServerRow[]): string[] {
  if (servers.length === 0) return ['No server runs on this database: start one with "filmgate serve".']
  const rows = servers.flatMap(({ serverId, isAlive, startedAt, ...server }) => {
    const own = listed.flatMap(({ name, servers }) =>
      servers
        .filter((each) => each.serverId === serverId)
        .map(({ baseHost, fingerprint }) => [name, baseHost ?? '', fingerprint ?? '']),
    )
    const place = [placeOf(server), server.role, isAlive ? `since ${startedAt}` : 'gives no sign of life']
    return (own.length === 0 ? [['none', '', '']] : own).map((upstream) => [...place, ...upstream])
  })
  return table([['server', 'role', 'running', 'upstream', 'address', 'key (fingerprint)'], ...rows])
}

function placeOf({ host, pid }: Pick<ServerRow, 'host' | 'pid'>): string {
  return `${host} ${pid}`
}
