import { type Config, loadConfig, pairedUpstreams, type UpstreamName } from '../config.ts'
import { dollars } from '../dollars.ts'
import { readUpstreams, type UpstreamStanding } from '../jobs/operator-upstreams.ts'
import { openUpstream } from '../jobs/upstreams.ts'
import { hint } from '../policy/override-request.ts'
import type { CheckOutcome, Provider, Upstream } from '../providers/provider.ts'
import { upstreams } from '../providers/upstreams.ts'
import { withinTime } from '../time-limit.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'

const listLimitMs = 5_000
const checkLimitMs = 15_000

type Settings = Config['upstreams'][UpstreamName]

interface Listed extends UpstreamStanding {
  title: string
  configured: boolean
  /** Of what kind; never the keys themselves. */
  credentials: 'api key' | 'access key and secret' | null
  hasWebhookSecret: boolean
  baseUrl: string
  /** Null where it was not asked. */
  reachable: boolean | null
  /** It took the credentials. */
  well: boolean | null
  explanation: string | null
}

/** Lists every upstream that there is an adapter for. */
export async function listUpstreams(options: { check: boolean; json?: boolean }): Promise<void> {
  const config = loadConfig(process.env)
  const known = Object.values(upstreams)
  const asking = known.map((upstream) => {
    const settings = config.upstreams[upstream.name as UpstreamName]
    return options.check && settings ? ask(open(upstream, settings), listLimitMs) : undefined
  })
  const outcomes = await Promise.all(asking)
  await withDatabase(async ({ pool }) => {
    const standings = await readUpstreams(
      pool,
      known.map(({ name }) => name),
    )
    const listed = known.map((upstream, index) =>
      toListed(upstream, config.upstreams[upstream.name as UpstreamName], standings[index]!, outcomes[index]),
    )
    print(options, { upstreams: listed }, describe(listed))
  })
}

/** Asks one upstream whether the credentials are good, and opens it if they are. */
export async function checkUpstream(name: string, options: { json?: boolean }): Promise<void> {
  const upstream = Object.values(upstreams).find((each) => each.name === name)
  if (upstream === undefined) {
    throw new CommandFailed(`there is no upstream ${name}: ${hint(name, Object.keys(upstreams))}`)
  }
  const settings = loadConfig(process.env).upstreams[upstream.name as UpstreamName]
  if (settings === undefined) {
    throw new CommandFailed(`${upstream.title} is not set up: set ${variablesOf(upstream)}`)
  }
  const { isWell, explanation } = await ask(open(upstream, settings), checkLimitMs)
  const wasOpened = isWell && (await withDatabase(({ pool }) => openUpstream(pool, name)))
  print(options, { name, isWell, explanation, wasOpened }, [
    `${upstream.title}: ${isWell ? 'well' : 'NOT well'}`,
    explanation,
    ...(wasOpened ? ['It was closed to jobs, and is open again.'] : []),
  ])
  if (!isWell) process.exitCode = 1
}

function open(upstream: Upstream, settings: NonNullable<Settings>): Provider {
  return upstream.open({ baseUrl: upstream.defaultBaseUrl, ...settings })
}

async function ask(provider: Provider, limitMs: number): Promise<CheckOutcome> {
  if (provider.check === undefined) {
    return { isWell: true, isReached: true, explanation: 'There is no free call by which it could be asked.' }
  }
  try {
    return await withinTime(limitMs, (signal) => provider.check!({ signal }))
  } catch {
    return { isWell: false, isReached: false, explanation: `It gave no answer within ${limitMs / 1000} s.` }
  }
}

/** The variables that an upstream's credentials are in, for people. */
export function variablesOf({ name }: Pick<Upstream, 'name'>): string {
  const prefix = name.toUpperCase()
  return pairedUpstreams.includes(name)
    ? `${prefix}_API_KEY, or ${prefix}_ACCESS_KEY and ${prefix}_SECRET_KEY`
    : `${prefix}_API_KEY`
}

function toListed(
  { title, defaultBaseUrl }: Upstream,
  settings: Settings,
  standing: UpstreamStanding,
  outcome: CheckOutcome | undefined,
): Listed {
  return {
    ...standing,
    title,
    configured: settings !== undefined,
    credentials:
      settings === undefined ? null : settings.apiKey === undefined ? 'access key and secret' : 'api key',
    hasWebhookSecret: settings?.webhookSecret !== undefined,
    baseUrl: settings?.baseUrl ?? defaultBaseUrl,
    reachable: outcome?.isReached ?? null,
    well: outcome?.isWell ?? null,
    explanation: outcome?.explanation ?? null,
  }
}

function wordFor(reachable: boolean | null, well: boolean | null): string {
  if (reachable === null) return ''
  return well ? 'yes' : reachable ? 'yes, NOT well' : 'NO'
}

function describe(listed: Listed[]): string[] {
  const rows = listed.map(({ name, credentials, reachable, circuit, jobsInFlight, today, ...rest }) => [
    name,
    credentials ?? 'not set up',
    wordFor(reachable, rest.well),
    circuit.until === null ? circuit.state : `${circuit.state} until ${circuit.until}`,
    rest.closures.length === 0 ? '' : String(rest.closures.length),
    String(jobsInFlight),
    String(today.attempts),
    dollars(today.costMicroCents) + (today.ofUnknownCost > 0 ? ` + ${today.ofUnknownCost} not known` : ''),
    dollars(today.marginMicroCents),
  ])
  const head = [
    'upstream',
    'credentials',
    'answers',
    'circuit',
    'closed',
    'in flight',
    'attempts',
    'spent',
    'margin',
  ]
  const closures = listed.flatMap(({ name, closures }) =>
    closures.map(
      ({ model, cause, retryAt }) =>
        `${name} takes no jobs${model === null ? '' : ` of ${model}`}: ${cause} (tried again ${retryAt})`,
    ),
  )
  const explained = listed.flatMap(({ name, well, explanation }) =>
    well === false ? [`${name}: ${explanation}`] : [],
  )
  return [...table([head, ...rows]), ...closures, ...explained]
}
