import type { ValidateFunction } from 'ajv/dist/2020.js'
import { check, compile, type Issue, storablePattern, unstorable } from '../json-schema.ts'
import { lenient } from './lenient.ts'
import type { ModelVersion } from './load.ts'

const validators = new WeakMap<ModelVersion, ValidateFunction>()

/** Compiles the version's schema unless that is done; throws on one that is not right. */
export function validatorOf(version: ModelVersion): ValidateFunction {
  const known = validators.get(version)
  if (known !== undefined) return known
  const validate = compile(version.inputSchema)
  validators.set(version, validate)
  return validate
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
  const issues = check(validatorOf(version), complete, 'input')
  // only of what fits the schema, and so is neither deep nor long
  if (issues.length === 0) issues.push(...unequalSum(version, complete), ...unkeepable(complete, 'input'))
  return { input: complete, issues }
}

// The schema's sumEqualsField: checked here, since it needs the defaults filled in. Where an entry has none the others
// must still leave room for it, or a film would be longer than what is paid for.
function unequalSum(version: ModelVersion, input: Record<string, unknown>): Issue[] {
  const rule = version.inputSchema.sumEqualsField as
    | { array: string; item: string; field: string }
    | undefined
  const entries = rule && (input[rule.array] as Record<string, unknown>[] | undefined)
  if (rule === undefined || entries === undefined) return []
  const { item, field } = rule
  const values = entries.map((entry) => entry[item]).filter((value) => typeof value === 'number')
  const sum = values.reduce((total, value) => total + value, 0)
  const isWhole = values.length === entries.length
  const isRight = isWhole ? sum === Number(input[field]) : sum < Number(input[field])
  if (isRight) return []
  const remedy = isWhole ? 'make them equal' : 'leave some for the others'
  const message = `has ${item}s that sum to ${sum}, but ${field} is ${input[field]}: ${remedy}`
  return [{ path: `input.${rule.array}`, message }]
}

const storable = new RegExp(storablePattern, 'u')
// A body of 1 MB can nest half a million arrays, more than the call stack holds.
const mostNesting = 32

// What would be stored, or handed on, as something else than it was sent as.
function unkeepable(value: unknown, path: string, depth = 0): Issue[] {
  if (typeof value === 'string') return storable.test(value) ? [] : [{ path, message: unstorable }]
  if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    return [{ path, message: `must be at most ${Number.MAX_SAFE_INTEGER} either way` }]
  }
  if (value === null || typeof value !== 'object') return []
  if (depth === mostNesting) return [{ path, message: `is nested more than ${mostNesting} levels deep` }]
  return Object.entries(value).flatMap(([name, item]) =>
    unkeepable(item, Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`, depth + 1),
  )
}
