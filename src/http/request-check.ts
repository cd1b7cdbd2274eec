import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import {
  check,
  compile,
  dropNulls,
  type Issue,
  type JsonSchema,
  readIntegers,
  sentence,
} from '../json-schema.ts'

type Check = (data: unknown) => { value: unknown } | { error: Error }

/** Checks a body against its schema; null for a field that may be left out is the same as leaving it out. */
export function bodyCheck(schema: JsonSchema): Check {
  const validate = compile(schema)
  return (data) => {
    dropNulls(schema, data)
    return judge(data, check(validate, data, ''), 'The body')
  }
}

/** Checks a query or the parameters of an address, where everything is text. */
export function textCheck(schema: JsonSchema): Check {
  const validate = compile(schema)
  return (data) => {
    readIntegers(schema, data as Record<string, unknown>)
    const issues = check(validate, data, '').map(({ path, message }) => ({
      path,
      message: message.replace(/^must be integer, not .*/, 'must be a whole number in plain digits, like 20'),
    }))
    return judge(data, issues, 'The query')
  }
}

function judge(value: unknown, issues: Issue[], whole: string): ReturnType<Check> {
  if (issues.length === 0) return { value }
  return { error: new ApiError('VALIDATION_ERROR', sentence(issues, whole), { issues }) }
}

/** Of two values of a name in a query neither is chosen. */
export function refuseRepeated(app: FastifyInstance): void {
  app.addHook('preValidation', ({ query }, _reply, done) => done(repeated(query as Record<string, unknown>)))
}

function repeated(query: Record<string, unknown>): ApiError | undefined {
  const name = Object.keys(query).find((name) => Array.isArray(query[name]))
  if (name === undefined) return undefined
  const message = 'stands twice in the query: send it once'
  return new ApiError('VALIDATION_ERROR', `${name} ${message}.`, { issues: [{ path: name, message }] })
}
