import { checkInput } from '../catalogue/check-input.ts'
import type { Model, ModelRoute, ModelVersion } from '../catalogue/load.ts'
import type { Db } from '../db.ts'
import { dollars } from '../dollars.ts'
import { recentDurations } from '../jobs/expectations.ts'
import { leavesEnough } from '../jobs/margins.ts'
import { fitDurations } from '../jobs/poll-schedule.ts'
import { rankRoutes, successRate } from '../jobs/rank-routes.ts'
import { type Candidate, listedCost, readRecords, readRouteStates } from '../jobs/routes.ts'
import { minMarginOf, openAsServersHave, readServers } from '../jobs/servers.ts'
import { whyUnavailable } from '../jobs/takes-jobs.ts'
import { sentence } from '../json-schema.ts'
import { listPricing } from '../policy/list-price.ts'
import { loadPolicy, type Policy } from '../policy/policy.ts'
import { currentVersion } from '../policy/versions.ts'
import { marginPercent, percent } from '../pricing/margin.ts'
import { type Pricing, price } from '../pricing/price.ts'
import type { Json } from '../providers/provider.ts'
import { upstreams } from '../providers/upstreams.ts'
import { toInput, type ValueField } from './fields.ts'
import { requireModel } from './model-actions.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'
import { variablesOf } from './upstream-actions.ts'

interface ShownRoute {
  upstream: string
  model: string
  standing: string
  why: string
  /** Null where no job would go there. */
  score: number | null
  costMicroCents: number | null
  /** Of the model's own price, without what was agreed with a customer. */
  marginMicroCents: number | null
  succeeded: number
  failed: number
  successRate: number
  medianSeconds: number
}

/** Shows how a live job would go now, by the same rules as the dispatch. */
export async function showRoutes(
  slug: string,
  fields: ValueField[],
  options: { version?: string; json?: boolean },
): Promise<void> {
  const model = requireModel(slug)
  await withDatabase(async ({ pool }) => {
    const policy = await loadPolicy(pool)
    const version = versionOf(policy, model, options.version)
    const pricing = listPricing(policy, model, version)
    const servers = (await readServers(pool)).filter(({ isAlive }) => isAlive)
    const providers = openAsServersHave(servers)
    const input = inputOf(version, fields)
    const setUp = version.routes.flatMap((route): Candidate[] => {
      const provider = providers.find(({ name }) => name === route.upstream)
      return provider === undefined ? [] : [{ provider, route }]
    })
    const { minMargin } = minMarginOf(servers)
    const own = price(pricing, input)
    const isDear = ({ route }: Candidate) =>
      minMargin !== null &&
      'costMicroCents' in own &&
      !leavesEnough(route, input, own.costMicroCents, percent(minMargin)!)
    const candidates = setUp.filter((candidate) => !isDear(candidate))
    const learnt = await readLearnt(pool, model, candidates)
    const states = await readRouteStates(pool, candidates, { modelSlug: model.slug, input }, learnt)
    const ranked = rankRoutes(states).map(({ state, standing, score, why }) => ({
      upstream: state.upstream,
      model: state.model,
      standing,
      why,
      score: Number(score.toFixed(4)),
      ...moneyOf(pricing, input, state.costMicroCents),
      ...learntOf(state.succeeded, state.failed, state.medianMs),
    }))
    const routes: ShownRoute[] = [
      ...ranked,
      ...setUp.filter(isDear).map(({ route }) => belowMargin(pricing, input, route, minMargin!)),
      ...notSetUp(version, pricing, input, setUp, servers.length),
    ]
    const first = ranked.find(({ standing }) => standing === 'ready')
    const chosen = first === undefined ? null : { upstream: first.upstream, model: first.model }
    const document = { model: model.slug, version: version.version, input, chosen, routes }
    print(options, document, describe(model, version, routes, chosen, policy))
  })
}

function versionOf(policy: Policy, model: Model, asked: string | undefined): ModelVersion {
  const version =
    asked === undefined
      ? (currentVersion(policy, model) ?? model.versions.at(-1))
      : model.versions.find((each) => each.version === asked)
  if (version !== undefined) return version
  const known = model.versions.map((each) => each.version)
  throw new CommandFailed(`${model.slug} has no version ${asked}; there are ${known.join(', ')}`)
}

/** What a job needs and was left out is taken from the model's example, all of it where nothing is given. */
function inputOf(
  { inputSchema, example, ...version }: ModelVersion,
  fields: ValueField[],
): Record<string, Json> {
  const file = fields.find((field) => 'file' in field)
  if (file !== undefined) throw new CommandFailed(`${file.name}: no file is uploaded here; give a URL`)
  const needed = (inputSchema.required as string[]).map((name) => [name, example[name]])
  const rest = fields.length === 0 ? example : Object.fromEntries(needed)
  const given = { ...rest, ...toInput(fields) }
  const { input, issues } = checkInput({ inputSchema, example, ...version }, given)
  if (issues.length > 0) throw new CommandFailed(sentence(issues, 'input'))
  return input as Record<string, Json>
}

async function readLearnt(db: Db, { slug: modelSlug, processingSeconds }: Model, candidates: Candidate[]) {
  const keys = candidates.map(({ provider }) => ({ provider: provider.name, modelSlug }))
  const [records, durations] = await Promise.all([readRecords(db, keys), recentDurations(db, keys)])
  const placeOf = (name: string) => keys.findIndex(({ provider }) => provider === name)
  return {
    records: (provider: string) => records[placeOf(provider)]!,
    medianMs: (provider: string) =>
      fitDurations(durations[placeOf(provider)] ?? [], processingSeconds * 1000).medianMs,
  }
}

function moneyOf(pricing: Pricing, input: Record<string, Json>, cost: bigint | undefined) {
  if (cost === undefined) return { costMicroCents: null, marginMicroCents: null }
  const own = price(pricing, input)
  const margin = 'costMicroCents' in own ? Number(own.costMicroCents - cost) : null
  return { costMicroCents: Number(cost), marginMicroCents: margin }
}

function belowMargin(
  pricing: Pricing,
  input: Record<string, Json>,
  route: ModelRoute,
  least: string,
): ShownRoute {
  const { upstream, model } = route
  const own = price(pricing, input)
  const left = 'costMicroCents' in own ? marginPercent(own.costMicroCents, listedCost(route, input)!) : null
  return {
    upstream,
    model,
    standing: 'below margin',
    why: `leaves ${left === null ? 'nothing' : `${left} % of the price`}: FILMGATE_MIN_MARGIN of the servers is ${least} %`,
    score: null,
    ...moneyOf(pricing, input, listedCost(route, input)),
    ...learntOf(0, 0, 0),
  }
}

function learntOf(succeeded: number, failed: number, medianMs: number) {
  return {
    succeeded,
    failed,
    successRate: Number(successRate({ succeeded, failed }).toFixed(3)),
    medianSeconds: Math.round(medianMs / 1000),
  }
}

function notSetUp(
  version: ModelVersion,
  pricing: Pricing,
  input: Record<string, Json>,
  candidates: Candidate[],
  servers: number,
): ShownRoute[] {
  return version.routes
    .filter((route) => !candidates.some((candidate) => candidate.route === route))
    .map((route) => {
      const cost = listedCost(route, input)
      const upstream = Object.values(upstreams).find(({ name }) => name === route.upstream)
      return {
        upstream: route.upstream,
        model: route.model,
        standing: 'not set up',
        why:
          upstream === undefined
            ? 'there is no adapter for it'
            : servers === 0
              ? 'no server runs on this database'
              : `set ${variablesOf(upstream)} for the servers`,
        score: null,
        ...moneyOf(pricing, input, cost),
        ...learntOf(0, 0, 0),
      }
    })
}

function describe(
  model: Model,
  version: ModelVersion,
  routes: ShownRoute[],
  chosen: { upstream: string; model: string } | null,
  policy: Policy,
): string[] {
  if (routes.length === 0) return [whyUnavailable(policy, model, version, []) ?? '']
  const rows = routes.map((route) => [
    route.upstream,
    route.model,
    route.standing,
    route.score === null ? '' : route.score.toFixed(2),
    route.costMicroCents === null ? 'not known' : dollars(route.costMicroCents),
    route.marginMicroCents === null ? '' : dollars(route.marginMicroCents),
    route.score === null ? '' : `${route.succeeded} of ${route.succeeded + route.failed}`,
    route.score === null ? '' : `${route.medianSeconds} s`,
    route.why,
  ])
  const head = [
    'upstream',
    'model there',
    'standing',
    'score',
    'list price',
    'margin',
    'succeeded',
    'usual time',
    'why',
  ]
  return [
    chosen === null
      ? 'A live job could go nowhere now.'
      : `A live job would go to ${chosen.upstream}, ${chosen.model}.`,
    '',
    ...table([head, ...rows]),
  ]
}
