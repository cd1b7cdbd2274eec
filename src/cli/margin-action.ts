import { loadCatalogue, modelOf } from '../catalogue/load.ts'
import { loadConfig } from '../config.ts'
import { dollars } from '../dollars.ts'
import { type Earning, listMargins, type RouteMargin } from '../jobs/margins.ts'
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

/** Lists the margins of all routes at today's list prices. */
export async function showMargins(options: MarginOptions): Promise<void> {
  const catalogue = loadCatalogue()
  const { minMargin: least } = loadConfig(process.env)
  const minMargin = least === undefined ? undefined : percent(least)
  const model = options.model === undefined ? undefined : modelOf(catalogue, options.model)?.slug
  if (options.model !== undefined && model === undefined) {
    throw new CommandFailed(
      `there is no model ${options.model}; ${hint(options.model, [...catalogue.models.keys()])}`,
    )
  }
  requireKnown('provider', options.provider, Object.keys(catalogue.providers))
  await withDatabase(async ({ pool }) => {
    const all = listMargins(catalogue, await loadPolicy(pool), { minMargin })
    requireKnown('upstream', options.upstream, [...new Set(all.map(({ upstream }) => upstream))])
    const margins = all
      .filter((each) => model === undefined || each.modelSlug === model)
      .filter((each) => options.provider === undefined || each.providerId === options.provider)
      .filter((each) => options.upstream === undefined || each.upstream === options.upstream)
      .filter((each) => options.below === undefined || isBelow(each.worst, options.below))
      .toSorted((a, b) => rank(a) - rank(b))
    print(options, { margins }, describe(margins))
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

function describe(margins: RouteMargin[]): string[] {
  if (margins.length === 0) return ['no route is like that']
  const rows = margins.map(({ modelSlug, upstream, route, byDefault, worst, refused }) => [
    modelSlug,
    upstream,
    route,
    dollars(byDefault.priceMicroCents),
    byDefault.costMicroCents === null ? 'not known' : dollars(byDefault.costMicroCents),
    byDefault.marginMicroCents === null ? 'not known' : dollars(byDefault.marginMicroCents),
    share(byDefault),
    worst === null ? '' : `${share(worst)} ${optionsOf(worst)}`.trim(),
    refused === 'none' ? '' : refused === 'all' ? 'not taken' : 'some options not taken',
  ])
  const head = ['model', 'upstream', 'model there', 'price', 'cost', 'margin', 'by default', 'worst', '']
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
