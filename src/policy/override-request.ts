import { listSegments } from '../accounts/segments.ts'
import { findUser } from '../accounts/users.ts'
import { type Catalogue, type Model, modelOf } from '../catalogue/load.ts'
import { slugHint } from '../catalogue/nearest-slug.ts'
import type { Db } from '../db.ts'
import { type Issue, nearest } from '../json-schema.ts'
import type { Markup } from '../pricing/markup.ts'
import {
  overriddenPricing,
  type PriceOverride,
  type PriceScope,
  type PriceTerms,
} from '../pricing/override.ts'
import { type Pricing, price } from '../pricing/price.ts'
import type { NewOverride } from './price-overrides.ts'

/** A price override as an operator asks for it, not yet checked. */
export interface OverrideRequest {
  /** Id or e-mail address. */
  userId?: string | undefined
  segment?: string | undefined
  modelSlug?: string | undefined
  providerId?: string | undefined
  percentage?: string | undefined
  /** For everybody, and so beside no user or segment. */
  markup?: string | undefined
  priceMicroCents?: number | undefined
  factors?: Pricing['factors'] | undefined
}

/** How the operator writes the fields, for messages: the API's names or the command line's options. */
export type FieldNames = Record<keyof OverrideRequest, string> & { beforeFactor: string }

type Subject = PriceOverride['subject']

/** Checks a request against users, segments and catalogue; answers every problem at once. */
export async function readOverride(
  db: Db,
  catalogue: Catalogue,
  request: OverrideRequest,
  names: FieldNames,
): Promise<{ override: NewOverride } | { issues: Issue[] }> {
  if (request.markup !== undefined) return readMarkup(catalogue, request.markup, request, names)
  const found =
    (await findSubject(db, request, names)) ?? wrong(names.userId, `or ${names.segment} is required`)
  const place = findScope(catalogue, request, names)
  const agreed = readTerms(request, names, 'models' in place ? place.models : [])
  if ('subject' in found && 'scope' in place && 'terms' in agreed) {
    return { override: { subject: found.subject, scope: place.scope, ...agreed.terms } }
  }
  return { issues: [found, place, agreed].flatMap((part) => ('issues' in part ? part.issues : [])) }
}

const mostMarkup = 1_000

/** Checks a markup in the same way. */
export function readMarkup(
  catalogue: Catalogue,
  percentage: string,
  request: OverrideRequest,
  names: FieldNames,
): { override: Omit<Markup, 'id'> } | { issues: Issue[] } {
  const others = ['userId', 'segment', 'percentage', 'priceMicroCents', 'factors'] as const
  const given = others.filter((name) => request[name] !== undefined)
  const place = findScope(catalogue, request, names)
  const isFit = /^\d{1,4}(\.\d{1,9})?$/.test(percentage) && Number(percentage) <= mostMarkup
  const issues = given.flatMap((name) => beside(names[name], names.markup).issues)
  if ('issues' in place) issues.push(...place.issues)
  if (!isFit) {
    const message = `must be a plain decimal from 0 to ${mostMarkup} without a sign, like 12.5`
    issues.push({ path: names.markup, message })
  }
  if (issues.length > 0 || 'issues' in place) return { issues }
  return { override: { subject: 'everybody', scope: place.scope, kind: 'percentage_markup', percentage } }
}

/** Whom a request is about; undefined if it names nobody. */
export async function findSubject(
  db: Db,
  { userId, segment }: Pick<OverrideRequest, 'userId' | 'segment'>,
  names: Pick<FieldNames, 'userId' | 'segment'>,
): Promise<{ subject: Subject } | { issues: Issue[] } | undefined> {
  if (userId !== undefined && segment !== undefined) return beside(names.segment, names.userId)
  if (userId !== undefined) {
    const user = await findUser(db, userId)
    if (user !== undefined) return { subject: { userId: user.userId } }
    return wrong(names.userId, 'names no user: give the id or e-mail address of one')
  }
  if (segment === undefined) return undefined
  const known = (await listSegments(db)).map(({ name }) => name)
  if (known.includes(segment)) return { subject: { segment } }
  return wrong(names.segment, `names no segment; ${hint(segment, known)}`)
}

function findScope(
  catalogue: Catalogue,
  { modelSlug, providerId }: OverrideRequest,
  names: FieldNames,
): { scope: PriceScope; models: Model[] } | { issues: Issue[] } {
  if (modelSlug !== undefined && providerId !== undefined) return beside(names.providerId, names.modelSlug)
  if (modelSlug !== undefined) {
    const model = modelOf(catalogue, modelSlug)
    if (model !== undefined) return { scope: { modelSlug: model.slug }, models: [model] }
    return wrong(names.modelSlug, `names no model; ${slugHint(modelSlug, [...catalogue.models.keys()])}`)
  }
  const models = [...catalogue.models.values()]
  if (providerId === undefined) return { scope: 'all', models }
  if (Object.hasOwn(catalogue.providers, providerId)) {
    return { scope: { providerId }, models: models.filter((model) => model.provider.id === providerId) }
  }
  return wrong(names.providerId, `names no provider; ${hint(providerId, Object.keys(catalogue.providers))}`)
}

const mostMicroCents = 999_999_999_999_999

/** `models`: those that the terms are for; none if that is not known. */
function readTerms(
  request: OverrideRequest,
  names: FieldNames,
  models: Model[],
): { terms: PriceTerms } | { issues: Issue[] } {
  const { percentage, priceMicroCents, factors } = request
  const kinds = ['percentage', 'priceMicroCents', 'factors'] as const
  const given = kinds.filter((name) => request[name] !== undefined)
  if (given[0] !== undefined && given[1] !== undefined) return beside(names[given[1]], names[given[0]])
  if (percentage !== undefined) {
    const isFit =
      /^\d{1,3}(\.\d{1,9})?$/.test(percentage) && Number(percentage) > 0 && Number(percentage) <= 100
    if (isFit) return { terms: { kind: 'percentage_discount', percentage } }
    return wrong(names.percentage, 'must be a plain decimal above 0 and at most 100, like 12.5')
  }
  if (priceMicroCents !== undefined) {
    if (Number.isInteger(priceMicroCents) && priceMicroCents >= 0 && priceMicroCents <= mostMicroCents) {
      return { terms: { kind: 'fixed_price', priceMicroCents } }
    }
    return wrong(names.priceMicroCents, `must be a whole number of micro-cents from 0 to ${mostMicroCents}`)
  }
  if (factors === undefined) {
    return wrong(names.percentage, `or ${names.priceMicroCents} or ${names.factors} is required`)
  }
  const issues = factorIssues(factors, names, models)
  if (issues.length > 0) return { issues }
  const terms: PriceTerms = { kind: 'custom_dynamic', factors }
  const tooDear = models.find((model) =>
    model.versions.some(({ pricing }) => isTooDear(overriddenPricing(pricing, terms))),
  )
  if (tooDear === undefined) return { terms }
  return wrong(
    names.factors,
    `would let a job of ${tooDear.slug} cost more than ${mostMicroCents} micro-cents`,
  )
}

// Whatever the markup becomes, the price stays exact as a JSON number.
function isTooDear(pricing: Pricing): boolean {
  const marked = dearest({ ...pricing, markup: String(mostMarkup) })
  return dearest(pricing) > mostMicroCents || marked > BigInt(Number.MAX_SAFE_INTEGER)
}

/** What the dearest options together cost. */
function dearest(pricing: Pricing): bigint {
  const input = Object.entries(pricing.factors).map(([field, options]) => {
    const byMultiplier = Object.entries(options).sort(([, a], [, b]) => Number(b) - Number(a))
    return [field, byMultiplier[0]?.[0]]
  })
  const priced = price(pricing, Object.fromEntries(input))
  return 'field' in priced ? 0n : priced.costMicroCents
}

function factorIssues(factors: Pricing['factors'], names: FieldNames, models: Model[]): Issue[] {
  const priced = pricedOptions(models)
  const entries = Object.entries(factors)
  if (entries.length === 0 || entries.some(([, options]) => Object.keys(options).length === 0)) {
    return [{ path: names.factors, message: 'must name an option of each field, with its multiplier' }]
  }
  return entries.flatMap(([field, options]) => {
    const path = `${names.beforeFactor}${field}`
    const known = priced.get(field)
    // without a model nobody can tell
    if (models.length > 0 && known === undefined) {
      return [{ path, message: `is not a field that has a price here; ${hint(field, [...priced.keys()])}` }]
    }
    return Object.entries(options).flatMap(([option, multiplier]) => {
      const place = `${path}.${option}`
      if (known !== undefined && !known.has(option)) {
        return [{ path: place, message: `is not an option; those of ${field} are ${[...known].join(', ')}` }]
      }
      if (/^\d{1,9}(\.\d{1,9})?$/.test(multiplier)) return []
      return [{ path: place, message: 'must have a plain decimal as its multiplier, like 0.85' }]
    })
  })
}

function pricedOptions(models: Model[]): Map<string, Set<string>> {
  const priced = new Map<string, Set<string>>()
  for (const { pricing } of models.flatMap((model) => model.versions)) {
    for (const [field, options] of Object.entries(pricing.factors)) {
      priced.set(field, new Set([...(priced.get(field) ?? []), ...Object.keys(options)]))
    }
  }
  return priced
}

const mostListed = 20

/** What to say of a name that is not known: the nearest that is, or all of them if they are few. */
export function hint(name: string, known: string[]): string {
  const guess = nearest(name, known)
  if (guess !== undefined) return `did you mean "${guess}"?`
  if (known.length === 0) return 'there are none'
  return known.length <= mostListed ? `there are ${known.join(', ')}` : 'check the spelling'
}

function wrong(path: string, message: string): { issues: Issue[] } {
  return { issues: [{ path, message }] }
}

function beside(path: string, other: string): { issues: Issue[] } {
  return wrong(path, `cannot stand beside ${other}: give one of the two`)
}
