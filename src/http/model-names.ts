import { ApiError } from '../errors.ts'

interface Names {
  model?: string
  modelSlug?: string
  version?: string
  modelVersion?: string
}

/** Model and version of a body, in which each goes by two names. */
export function readModelNames(body: Names): { model: string; version: string | undefined } {
  const model = oneOf(body, 'model', 'modelSlug')
  if (model === undefined) {
    throw new ApiError('VALIDATION_ERROR', 'model is required.', {
      issues: [{ path: 'model', message: 'is required (modelSlug is taken as well)' }],
    })
  }
  return { model, version: oneOf(body, 'version', 'modelVersion') }
}

function oneOf(body: Names, name: keyof Names, alias: keyof Names): string | undefined {
  const [value, other] = [body[name], body[alias]]
  if (value === undefined || other === undefined || value === other) return value ?? other
  throw new ApiError('VALIDATION_ERROR', `${name} and ${alias} differ: send one of them.`, {
    issues: [{ path: alias, message: `must be the same as ${name}, or left out` }],
  })
}
