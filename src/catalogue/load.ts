import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import type { ValidateFunction } from 'ajv/dist/2020.js'
import { check, compile, type JsonSchema } from '../json-schema.ts'
import type { Pricing } from '../pricing/price.ts'
import { pricingFaults } from './pricing-faults.ts'
import {
  type CapabilitiesFile,
  type CategoriesFile,
  capabilitiesFile,
  categoriesFile,
  type ModelFile,
  modelFile,
  type ProvidersFile,
  providersFile,
  type VersionStatus,
} from './schema.ts'

export interface Model {
  /** provider/model/capability, or provider/model where the file lies there */
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
  /** Why no upstream can make it, where that is known. */
  unavailable: string | undefined
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
  /** How live jobs can be made, best first. */
  routes: ModelRoute[]
}

/** One way to have a model's jobs made. */
export interface ModelRoute {
  upstream: string
  /** What the upstream's adapter knows it as. */
  model: string
  /** What every job of the route has, beside its input. */
  settings?: Record<string, string>
  /** What the upstream charges by its list; unset where that is not known. */
  cost?: Pricing
}

export interface MediaField {
  field: string
  /** `any` takes a picture or a video. */
  media: 'image' | 'video' | 'audio' | 'any'
  limits?: MediaLimits
}

/** What the file itself must be like, beyond its kind. */
export interface MediaLimits {
  types?: string[]
  /** Of width and height alike. */
  minPixels?: number
  minSeconds?: number
  maxSeconds?: number
}

export interface Catalogue {
  models: Map<string, Model>
  providers: ProvidersFile
  capabilities: CapabilitiesFile
  categories: CategoriesFile
}

/** One thing wrong in a file of the catalogue. */
export interface Fault {
  path: string
  reason: string
}

/** The catalogue is wrong; the message names the first file, the place in it and the reason. */
export class CatalogueError extends Error {
  readonly faults: Fault[]

  constructor(faults: [Fault, ...Fault[]]) {
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more: see npm run catalogue:check)` : ''
    super(`${faults[0].path}: ${faults[0].reason}${more}`)
    this.faults = faults
  }
}

/** Where this package keeps its catalogue. */
export const catalogueDirectory = join(import.meta.dirname, '..', '..', 'catalogue')

/**
 * Reads the whole catalogue; throws CatalogueError unless every file has its form and every job a price. The input
 * schemas are compiled at their first use only (check-input.ts): all of them take six times as long as the rest.
 */
export function loadCatalogue(directory = catalogueDirectory): Catalogue {
  const { catalogue, faults } = readCatalogue(directory)
  const [first, ...others] = faults
  if (first !== undefined) throw new CatalogueError([first, ...others])
  return catalogue
}

const checks = {
  'providers.json': compile(providersFile),
  'capabilities.json': compile(capabilitiesFile),
  'categories.json': compile(categoriesFile),
}
const checkModelFile = compile(modelFile)

/** The catalogue as far as it can be read, with everything that is wrong with its files. */
export function readCatalogue(directory: string): { catalogue: Catalogue; faults: Fault[] } {
  const faults: Fault[] = []
  const read = <T>(path: string, validate: ValidateFunction) => readJson<T>(directory, path, validate, faults)
  const list = <T>(path: keyof typeof checks) => read<T>(path, checks[path])
  const providers = list<ProvidersFile>('providers.json')
  const capabilities = list<CapabilitiesFile>('capabilities.json')
  const categories = list<CategoriesFile>('categories.json')
  const models = new Map<string, Model>()
  if (providers === undefined || capabilities === undefined || categories === undefined) {
    // what the models lack would only follow from this
    return { catalogue: { models, providers: {}, capabilities: {}, categories: noCategories }, faults }
  }
  const catalogue = { models, providers, capabilities, categories }
  for (const path of filesOf(directory).filter((path) => !Object.hasOwn(checks, path))) {
    const place = placeOf(path)
    const file = place && read<ModelFile>(path, checkModelFile)
    const reasons =
      place === undefined ? [misplaced] : file === undefined ? [] : addModel(catalogue, place, file)
    faults.push(...reasons.map((reason) => ({ path, reason })))
  }
  return { catalogue, faults }
}

const none = { name: '', description: '' }
const noCategories: CategoriesFile = { video: none, image: none, audio: none, text: none }

// Names with a dot in front are left by editors and operating systems.
function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}

interface Place {
  slug: string
  providerId: string
  modelId: string
  /** Only where the path names it. */
  capability?: string | undefined
}

const misplaced =
  'is no place for a model: write it as <provider>/<model>/<capability>.json, in lower case letters, digits, "-" and "."'

function placeOf(path: string): Place | undefined {
  const step = '[a-z0-9][a-z0-9.-]*'
  const found = new RegExp(`^((${step})/(${step})(?:/(${step}))?)\\.json$`).exec(path)
  const [, slug = '', providerId = '', modelId = '', capability] = found ?? []
  return found === null ? undefined : { slug, providerId, modelId, capability }
}

function readJson<T>(
  directory: string,
  path: string,
  validate: ValidateFunction,
  faults: Fault[],
): T | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, path), 'utf8'))
    const issues = check(validate, value, '')
    faults.push(...issues.map((issue) => ({ path, reason: `${issue.path} ${issue.message}`.trim() })))
    return issues.length === 0 ? (value as T) : undefined
  } catch (error) {
    faults.push({ path, reason: (error as Error).message.replaceAll(/\s+/g, ' ') })
    return undefined
  }
}

/** Adds the model of a file, or answers why it can't be. */
function addModel(catalogue: Catalogue, place: Place, file: ModelFile): string[] {
  const { slug, providerId } = place
  const capability = place.capability ?? file.capability
  if (capability === undefined) return ['capability is required, as the path names none']
  if (place.capability !== undefined && file.capability !== undefined)
    return ['capability must be left out: the path names it']
  const provider = own(catalogue.providers, providerId)
  const about = own(catalogue.capabilities, capability)
  if (provider === undefined) return [`provider "${providerId}" is not in providers.json`]
  if (about === undefined) return [`capability "${capability}" is not in capabilities.json`]
  const twin = modelOf(catalogue, `${providerId}/${place.modelId}/${capability}`)
  if (twin !== undefined) return [`is the same model as ${twin.slug}.json`]
  const { input, pricing, example, routes = [], versions, notes, unavailable, ...rest } = file
  const model: Model = {
    ...rest,
    slug,
    provider: { id: providerId, name: provider.name },
    capability,
    category: about.category,
    versions: versions.map((version) => toVersion({ input, pricing, example, routes, ...version })),
    notes: notes ?? [],
    unavailable,
  }
  catalogue.models.set(slug, model)
  return model.versions.flatMap((version) => [
    ...pricingFaults(version.pricing, version.inputSchema),
    ...version.routes.flatMap((route) => routeFaults(route, version)),
    ...(unavailable !== undefined && version.routes.length > 0
      ? ['unavailable must be left out: there are routes']
      : []),
  ])
}

function routeFaults({ upstream, model, cost }: ModelRoute, { inputSchema }: ModelVersion): string[] {
  if (cost === undefined) return []
  return pricingFaults(cost, inputSchema).map((fault) => `cost of the route ${upstream} ${model}: ${fault}`)
}

/** The model of a full slug, which finds it too where its file lies at provider/model. */
export function modelOf(catalogue: Catalogue, slug: string): Model | undefined {
  const exact = catalogue.models.get(slug)
  if (exact !== undefined) return exact
  const end = slug.lastIndexOf('/')
  const short = catalogue.models.get(slug.slice(0, end))
  return short?.capability === slug.slice(end + 1) ? short : undefined
}

/** provider/model, which all capabilities of a model share. */
export function familyOf({ slug }: Model): string {
  return slug.split('/', 2).join('/')
}

function own<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
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
  if (schema.media !== undefined) {
    // compiling holds the two keywords to their forms
    const media = schema.media as MediaField['media']
    const limits = schema.mediaLimits as MediaLimits | undefined
    return [{ field: path.join('.'), media, ...(limits && { limits }) }]
  }
  if (schema.items !== undefined) return mediaFields(schema.items as JsonSchema, path)
  const properties = (schema.properties ?? {}) as Record<string, JsonSchema>
  return Object.entries(properties).flatMap(([name, property]) => mediaFields(property, [...path, name]))
}
