import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { price } from '../pricing/price.ts'
import { checkInput, validatorOf } from './check-input.ts'
import {
  type Catalogue,
  catalogueDirectory,
  type Fault,
  type Model,
  type ModelVersion,
  readCatalogue,
} from './load.ts'
import { modelFile } from './schema.ts'

/**
 * Everything that is wrong with the catalogue: what loadCatalogue finds, and what only writers must know or takes
 * too long for every start.
 */
export function checkCatalogue(directory = catalogueDirectory): { catalogue: Catalogue; faults: Fault[] } {
  const { catalogue, faults } = readCatalogue(directory)
  const models = [...catalogue.models.values()]
  const further = [
    ...models.flatMap((model) => [
      ...keysOutOfOrder(directory, model),
      ...poorTexts(model),
      ...model.versions.flatMap((version) => versionFaults(model, version)),
    ]),
    ...repeated(models, 'description', (model) => model.description),
    ...repeated(models, 'provider, name and capability', ({ provider, name, capability }) =>
      [provider.id, name, capability].join(),
    ),
    ...sharedOrder(catalogue),
    // a model that could not be read may be the one that uses it
    ...(faults.length === 0 ? unused(catalogue, models) : []),
  ]
  return { catalogue, faults: [...faults, ...further] }
}

const pathOf = (model: Model) => `${model.slug}.json`

// What the form alone can't say: the schema compiles, the defaults and the example fit, the example has a price.
function versionFaults(model: Model, version: ModelVersion): Fault[] {
  const own = model.versions.length > 1 ? `${version.version}: ` : ''
  return reasonsOf(version).map((reason) => ({ path: pathOf(model), reason: `${own}${reason}` }))
}

function reasonsOf(version: ModelVersion): string[] {
  try {
    validatorOf(version)
  } catch (error) {
    return [`input: ${(error as Error).message}`]
  }
  const { issues, input } = checkInput(version, version.example)
  if (issues.length > 0) return issues.map((issue) => `example: ${issue.path} ${issue.message}`)
  const wrongDefaults = checkInput(version, withoutDefaults(version)).issues
  if (wrongDefaults.length > 0)
    return wrongDefaults.map((issue) => `default of ${issue.path} ${issue.message}`)
  return 'field' in price(version.pricing, input) ? ['the example has no price'] : []
}

// The example's values of what must be given; the rest is left to the defaults.
function withoutDefaults({ inputSchema, example }: ModelVersion): Record<string, unknown> {
  const properties = inputSchema.properties as Record<string, { default?: unknown }>
  const needed = (inputSchema.required as string[]).filter((name) => properties[name]?.default === undefined)
  return Object.fromEntries(needed.map((name) => [name, example[name]]))
}

// Read again, since a loaded model no longer shows how its file was written.
function keysOutOfOrder(directory: string, model: Model): Fault[] {
  const path = pathOf(model)
  const keys = Object.keys(JSON.parse(readFileSync(join(directory, path), 'utf8')))
  const order = Object.keys(modelFile.properties).filter((key) => keys.includes(key))
  return keys.join() === order.join()
    ? []
    : [{ path, reason: `its keys must be in the order ${order.join(', ')}` }]
}

const longestText = 320

/** Descriptions and notes are whole sentences in one line, short enough for a list. */
function poorTexts(model: Model): Fault[] {
  const fields = model.versions.flatMap((version) =>
    Object.entries(version.inputSchema.properties as Record<string, { description: string }>),
  )
  const texts: [string, string][] = [
    ['description', model.description],
    ...fields.map(([name, { description }]): [string, string] => [`description of ${name}`, description]),
    ...model.notes.map((note, index): [string, string] => [`notes[${index}]`, note]),
  ]
  return texts.flatMap(([what, text]) => {
    const path = pathOf(model)
    if (text.length > longestText)
      return [{ path, reason: `${what} must be at most ${longestText} characters long, is ${text.length}` }]
    return /^\S[^\n]*\.$/.test(text)
      ? []
      : [{ path, reason: `${what} must be one line that ends with a full stop` }]
  })
}

function repeated(models: Model[], what: string, keyOf: (model: Model) => string): Fault[] {
  const first = new Map<string, Model>()
  return models.flatMap((model) => {
    const twin = first.get(keyOf(model))
    if (twin === undefined) first.set(keyOf(model), model)
    return twin === undefined ? [] : [{ path: pathOf(model), reason: `has the ${what} of ${pathOf(twin)}` }]
  })
}

function unused({ providers, capabilities }: Catalogue, models: Model[]): Fault[] {
  const idle = (path: string, ids: string[], used: string[]) =>
    ids.filter((id) => !used.includes(id)).map((id) => ({ path, reason: `${id} is used by no model` }))
  return [
    ...idle(
      'providers.json',
      Object.keys(providers),
      models.map((model) => model.provider.id),
    ),
    ...idle(
      'capabilities.json',
      Object.keys(capabilities),
      models.map((model) => model.capability),
    ),
  ]
}

function sharedOrder({ capabilities }: Catalogue): Fault[] {
  const orders = Object.values(capabilities).map(({ order }) => order)
  return Object.entries(capabilities)
    .filter(([, { order }], index) => orders.indexOf(order) < index)
    .map(([id, { order }]) => ({
      path: 'capabilities.json',
      reason: `${id}.order ${order} is taken already`,
    }))
}
