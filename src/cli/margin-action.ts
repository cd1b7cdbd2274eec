import { loadCatalogue, modelOf } from '../catalogue/load.ts'
import { dollars } from '../dollars.ts'
import { type Earning, listMargins, type RouteMargin } from '../jobs/margins.ts'
import { minMarginOf, readServers, type ServerRow } from '../jobs/servers.ts'
import { hint } from '../policy/override-request.ts'
import { loadPolicy } from '../policy/policy.ts'
import { percent } from '../pricing/margin.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'

export interface MarginOptions {
  provider?: string
  model?: string
  upstream?: string
  below?: number
  json?: boolean
}

type Shown = RouteMargin & {
  /** A running server has the upstream. */
  configured: boolean
}

/** Lists the margins of all routes at today's list prices, by what the running servers have set. */
export async function showMargins(options: MarginOptions): Promise<void> {
  const catalogue = loadCatalogue()
  const model = options.model === undefined ? undefined : modelOf(catalogue, options.model)?.slug
  if (options.model !== undefined && model === undefined) {
    throw new CommandFailed(
      `there is no model ${options.model}; ${hint(options.model, [...catalogue.models.keys()])}`,
    )
  }
  requireKnown('provider', options.provider, Object.keys(catalogue.providers))
  await withDatabase(async ({ pool }) => {
    const servers = (await readServers(pool)).filter(({ isAlive }) => isAlive)
    const { minMargin, differs } = minMarginOf(servers)
    const had = servers.flatMap(({ upstreams }) => upstreams.map(({ name }) => name))
    const all = listMargins(catalogue, await loadPolicy(pool), {
      minMargin: minMargin === null ? undefined : percent(minMargin),
    }).map((each): Shown => ({ ...each, configured: had.includes(each.upstream) }))
    requireKnown('upstream', options.upstream, [...new Set(all.map(({ upstream }) => upstream))])
    const margins = all
      .filter((each) => model === undefined || each.modelSlug === model)
      .filter((each) => options.provider === undefined || each.providerId === options.provider)
      .filter((each) => options.upstream === undefined || each.upstream === options.upstream)
      .filter((each) => options.below === undefined || isBelow(each.worst, options.below))
      .toSorted((a, b) => rank(a) - rank(b))
    const document = { minMarginPercent: minMargin === null ? null : Number(minMargin), margins }
    print(options, document, [...describe(margins), '', ...describeServers(servers, { minMargin, differs })])
  })
}

function requireKnown(name: string, given: string | undefined, known: string[]): void {
  if (given === undefined || known.includes(given)) return
  throw new CommandFailed(`there is no ${name} ${given}; ${hint(given, known)}`)
}

function isBelow(earning: Earning | null, percent: number): boolean {
  return earning !== null && (earning.marginPercent ?? Number.NEGATIVE_INFINITY) < percent
}

// what is not known comes last
function rank({ byDefault }: RouteMargin): number {
  if (byDefault.costMicroCents === null) return Number.POSITIVE_INFINITY
  return byDefault.marginPercent ?? (byDefault.costMicroCents > 0 ? -1e9 : 100)
}

function describe(margins: Shown[]): string[] {
  if (margins.length === 0) return ['no route is like that']
  const rows = margins.map(({ modelSlug, upstream, configured, route, byDefault, worst, refused }) => [
    modelSlug,
    upstream,
    configured ? 'yes' : 'no',
    route,
    dollars(byDefault.priceMicroCents),
    byDefault.costMicroCents === null ? 'not known' : dollars(byDefault.costMicroCents),
    byDefault.marginMicroCents === null ? 'not known' : dollars(byDefault.marginMicroCents),
    share(byDefault),
    worst === null ? '' : `${share(worst)} ${optionsOf(worst)}`.trim(),
    refused === 'none' ? '' : refused === 'all' ? 'not taken' : 'some options not taken',
  ])
  const head = [
    'model',
    'upstream',
    'set up',
    'model there',
    'price',
    'cost',
    'margin',
    'by default',
    'worst',
    '',
  ]
  return table([head, ...rows])
}

function share({ costMicroCents, marginPercent }: Earning): string {
  if (costMicroCents === null) return ''
  return marginPercent === null ? 'no price' : `${marginPercent} %`
}

function optionsOf({ input }: Earning): string {
  const options = Object.entries(input).map(([field, option]) => `${field}=${option}`)
  return options.length === 0 ? '' : `(${options.join(' ')})`
}

/** What is told of this terminal's settings would be told of the wrong ones. */
function describeServers(
  servers: ServerRow[],
  { minMargin, differs }: ReturnType<typeof minMarginOf>,
): string[] {
  if (servers.length === 0)
    return ['No server runs on this database, so that no upstream is set up and no least margin is known.']
  if (differs) {
    return [`The servers differ in FILMGATE_MIN_MARGIN: "not taken" is by the strictest, ${minMargin} %.`]
  }
  return [`FILMGATE_MIN_MARGIN of the servers: ${minMargin === null ? 'none' : `${minMargin} %`}.`]
}
