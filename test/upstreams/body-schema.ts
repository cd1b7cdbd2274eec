import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import type { MediaKind, MediaLimits, MediaReference } from './media.ts'

export type Schema = { [keyword: string]: unknown }
export type Body = Record<string, unknown>

/** What is wrong with a body, in Ajv's words, or which files it names. */
export type Checked = { errors: ErrorObject[] } | { body: Body; media: MediaReference[] }

interface Found {
  media: MediaReference[]
}

const ajv = new Ajv2020({
  allErrors: true,
  strictRequired: false,
  strictTypes: false,
  verbose: true,
  passContext: true,
})
// {media: {kind, ...limits}} stands on the text that holds a file's URL
ajv.addKeyword({
  keyword: 'media',
  type: 'string',
  schemaType: 'object',
  validate(
    this: Found,
    { kind, ...limits }: { kind: MediaKind } & MediaLimits,
    url: string,
    _: unknown,
    at?: { instancePath: string },
  ) {
    this.media.push({ field: (at?.instancePath ?? '').slice(1).replaceAll('/', '.'), url, kind, limits })
    return true
  },
})

/** A body's check, with every problem at once. */
export function compileBody(schema: Schema): (body: unknown) => Checked {
  const validate = ajv.compile(schema)
  return (body) => {
    const found: Found = { media: [] }
    if (validate.call(found, body)) return { body: body as Body, media: found.media }
    return { errors: validate.errors ?? [] }
  }
}

/** An object that takes these fields and no other. */
export function fields(
  properties: Record<string, Schema>,
  required: string[] = [],
  rest: Schema = {},
): Schema {
  return { type: 'object', properties, required, additionalProperties: false, ...rest }
}

/** A list of so many. */
export function list(items: Schema, limits: { minItems?: number; maxItems?: number } = {}): Schema {
  return { type: 'array', items, ...limits }
}
