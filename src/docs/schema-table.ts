import type { JsonSchema } from '../json-schema.ts'
import { code, plain, table } from './text.ts'

interface Field {
  name: string
  schema: JsonSchema
  isRequired: boolean
}

/** The fields of an object's schema as a table, those of nested objects as `outer.inner` and `outer[].inner`. */
export function fieldTable(schema: object): string {
  return table(
    ['Field', 'Type', 'Required', 'Default', 'Allowed', 'Description'],
    fieldsOf(schema as JsonSchema).map(({ name, schema, isRequired }) => [
      code(name),
      typeOf(schema),
      isRequired ? '**yes**' : 'no',
      schema.default === undefined ? '' : code(textOf(schema.default)),
      limitsOf(schema).join('; '),
      plain(descriptionOf(schema)),
    ]),
  )
}

/** The same of an answer, where nothing is filled in or refused. */
export function answerTable(schema: object): string {
  return table(
    ['Field', 'Type', 'Description'],
    fieldsOf(schema as JsonSchema).map(({ name, schema, isRequired }) => {
      const always = isRequired ? '' : 'Not always there.'
      const options = optionsOf(schema).length > 0 ? `One of ${optionsOf(schema).join(', ')}.` : ''
      const fixed = schema.const === undefined ? '' : `Always ${code(textOf(schema.const))}.`
      const description = [plain(descriptionOf(schema)), options, fixed, always].filter(Boolean).join(' ')
      return [code(name), typeOf(schema), description]
    }),
  )
}

function fieldsOf(schema: JsonSchema, prefix = ''): Field[] {
  const real = unwrapped(schema)
  const required = (real.required as string[] | undefined) ?? []
  const properties = (real.properties ?? {}) as Record<string, JsonSchema>
  const own = Object.entries(properties).flatMap(([name, property]) => [
    {
      name: prefix + name,
      schema: property,
      isRequired: required.includes(name) && property.default === undefined,
    },
    ...fieldsOf(property, `${prefix + name}.`),
  ])
  const items = real.items as JsonSchema | undefined
  return items === undefined ? own : [...own, ...fieldsOf(items, `${prefix.replace(/\.$/, '')}[].`)]
}

// A field that may be null is described by what it is otherwise.
function unwrapped(schema: JsonSchema): JsonSchema {
  const others = alternatives(schema).filter(({ type }) => type !== 'null')
  return others.length === 1 ? others[0]! : schema
}

function descriptionOf(schema: JsonSchema): string {
  return String(schema.description ?? unwrapped(schema).description ?? '')
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  return ((schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined) ?? []
}

function typeOf(schema: JsonSchema): string {
  const choices = alternatives(schema)
  if (choices.length > 0) return [...new Set(choices.map(typeOf))].join(' or ')
  if (schema.type === 'array') {
    const items = schema.items as JsonSchema | undefined
    return items === undefined ? 'array' : `array of ${plural(typeOf(items))}`
  }
  if (schema.type !== undefined) return [schema.type].flat().join(' or ')
  const values = (schema.enum as unknown[] | undefined) ?? (schema.const === undefined ? [] : [schema.const])
  const types = values.map((value) => (value === null ? 'null' : typeof value))
  return [...new Set(types)].join(' or ') || 'any'
}

function plural(type: string): string {
  return type.split(' ')[0] === 'array' || type === 'any' ? type : `${type}s`
}

function optionsOf(schema: JsonSchema): string[] {
  const values = schema.enum as unknown[] | undefined
  return values === undefined
    ? alternatives(schema).flatMap(optionsOf)
    : values.map((value) => code(textOf(value)))
}

const limits: Record<string, (value: unknown) => string> = {
  minLength: (value) => (value === 1 ? 'not empty' : `at least ${value} characters`),
  maxLength: (value) => `at most ${value} characters`,
  minimum: (value) => `${value} or more`,
  exclusiveMinimum: (value) => `more than ${value}`,
  maximum: (value) => `${value} or less`,
  exclusiveMaximum: (value) => `less than ${value}`,
  multipleOf: (value) => `a multiple of ${value}`,
  minItems: (value) => `at least ${value} ${value === 1 ? 'entry' : 'entries'}`,
  maxItems: (value) => `at most ${value} ${value === 1 ? 'entry' : 'entries'}`,
  maxProperties: (value) => `at most ${value} entries`,
  uniqueItems: () => 'no entry twice',
  media: (value) => `URL of ${/^[aeiou]/.test(String(value)) ? 'an' : 'a'} ${value}`,
}

function limitsOf(schema: JsonSchema): string[] {
  const options = optionsOf(schema).join(', ')
  const own = Object.entries(limits).flatMap(([keyword, tell]) =>
    schema[keyword] === undefined ? [] : [plain(tell(schema[keyword]))],
  )
  const format = typeof schema.format === 'string' && schema.media === undefined ? [schema.format] : []
  const ofMedia = mediaLimitsOf(schema.mediaLimits as Record<string, unknown> | undefined)
  const items = schema.items as JsonSchema | undefined
  const ofItems = items === undefined ? [] : limitsOf(items).map((limit) => `each ${limit}`)
  return [...(options === '' ? [] : [options]), ...own, ...format, ...ofMedia, ...ofItems]
}

const mediaLimits: Record<string, (value: unknown) => string> = {
  types: (value) => (value as string[]).join(', '),
  minPixels: (value) => `at least ${value} pixels wide and high`,
  minSeconds: (value) => `at least ${value} seconds long`,
  maxSeconds: (value) => `at most ${value} seconds long`,
}

function mediaLimitsOf(found: Record<string, unknown> = {}): string[] {
  return Object.entries(found).flatMap(([name, value]) => mediaLimits[name]?.(value) ?? [])
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
