import type { Logger } from 'pino'
import type { Caller } from '../accounts/authenticate.ts'
import type { Catalogue, Model, ModelRoute, ModelVersion } from '../catalogue/load.ts'
import { dollars } from '../dollars.ts'
import type { JsonSchema } from '../json-schema.ts'
import { listPricing } from '../policy/list-price.ts'
import { overridesFor, type Policy } from '../policy/policy.ts'
import { currentVersion } from '../policy/versions.ts'
import { isMargin, marginPercent, type Percent } from '../pricing/margin.ts'
import { agreedPrice } from '../pricing/override.ts'
import { type Pricing, price } from '../pricing/price.ts'
import { listedCost } from './routes.ts'

/** What one input earns on one route, by the list prices of both sides. */
export interface Earning {
  /** Of the priced fields. */
  input: Record<string, string>
  priceMicroCents: number
  /** Null where the upstream's price is not known, as what follows from it. */
  costMicroCents: number | null
  marginMicroCents: number | null
  /** Null too where the price is 0. */
  marginPercent: number | null
}

export interface RouteMargin {
  modelSlug: string
  providerId: string
  version: string
  upstream: string
  /** What the upstream calls the model. */
  route: string
  /** Of a job that leaves every option at its default. */
  byDefault: Earning
  /** Of the options that leave least of the price; null where the cost is not known. */
  worst: Earning | null
  /** Whether FILMGATE_MIN_MARGIN keeps such jobs off the route: all, some of them, or none. */
  refused: 'all' | 'some' | 'none'
}

/** The margin of every route of the models that take jobs, at everybody's price. */
export function listMargins(
  catalogue: Catalogue,
  policy: Policy,
  { minMargin, routesOf }: { minMargin: Percent | undefined; routesOf?: RoutesOf | undefined },
): RouteMargin[] {
  return [...catalogue.models.values()].flatMap((model) => {
    const version = currentVersion(policy, model)
    if (version === undefined) return []
    const pricing = listPricing(policy, model, version)
    const routes = routesOf === undefined ? version.routes : routesOf(model, version)
    return routes.map((route) => marginOf({ model, version, pricing }, route, minMargin))
  })
}

type RoutesOf = (model: Model, version: ModelVersion) => ModelRoute[]

interface Priced {
  model: Model
  version: ModelVersion
  pricing: Pricing
}

function marginOf(
  { model, version, pricing }: Priced,
  route: ModelRoute,
  minMargin: Percent | undefined,
): RouteMargin {
  const byDefault = earning(pricing, route, defaultInput(version, fieldsOf(pricing, route.cost)))!
  const all = inputsOf(pricing, route.cost).flatMap((input) => earning(pricing, route, input) ?? [])
  const known = all.filter(({ costMicroCents }) => costMicroCents !== null)
  const refused = known.filter(
    ({ priceMicroCents, costMicroCents }) =>
      minMargin !== undefined && !isMargin(BigInt(priceMicroCents), BigInt(costMicroCents!), minMargin),
  )
  return {
    modelSlug: model.slug,
    providerId: model.provider.id,
    version: version.version,
    upstream: route.upstream,
    route: route.model,
    byDefault,
    worst: known.toSorted((a, b) => shareOf(a) - shareOf(b))[0] ?? null,
    refused: refused.length === 0 ? 'none' : refused.length === all.length ? 'all' : 'some',
  }
}

/** By which margins are compared: what is given away at a cost is the worst. */
function shareOf({ priceMicroCents: price, costMicroCents: cost }: Earning): number {
  return price === 0 ? (cost === 0 ? 1 : Number.NEGATIVE_INFINITY) : (price - cost!) / price
}

function earning(pricing: Pricing, route: ModelRoute, input: Record<string, unknown>): Earning | undefined {
  const priced = price(pricing, input)
  if ('field' in priced) return undefined
  const cost = listedCost(route, input)
  const shown = fieldsOf(pricing, route.cost).flatMap((field) =>
    input[field] === undefined ? [] : [[field, String(input[field])]],
  )
  return {
    input: Object.fromEntries(shown),
    priceMicroCents: Number(priced.costMicroCents),
    costMicroCents: cost === undefined ? null : Number(cost),
    marginMicroCents: cost === undefined ? null : Number(priced.costMicroCents - cost),
    marginPercent: cost === undefined ? null : marginPercent(priced.costMicroCents, cost),
  }
}

// Without the validator, which takes longer to compile for every model than all the rest.
function defaultInput({ inputSchema, example }: ModelVersion, fields: string[]): Record<string, unknown> {
  const properties = inputSchema.properties as Record<string, JsonSchema>
  const required = inputSchema.required as string[]
  const values = fields.flatMap((field) => {
    const value = properties[field]?.default ?? (required.includes(field) ? example[field] : undefined)
    return value === undefined ? [] : [[field, value] as const]
  })
  return Object.fromEntries(values)
}

function fieldsOf(pricing: Pricing, cost: Pricing | undefined): string[] {
  return [...new Set([...Object.keys(pricing.factors), ...Object.keys(cost?.factors ?? {})])]
}

/** Every combination of options that has a price on both sides. */
function inputsOf(pricing: Pricing, cost: Pricing | undefined): Record<string, string>[] {
  return fieldsOf(pricing, cost).reduce<Record<string, string>[]>(
    (inputs, field) =>
      Object.keys(pricing.factors[field] ?? cost?.factors[field] ?? {}).flatMap((option) =>
        inputs.map((input) => ({ ...input, [field]: option })),
      ),
    [{}],
  )
}

/**
 * Whether a job that leaves every option at its default can go by any of these routes at what this customer pays, or everybody
 * where there is none.
 */
export function isSold(
  { policy, caller }: { policy: Policy; caller: Caller | undefined },
  { model, version }: { model: Model; version: ModelVersion },
  routes: ModelRoute[],
  minMargin: Percent | undefined,
): boolean {
  if (minMargin === undefined) return true
  const overrides = caller === undefined ? [] : overridesFor(policy, caller)
  const pricing = listPricing(policy, model, version)
  return routes.some((route) => {
    const input = defaultInput(version, fieldsOf(pricing, route.cost))
    const agreed = agreedPrice(pricing, overrides, model, input)
    return 'field' in agreed || leavesEnough(route, input, agreed.costMicroCents, minMargin)
  })
}

/** Whether a job of this price may go by a route. One of unknown cost is taken. */
export function leavesEnough(
  route: ModelRoute,
  input: Record<string, unknown>,
  priceMicroCents: bigint,
  least: Percent,
): boolean {
  const cost = listedCost(route, input)
  return cost === undefined || isMargin(priceMicroCents, cost, least)
}

const isLoss = (earning: Earning | null) => (earning?.marginMicroCents ?? 0) < 0

/** Says at start which of the upstreams that are set up make models for more than they sell for. */
export function warnOfLosses(log: Logger, margins: RouteMargin[], upstreams: string[]): void {
  for (const upstream of upstreams) {
    const own = margins.filter((margin) => margin.upstream === upstream && margin.refused !== 'all')
    const [below, others] = [
      own.filter(({ byDefault }) => isLoss(byDefault)),
      own.filter(({ worst }) => isLoss(worst)),
    ]
    const least = others.toSorted((a, b) => a.worst!.marginMicroCents! - b.worst!.marginMicroCents!)[0]
    if (least !== undefined) {
      const { priceMicroCents, costMicroCents } = least.worst!
      log.warn(
        {
          upstream,
          models: below.length,
          of: own.length,
          withSomeOptions: others.length,
          worst: least.modelSlug,
        },
        `${below.length} of ${own.length} models sell below the list price of ${upstream}, ${others.length} with some options; the worst is ${least.modelSlug}: cost ${dollars(costMicroCents!)}, price ${dollars(priceMicroCents)}. See "filmgate margin", "filmgate price markup" and FILMGATE_MIN_MARGIN`,
      )
    }
    const refused = margins.filter((margin) => margin.upstream === upstream && margin.refused !== 'none')
    const whole = refused.filter((margin) => margin.refused === 'all').length
    if (refused.length > 0) {
      log.warn(
        { upstream, models: whole, withSomeOptions: refused.length - whole },
        `FILMGATE_MIN_MARGIN keeps ${whole} models off ${upstream}, and some options of ${refused.length - whole} more`,
      )
    }
  }
}
