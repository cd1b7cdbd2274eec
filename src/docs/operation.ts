import { type ApiErrorCode, apiErrors } from '../errors.ts'

/** One operation as the docs see it: the part of a route's declaration that customers read. */
export interface Operation {
  method: string
  /** With parameters as `:name`, and `:name+` for one that takes the rest, slashes included. */
  path: string
  name: string
  summary: string
  description?: string | undefined
  /** The scope that a key needs; undefined: no key. */
  scope?: string | undefined
  body?: object | undefined
  /** No body is the same as an empty object. */
  isBodyOptional?: true | undefined
  query?: object | undefined
  params?: object | undefined
  headers?: object | undefined
  answer: object
  example: unknown
  exampleBody?: unknown
  /** What else is answered, in words, by status. */
  otherAnswers?: Record<number, string> | undefined
  /** Every code that it can answer. */
  errors: readonly ApiErrorCode[]
  /** Media type of a body that is no JSON. */
  bodyType?: string | undefined
  /** Media type of an answer that is no JSON. */
  answerType?: string | undefined
  /** The answer is a stream of server-sent events, with such data as `answer` describes. */
  isStream?: true | undefined
  /** The example as curl, where it can't be made from the rest. */
  sample?: string | undefined
}

/** Codes by status and name. */
export function inOrder(codes: readonly ApiErrorCode[]): ApiErrorCode[] {
  return [...new Set(codes)].sort((a, b) => apiErrors[a].status - apiErrors[b].status || (a < b ? -1 : 1))
}

/** `/docs/endpoints/…` without the folder. */
export function slugOf(operation: Operation): string {
  return operation.name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
}

/** The group of an operation in navigation and OpenAPI, told from its path. */
export function groupOf({ path }: Operation): string {
  const [, first = '', second = ''] = path.split('/')
  const noun = first === 'v1' ? second : 'server'
  return `${noun[0]?.toUpperCase()}${noun.slice(1)}`
}
