import { type JsonSchema, takesNull } from '../json-schema.ts'

/**
 * A copy of `value` with the leniency of the contract: where the schema has a string with options, a number
 * or boolean whose text is an option is taken for it; where it has an integer, number or boolean, its plain
 * text is; and null for a known field is left out. Everything else stays as it is, for the schema to judge.
 */
export function lenient(schema: JsonSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = schema.items as JsonSchema | undefined
    return items === undefined ? value : value.map((item) => lenient(items, item))
  }
  if (value !== null && typeof value === 'object') {
    const properties = (schema.properties ?? {}) as Record<string, JsonSchema>
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, item]) => {
        const inner = Object.hasOwn(properties, name) ? properties[name] : undefined
        if (inner === undefined) return [[name, item]]
        // typed clients write null for what they leave out
        return item === null && !takesNull(inner) ? [] : [[name, lenient(inner, item)]]
      }),
    )
  }
  return lenientScalar(schema, value)
}

function lenientScalar(schema: JsonSchema, value: unknown): unknown {
  if (schema.type === 'string' && Array.isArray(schema.enum)) {
    const isPlain = typeof value === 'number' || typeof value === 'boolean'
    return isPlain && schema.enum.includes(String(value)) ? String(value) : value
  }
  if (typeof value !== 'string') return value
  if (schema.type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  if (schema.type === 'integer' && /^-?\d{1,15}$/.test(value)) return Number(value)
  if (schema.type === 'number' && /^-?\d{1,15}(\.\d{1,15})?$/.test(value)) return Number(value)
  return value
}
