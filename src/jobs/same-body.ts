import type { Caller } from '../accounts/authenticate.ts'
import { checkInput } from '../catalogue/check-input.ts'
import { lenient } from '../catalogue/lenient.ts'
import { type Catalogue, type Model, type ModelVersion, modelOf } from '../catalogue/load.ts'
import type { JsonSchema } from '../json-schema.ts'
import { visibleModels } from '../policy/visibility.ts'
import { hashJson } from '../pricing/quote.ts'

/** What a body was completed with when its job was made; kept with its Idempotency-Key. */
export interface Basis {
  /** The model as the body names it. */
  model: string
  /** The version of a body that names none. */
  version: string
  defaults: Defaults
}

/** The defaults of an input schema, in its own form. */
interface Defaults {
  default?: unknown
  properties?: Record<string, Defaults>
  items?: Defaults
}

/** How a body came, and how it was completed. */
export interface BodyHashes {
  requestHash: Buffer
  /** Null in keys of before there was one. */
  completedHash: Buffer | null
  basis: Basis | null
}

/** The first job of a key, as far as another body is compared with it. */
export type FirstBody = BodyHashes & { modelSlug: string; modelVersion: string }

/**
 * Whether a body is the same as the one that the key came with first: as it was sent, or once it is completed as the first
 * one was, whatever models, versions and defaults have become since. One that can't be completed is another.
 */
export function isSameBody(
  context: { catalogue: Catalogue; caller: Caller },
  body: unknown,
  first: FirstBody,
): boolean {
  const request = readBody(body)
  if (request === undefined) return false
  if (hashJson(request).equals(first.requestHash)) return true
  const completed = completeAgain(context, request, first)
  return completed !== undefined && first.completedHash !== null && completed.equals(first.completedHash)
}

/** The hashes of a body that is taken, and what they were made with. */
export function hashBody(
  body: unknown,
  completed: { model: Model; version: ModelVersion; input: unknown; webhookUrl: string | undefined },
  defaultVersion: string,
): BodyHashes {
  const request = readBody(body)
  if (request === undefined) throw new Error('a body that was taken names its model in two ways')
  const { model, version, input, webhookUrl } = completed
  return {
    requestHash: hashJson(request),
    completedHash: hashJson({
      ...request,
      model: model.slug,
      version: version.version,
      input,
      webhookUrl,
    }),
    basis: { model: String(request.model), version: defaultVersion, defaults: defaultsOf(version) },
  }
}

type Body = Record<string, unknown>

/** A body with one name for each thing and without nulls; undefined where it is none, or its names differ. */
function readBody(body: unknown): Body | undefined {
  if (!isObject(body)) return undefined
  // null is the same as none; in the input its schema says so
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
  const { model, modelSlug, version, modelVersion, ...rest } = given
  const isUnclear =
    (model !== undefined && modelSlug !== undefined && model !== modelSlug) ||
    (version !== undefined && modelVersion !== undefined && version !== modelVersion)
  return isUnclear ? undefined : { ...rest, model: model ?? modelSlug, version: version ?? modelVersion }
}

function completeAgain(
  { catalogue, caller }: { catalogue: Catalogue; caller: Caller },
  request: Body,
  { basis, modelSlug, modelVersion }: FirstBody,
): Buffer | undefined {
  const model = catalogue.models.get(modelSlug)
  const version = model?.versions.find((each) => each.version === modelVersion)
  if (model === undefined || version === undefined || basis === null) return undefined
  const isNamed = request.model === basis.model || names(catalogue, caller, request.model, model)
  if (!isNamed || (request.version ?? basis.version) !== modelVersion) return undefined
  const input = fillIn(basis.defaults, lenient(version.inputSchema, request.input))
  if (checkInput(version, input).issues.length > 0) return undefined
  const webhookUrl =
    typeof request.webhookUrl === 'string'
      ? (URL.parse(request.webhookUrl)?.href ?? request.webhookUrl)
      : request.webhookUrl
  return hashJson({ ...request, model: modelSlug, version: modelVersion, input, webhookUrl })
}

/** Whether a slug, short or whole, is that of the model for this caller. */
function names(catalogue: Catalogue, caller: Caller, slug: unknown, model: Model): boolean {
  if (typeof slug !== 'string') return false
  if (modelOf(catalogue, slug) === model) return true
  const ofFamily = visibleModels(catalogue, caller.policy, caller).filter((each) =>
    each.slug.startsWith(`${slug}/`),
  )
  return ofFamily.length === 1 && ofFamily[0] === model
}

const known = new WeakMap<ModelVersion, Defaults>()

function defaultsOf(version: ModelVersion): Defaults {
  const found = known.get(version) ?? defaultsIn(version.inputSchema)
  known.set(version, found)
  return found
}

function defaultsIn(schema: JsonSchema): Defaults {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)
    .map(([name, inner]) => [name, defaultsIn(inner)] as const)
    .filter(([, inner]) => Object.keys(inner).length > 0)
  const items = schema.items === undefined ? {} : defaultsIn(schema.items as JsonSchema)
  return {
    ...(schema.default !== undefined && { default: schema.default }),
    ...(properties.length > 0 && { properties: Object.fromEntries(properties) }),
    ...(Object.keys(items).length > 0 && { items }),
  }
}

/** A copy of the value with these defaults, as the schema that they are of fills them in. */
function fillIn(defaults: Defaults, value: unknown): unknown {
  const { items, properties = {} } = defaults
  if (Array.isArray(value)) return items === undefined ? value : value.map((item) => fillIn(items, item))
  if (!isObject(value)) return value
  const filled: Body = { ...value }
  for (const [name, inner] of Object.entries(properties)) {
    if (!Object.hasOwn(filled, name) && inner.default !== undefined) filled[name] = inner.default
    if (Object.hasOwn(filled, name)) filled[name] = fillIn(inner, filled[name])
  }
  return filled
}

function isObject(value: unknown): value is Body {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
