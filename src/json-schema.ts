import { Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import leven from 'leven'
import type { Json } from './providers/provider.ts'
import { urlFault } from './url-fault.ts'

/** One thing wrong in a request or file: where, and what to do about it. */
export interface Issue {
  path: string
  message: string
}

/** The message of an issue whose field is not there. */
export const missing = 'is required'

export type JsonSchema = { [keyword: string]: unknown }

const options: Options = {
  allErrors: true,
  useDefaults: true,
  strict: true,
  strictRequired: false,
  allowUnionTypes: true,
  verbose: true,
}
/** The form of the keyword `mediaLimits`; `minPixels` counts for width and height alike. */
const mediaLimits = {
  type: 'object',
  minProperties: 1,
  additionalProperties: false,
  properties: {
    types: { type: 'array', minItems: 1, items: { type: 'string' } },
    minPixels: { type: 'integer', minimum: 1 },
    minSeconds: { type: 'number', minimum: 0 },
    maxSeconds: { type: 'number', minimum: 0 },
  },
}

const ajv = new Ajv2020(options)
addFormats.default(ajv)
ajv.addFormat('uri', (text: string) => urlFault(text) === undefined)
// Which kind of file a URL field takes; the gateway fetches it (jobs/inputs.ts).
ajv.addKeyword({ keyword: 'media', metaSchema: { enum: ['image', 'video', 'audio', 'any'] } })
// What the file behind a URL field must be like; checked once it is fetched (jobs/inputs.ts).
ajv.addKeyword({ keyword: 'mediaLimits', metaSchema: mediaLimits })
// {array, item, field}: where every entry of `array` has `item`, they sum to the number in `field` (catalogue/check-input.ts).
ajv.addKeyword({ keyword: 'sumEqualsField', schemaType: 'object' })
ajv.addKeyword({ keyword: 'example' })

/** Text that can be stored: PostgreSQL's takes no U+0000, and its jsonb no half of a surrogate pair either. */
export const storablePattern = '^[^\\u0000\\ud800-\\udfff]*$'

/** The message of an issue whose text cannot be stored. */
export const unstorable = 'must not contain U+0000 or half of a surrogate pair'

/** Compiles a JSON Schema (draft 2020-12); throws on a keyword it does not know. */
export function compile(schema: object): ValidateFunction {
  return ajv.compile(schema)
}

/** Reads the integers of a query string in place: plain digits alone, as 1e1, 0x10 and +5 are numbers to some and none to others. */
export function readIntegers(schema: JsonSchema, values: Record<string, unknown>): void {
  for (const [name, { type }] of Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)) {
    const text = values[name]
    if (type === 'integer' && typeof text === 'string' && plainInteger.test(text)) values[name] = Number(text)
  }
}

const plainInteger = /^(0|[1-9]\d{0,14})$/

/** Takes out, in place, the nulls that mean the same as leaving the field out: typed clients write them. */
export function dropNulls(schema: JsonSchema, value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) dropNulls((schema.items ?? {}) as JsonSchema, item)
    return
  }
  const fields = value as Record<string, unknown>
  for (const [name, inner] of Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)) {
    if (!Object.hasOwn(fields, name)) continue
    if (fields[name] === null && !takesNull(inner)) delete fields[name]
    else dropNulls(inner, fields[name])
  }
}

/** True if null is a value of the schema. */
export function takesNull(schema: JsonSchema): boolean {
  const { type, const: only, enum: options, anyOf, oneOf } = schema
  if (Array.isArray(options)) return options.includes(null)
  if (only !== undefined) return only === null
  if (type !== undefined) return [type].flat().includes('null')
  const parts = (anyOf ?? oneOf) as JsonSchema[] | undefined
  return parts === undefined || parts.some(takesNull)
}

/**
 * Checks `value` (and fills in defaults in place). Answers every problem at once; `root` is what the paths
 * start with.
 */
export function check(validate: ValidateFunction, value: unknown, root: string): Issue[] {
  if (validate(value)) return []
  return toIssues(validate.errors ?? [], root)
}

// A hostile body may have more problems than anyone wants to read, or to be sent.
const maxIssues = 100

/** Makes Ajv's errors readable: each names the field as a client writes it, and the remedy. */
function toIssues(errors: ErrorObject[], root: string): Issue[] {
  const issues = errors
    .filter((error) => !repeatsItsPart(error))
    .slice(0, maxIssues)
    // of two limits to a field, the one that hangs on another field is the narrower
    .toSorted((a, b) => conditionOf(b).length - conditionOf(a).length)
    .map((error) => toIssue(error, root))
  return issues.filter((issue, index) => issues.findIndex((other) => other.path === issue.path) === index)
}

// The parent of a failed part repeats it; but where too many parts of a oneOf fit, none of them failed.
function repeatsItsPart({ keyword, params }: ErrorObject): boolean {
  if (keyword === 'oneOf') return params.passingSchemas === null
  return ['if', 'anyOf', 'propertyNames'].includes(keyword)
}

function toIssue(error: ErrorObject, root: string): Issue {
  const steps = error.instancePath.split('/').slice(1)
  const path = join(
    root,
    steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')),
  )
  const { keyword, params } = error
  if (keyword === 'required') {
    return { path: join(path, [params.missingProperty]), message: missing }
  }
  if (keyword === 'additionalProperties') {
    const known = Object.keys((error.parentSchema?.properties as object | undefined) ?? {})
    return {
      path: join(path, [params.additionalProperty]),
      message: unknownField(params.additionalProperty, known),
    }
  }
  if (error.propertyName !== undefined) {
    return { path: join(path, [error.propertyName]), message: `has a name that ${messageOf(error)}` }
  }
  return { path, message: messageOf(error) + conditionOf(error) }
}

/** Which other field a limit hangs on: those are written as `dependentSchemas`. */
function conditionOf({ schemaPath }: ErrorObject): string {
  const field = /\/dependentSchemas\/([^/]+)\//.exec(schemaPath)?.[1]
  return field === undefined ? '' : ` when ${field} is given`
}

function messageOf({ keyword, params, message, data, parentSchema }: ErrorObject): string {
  const options = parentSchema?.enum as Json[] | undefined
  if (options !== undefined)
    return `must be one of ${options.map((value) => JSON.stringify(value)).join(', ')}`
  switch (keyword) {
    case 'type':
      return `must be ${[params.type].flat().join(' or ')}, not ${typeOf(data)}`
    case 'maxLength':
      return `must be at most ${params.limit} characters long, is ${[...String(data)].length}`
    case 'minLength':
      return params.limit === 1 ? 'must not be empty' : `must be at least ${params.limit} characters long`
    case 'minItems':
      return `must have at least ${count(params.limit)}`
    case 'maxItems':
      return `must have at most ${count(params.limit)}`
    case 'format':
      return params.format === 'uri' ? (urlFault(String(data)) ?? '') : `must be a valid ${params.format}`
    case 'pattern':
      return params.pattern === storablePattern ? unstorable : (message ?? 'is not valid')
    default:
      return message ?? 'is not valid'
  }
}

function count(items: number): string {
  return items === 1 ? '1 item' : `${items} items`
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function join(root: string, steps: string[]): string {
  return steps.reduce(
    (path, step) => (/^\d+$/.test(step) ? `${path}[${step}]` : path === '' ? step : `${path}.${step}`),
    root,
  )
}

/** The first issue as a sentence, with the number of those that follow. `whole` names a value without a path. */
export function sentence(issues: Issue[], whole: string): string {
  const [first, ...others] = issues
  const text = `${first?.path || whole} ${first?.message}`
  if (others.length > 0) return `${text} (and ${others.length} more, see details.issues).`
  return text.endsWith('?') ? text : `${text}.`
}

/** The text for a field that is not known: with the nearest name that is. */
export function unknownField(name: string, known: string[]): string {
  if (known.length === 0) return 'is not a known field; none is taken here'
  const guess = nearest(name, known)
  return guess === undefined
    ? `is not a known field; known are ${known.join(', ')}`
    : `is not a known field; did you mean "${guess}"?`
}

/** The name that differs least, if it is near enough to be what was meant. */
export function nearest(name: string, known: string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({
      candidate,
      distance: distance(name, candidate),
    }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  return best && best.distance <= Math.max(2, best.candidate.length / 3) ? best.candidate : undefined
}

/** How many letters two names differ in, whatever their case; what is longer than any name is cut off. */
export function distance(name: string, other: string): number {
  return leven(name.slice(0, 200).toLowerCase(), other.toLowerCase())
}
