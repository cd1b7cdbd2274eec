import type pg from 'pg'
import { listSegments } from '../accounts/segments.ts'
import { allowModel } from '../accounts/users.ts'
import { loadCatalogue, type Model, type ModelVersion, modelOf } from '../catalogue/load.ts'
import { slugHint } from '../catalogue/nearest-slug.ts'
import type { Db } from '../db.ts'
import { dollars } from '../dollars.ts'
import { defaultPrice } from '../policy/default-price.ts'
import { listPricing } from '../policy/list-price.ts'
import { toDocument } from '../policy/override-document.ts'
import { hint } from '../policy/override-request.ts'
import { loadPolicy, type Policy } from '../policy/policy.ts'
import { listOverrides } from '../policy/price-overrides.ts'
import { setVersion, setVisibility, type Visibility } from '../policy/settings.ts'
import { currentVersion, statusOf } from '../policy/versions.ts'
import { scopeRank } from '../pricing/override.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'
import { describeOverrides } from './override-table.ts'
import { printUser, requireUser } from './user.ts'

type Output = { json?: boolean }

/** Shows a model as the operator has set it, with the price overrides that touch it. */
export async function showModel(slug: string, options: Output): Promise<void> {
  const model = requireModel(slug)
  await withDatabase(({ pool }) => printModel(pool, model, options))
}

/** Lists the models that are not public. */
export async function listHiddenModels(options: Output): Promise<void> {
  await withDatabase(async ({ pool }) => {
    const { visibility } = await loadPolicy(pool)
    const models = [...visibility].map(([slug, rule]) => ({ slug, ...rule }))
    models.sort((a, b) => (a.slug < b.slug ? -1 : 1))
    const rows = models.map((each) => [each.slug, each.visibility, each.segments.join(',')])
    const lines =
      rows.length === 0 ? ['every model is public'] : table([['model', 'for', 'segments'], ...rows])
    print(options, { models }, lines)
  })
}

/** Sets who sees a model. */
export async function changeVisibility(slug: string, rule: Visibility, options: Output): Promise<void> {
  const model = requireModel(slug)
  await withDatabase(async ({ pool }) => {
    if (rule.visibility === 'segment') await requireSegments(pool, rule.segments)
    await setVisibility(pool, model.slug, rule)
    await printModel(pool, model, options)
  })
}

/** Sets the state or the limits of a version. */
export async function changeVersion(
  slug: string,
  version: string,
  change: Parameters<typeof setVersion>[3],
  options: Output,
): Promise<void> {
  const model = requireModel(slug)
  const known = model.versions.map((each) => each.version)
  if (!known.includes(version))
    throw new CommandFailed(`${model.slug} has no version ${version}; there are ${known.join(', ')}`)
  await withDatabase(async ({ pool }) => {
    await setVersion(pool, model.slug, version, change)
    await printModel(pool, model, options)
  })
}

/** Opens a private model to a user, or closes it again. */
export async function allow(slug: string, user: string, isAllowed: boolean, options: Output): Promise<void> {
  await withDatabase(async ({ pool }) => {
    const { userId, allowedModels } = await requireUser(pool, user)
    // one that has left the catalogue can still be closed
    const known = allowedModels.includes(slug) ? slug : requireModel(slug).slug
    await allowModel(pool, userId, known, isAllowed)
    await printUser(pool, userId, options)
  })
}

async function requireSegments(db: Db, names: string[]): Promise<void> {
  const known = (await listSegments(db)).map(({ name }) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new CommandFailed(`there is no segment ${unknown}; ${hint(unknown, known)}`)
}

export function requireModel(slug: string): Model {
  const catalogue = loadCatalogue()
  const model = modelOf(catalogue, slug)
  if (model !== undefined) return model
  throw new CommandFailed(`there is no model ${slug}; ${slugHint(slug, [...catalogue.models.keys()])}`)
}

async function printModel(pool: pg.Pool, model: Model, options: Output): Promise<void> {
  const [policy, stored] = await Promise.all([loadPolicy(pool), listOverrides(pool)])
  const overrides = stored.filter(({ scope }) => scopeRank(scope, model) > 0).map(toDocument)
  const rule = policy.visibility.get(model.slug) ?? { visibility: 'public', segments: [] }
  const versions = model.versions.map((version) => describeVersion(policy, model, version))
  const { slug, name, provider, capability } = model
  const document = { slug, name, providerId: provider.id, capability, ...rule, versions, overrides }
  const rows = versions.map((each) => [
    each.version,
    each.status + (each.status === each.catalogueStatus ? '' : ` (catalogue: ${each.catalogueStatus})`),
    each.isCurrent ? 'current' : '',
    dollars(each.defaultPriceMicroCents),
    String(each.requestsPerMinute ?? 'unlimited'),
    String(each.requestsPerDay ?? 'unlimited'),
  ])
  print(options, document, [
    ...table([
      ['model', slug],
      ['name', name],
      ['for', rule.segments.length === 0 ? rule.visibility : `segments ${rule.segments.join(', ')}`],
    ]),
    '',
    ...table([['version', 'state', '', 'default price', 'per minute', 'per day'], ...rows]),
    ...(overrides.length === 0 ? [] : ['', ...describeOverrides(overrides)]),
  ])
}

function describeVersion(policy: Policy, model: Model, version: ModelVersion) {
  const settings = policy.versions.get(`${model.slug} ${version.version}`)
  return {
    version: version.version,
    status: statusOf(policy, model, version),
    catalogueStatus: version.status,
    isCurrent: currentVersion(policy, model) === version,
    defaultPriceMicroCents: Number(
      defaultPrice(model, version, [], listPricing(policy, model, version)).costMicroCents,
    ),
    requestsPerMinute: settings?.requestsPerMinute ?? null,
    requestsPerDay: settings?.requestsPerDay ?? null,
  }
}
