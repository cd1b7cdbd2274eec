import { loadCatalogue } from '../catalogue/load.ts'
import { dollars } from '../dollars.ts'
import { effectsOf, effectsOfMarkup, type PriceEffect } from '../policy/default-price.ts'
import { type OverrideDocument, toDocument } from '../policy/override-document.ts'
import { findSubject, readMarkup, readOverride } from '../policy/override-request.ts'
import { loadPolicy } from '../policy/policy.ts'
import {
  listMarkups,
  listOverrides,
  ofCustomers,
  removeOverride,
  setOverride,
} from '../policy/price-overrides.ts'
import type { Pricing } from '../pricing/price.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'
import { describeOverrides } from './override-table.ts'

export interface SetOptions {
  user?: string
  segment?: string
  model?: string
  provider?: string
  discount?: string
  fixed?: bigint
  factor?: Pricing['factors']
  note?: string
  json?: boolean
}

export interface ListOptions {
  user?: string
  segment?: string
  json?: boolean
}

const names = {
  userId: '--user',
  segment: '--segment',
  modelSlug: '--model',
  providerId: '--provider',
  percentage: '--discount',
  markup: '<percent>',
  priceMicroCents: '--fixed',
  factors: '--factor',
  beforeFactor: '--factor ',
}

/** Checks and sets an override, and shows what it does to default prices. */
export async function setPrice(options: SetOptions): Promise<void> {
  const catalogue = loadCatalogue()
  await withDatabase(async ({ pool }) => {
    const request = {
      userId: options.user,
      segment: options.segment,
      modelSlug: options.model,
      providerId: options.provider,
      percentage: options.discount,
      priceMicroCents: options.fixed === undefined ? undefined : Number(options.fixed),
      factors: options.factor,
    }
    const read = await readOverride(pool, catalogue, request, names)
    if ('issues' in read) throw failure(read.issues)
    if (read.override.subject === 'everybody') throw new Error('no option of this command is for everybody')
    const stored = await setOverride(pool, { ...read.override, note: options.note })
    const [policy, ofSubject] = await Promise.all([loadPolicy(pool), listOverrides(pool, stored.subject)])
    printEffects(options, toDocument(stored), effectsOf(catalogue, policy, stored, ofCustomers(ofSubject)))
  })
}

export interface MarkupOptions {
  model?: string
  provider?: string
  note?: string
  json?: boolean
}

/** Sets a markup, and shows what it does to the default prices of the catalogue. */
export async function setMarkup(percentage: string, options: MarkupOptions): Promise<void> {
  const catalogue = loadCatalogue()
  const scope = { modelSlug: options.model, providerId: options.provider }
  const read = readMarkup(catalogue, percentage, scope, names)
  if ('issues' in read) throw failure(read.issues)
  await withDatabase(async ({ pool }) => {
    const stored = await setOverride(pool, { ...read.override, note: options.note })
    const effects = effectsOfMarkup(catalogue, await loadPolicy(pool), stored)
    printEffects(options, toDocument(stored), effects)
  })
}

/** Lists the markups. */
export async function listMarkupsOf(options: { json?: boolean }): Promise<void> {
  await withDatabase(async ({ pool }) => {
    const markups = (await listMarkups(pool)).map(toDocument)
    print(options, { markups }, markups.length === 0 ? ['there is no markup'] : describeOverrides(markups))
  })
}

/** Takes a markup away. */
export async function removeMarkup(id: string, options: { json?: boolean }): Promise<void> {
  await withDatabase(async ({ pool }) => {
    if (!(await removeOverride(pool, id, 'markup'))) throw new CommandFailed(`there is no markup ${id}`)
    print(options, { id, removed: true }, [`removed ${id}`])
  })
}

function printEffects(options: { json?: boolean }, override: OverrideDocument, effects: PriceEffect[]): void {
  print(options, { ...override, effects }, [
    ...describeOverrides([override]),
    '',
    ...describeEffects(effects),
  ])
}

/** Lists the overrides of all, or of one user or segment. */
export async function listPrices(options: ListOptions): Promise<void> {
  await withDatabase(async ({ pool }) => {
    const found = await findSubject(pool, { userId: options.user, segment: options.segment }, names)
    if (found !== undefined && 'issues' in found) throw failure(found.issues)
    const overrides = (await listOverrides(pool, found?.subject)).map(toDocument)
    print(options, { overrides }, describeOverrides(overrides))
  })
}

/** Takes an override away. */
export async function removePrice(id: string, options: { json?: boolean }): Promise<void> {
  await withDatabase(async ({ pool }) => {
    if (!(await removeOverride(pool, id))) throw new CommandFailed(`there is no price override ${id}`)
    print(options, { id, removed: true }, [`removed ${id}`])
  })
}

function failure(issues: { path: string; message: string }[]): CommandFailed {
  return new CommandFailed(issues.map(({ path, message }) => `${path} ${message}`).join('; '))
}

const mostEffects = 10

function describeEffects(effects: PriceEffect[]): string[] {
  if (effects.length === 0) return ['This changes no price: more specific ones stand before it.']
  const rows = effects
    .slice(0, mostEffects)
    .map(({ modelSlug, listMicroCents, costMicroCents }) => [
      modelSlug,
      `${dollars(listMicroCents)} → ${dollars(costMicroCents)}`,
    ])
  const left = effects.length - rows.length
  return [
    ...table([['model', 'price of a job with its defaults'], ...rows]),
    ...(left > 0 ? [`… and ${left} more models; --json lists all`] : []),
  ]
}
