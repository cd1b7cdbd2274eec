import { globSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import type { ValidateFunction } from 'ajv/dist/2020.js'
import { check, compile, type Issue, type JsonSchema, storablePattern, unstorable } from '../json-schema.ts'
import { type Pricing, price } from '../pricing/price.ts'
import { lenient } from './lenient.ts'
import {
  type CapabilitiesFile,
  capabilitiesFile,
  type ModelFile,
  modelFile,
  type ProvidersFile,
  providersFile,
  type VersionStatus,
} from './schema.ts'

export interface Model {
  /** provider/model/capability */
  slug: string
  provider: { id: string; name: string }
  capability: string
  name: string
  description: string
  category: string
  tags: string[]
  processingSeconds: number
  /** Oldest first. */
  versions: ModelVersion[]
  notes: string[]
}

/** What a job of one version takes and costs. */
export interface ModelVersion {
  version: string
  status: VersionStatus
  pricing: Pricing
  inputSchema: JsonSchema
  /** Fields that hold the URL of a file: dotted paths, which lead through arrays without naming them. */
  mediaFields: MediaField[]
  example: Record<string, unknown>
}

export interface MediaField {
  field: string
  /** `any` takes a picture or a video. */
  media: 'image' | 'video' | 'audio' | 'any'
}

export interface Catalogue {
  models: Map<string, Model>
  providers: ProvidersFile
  capabilities: CapabilitiesFile
}

/** A file of the catalogue is wrong; the message names file, path within it and reason. */
export class CatalogueError extends Error {}

const validators = new WeakMap<ModelVersion, ValidateFunction>()
const checkModelFile = compile(modelFile)
const checkProviders = compile(providersFile)
const checkCapabilities = compile(capabilitiesFile)

/** Reads and checks the whole catalogue; throws CatalogueError at the first file that is wrong. */
export function loadCatalogue(directory = join(import.meta.dirname, '..', '..', 'catalogue')): Catalogue {
  const providers = readJson<ProvidersFile>(directory, 'providers.json', checkProviders)
  const capabilities = readJson<CapabilitiesFile>(directory, 'capabilities.json', checkCapabilities)
  const models = new Map<string, Model>()
  for (const path of globSync('*/*/*.json', { cwd: directory }).sort()) {
    const file = readJson<ModelFile>(directory, path, checkModelFile)
    const [providerId = '', modelId = '', name = ''] = path.split(sep)
    const capability = name.replace(/\.json$/, '')
    const provider = providers[providerId]
    const about = capabilities[capability]
    if (provider === undefined)
      throw new CatalogueError(`${path}: provider "${providerId}" is not in providers.json`)
    if (about === undefined)
      throw new CatalogueError(`${path}: capability "${capability}" is not in capabilities.json`)
    const { input, pricing, example, versions, notes, ...rest } = file
    const model: Model = {
      ...rest,
      slug: `${providerId}/${modelId}/${capability}`,
      provider: { id: providerId, name: provider.name },
      capability,
      category: about.category,
      versions: versions.map((version) => toVersion({ input, pricing, example, ...version })),
      notes: notes ?? [],
    }
    for (const version of model.versions) checkVersion(version, path)
    models.set(model.slug, model)
  }
  return { models, providers, capabilities }
}

function readJson<T>(directory: string, path: string, validate: ValidateFunction): T {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(join(directory, path), 'utf8'))
  } catch (error) {
    throw new CatalogueError(`${path}: ${(error as Error).message}`)
  }
  const [issue] = check(validate, value, '')
  if (issue !== undefined) throw new CatalogueError(`${path}: ${issue.path} ${issue.message}`)
  return value as T
}

function toVersion(file: Required<ModelFile['versions'][number]>): ModelVersion {
  const { input, ...rest } = file
  return {
    ...rest,
    inputSchema: { $schema: 'https://json-schema.org/draft/2020-12/schema', ...input },
    mediaFields: mediaFields(input),
  }
}

function mediaFields(schema: JsonSchema, path: string[] = []): MediaField[] {
  // compiling holds the keyword to these four
  if (schema.media !== undefined)
    return [{ field: path.join('.'), media: schema.media as MediaField['media'] }]
  if (schema.items !== undefined) return mediaFields(schema.items as JsonSchema, path)
  const properties = (schema.properties ?? {}) as Record<string, JsonSchema>
  return Object.entries(properties).flatMap(([name, property]) => mediaFields(property, [...path, name]))
}

// What the form alone can't say: the schema compiles, every priced option exists and has a price, the example fits.
function checkVersion(version: ModelVersion, path: string): void {
  let validate: ValidateFunction
  try {
    validate = compile(version.inputSchema)
  } catch (error) {
    throw new CatalogueError(`${path}: input: ${(error as Error).message}`)
  }
  validators.set(version, validate)
  const properties = version.inputSchema.properties as Record<string, JsonSchema>
  for (const [field, options] of Object.entries(version.pricing.factors)) {
    const known = (properties[field]?.enum as unknown[] | undefined)?.map(String) ?? []
    const stray = Object.keys(options).find((option) => !known.includes(option))
    const missing = known.find((option) => !Object.hasOwn(options, option))
    if (known.length === 0)
      throw new CatalogueError(`${path}: pricing.factors.${field}: input has no options of this name`)
    if (stray !== undefined)
      throw new CatalogueError(`${path}: pricing.factors.${field}: "${stray}" is no option of the input`)
    if (missing !== undefined)
      throw new CatalogueError(`${path}: pricing.factors.${field}: option "${missing}" has no multiplier`)
  }
  const required = (version.inputSchema.required as string[]).map((field) => [field, version.example[field]])
  const [wrongDefault] = checkInput(version, Object.fromEntries(required)).issues
  const { issues, input } = checkInput(version, version.example)
  if (issues[0] !== undefined)
    throw new CatalogueError(`${path}: example: ${issues[0].path} ${issues[0].message}`)
  if (wrongDefault !== undefined)
    throw new CatalogueError(`${path}: default of ${wrongDefault.path} ${wrongDefault.message}`)
  if ('field' in price(version.pricing, input)) throw new CatalogueError(`${path}: the example has no price`)
}

/**
 * Checks a job's input against the version's schema, leniently, and fills in defaults. `input` is a copy; it is
 * complete and valid when there are no issues.
 */
export function checkInput(
  version: ModelVersion,
  input: unknown,
): { input: Record<string, unknown>; issues: Issue[] } {
  const complete = lenient(version.inputSchema, input) as Record<string, unknown>
  const issues = check(validators.get(version)!, complete, 'input')
  // only of what fits the schema, and so is neither deep nor long
  if (issues.length === 0) issues.push(...unequalSum(version, complete), ...unstorableText(complete, 'input'))
  return { input: complete, issues }
}

// The schema's sumEqualsField: checked here, since it needs the defaults filled in.
function unequalSum(version: ModelVersion, input: Record<string, unknown>): Issue[] {
  const rule = version.inputSchema.sumEqualsField as
    | { array: string; item: string; field: string }
    | undefined
  const entries = rule && (input[rule.array] as Record<string, unknown>[] | undefined)
  const values = entries?.map((entry) => entry[rule!.item])
  if (rule === undefined || !values?.every((value) => typeof value === 'number')) return []
  const sum = values.reduce((total, value) => total + value, 0)
  if (sum === Number(input[rule.field])) return []
  const message = `has ${rule.item}s that sum to ${sum}, but ${rule.field} is ${input[rule.field]}: make them equal`
  return [{ path: `input.${rule.array}`, message }]
}

const storable = new RegExp(storablePattern, 'u')
// A body of 1 MB can nest half a million arrays, more than the call stack holds.
const mostNesting = 32

function unstorableText(value: unknown, path: string, depth = 0): Issue[] {
  if (typeof value === 'string') return storable.test(value) ? [] : [{ path, message: unstorable }]
  if (value === null || typeof value !== 'object') return []
  if (depth === mostNesting) return [{ path, message: `is nested more than ${mostNesting} levels deep` }]
  return Object.entries(value).flatMap(([name, item]) =>
    unstorableText(item, Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`, depth + 1),
  )
}
