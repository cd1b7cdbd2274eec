import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError, type ApiErrorCode } from '../errors.ts'
import { unknownField } from '../json-schema.ts'
import { parseStrictly, twice } from '../strict-json.ts'
import { uploadIt } from '../url-fault.ts'
import { sentOnce } from './header.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body is taken as it came, whatever it is. */
    takesAnyBody?: true
    /** No body is the same as an empty object. */
    isBodyOptional?: true
  }
}

/** A body is JSON, and taken literally or refused. */
export function takeJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => readJson(request, body),
  )
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    done(request.routeOptions.config.takesAnyBody ? undefined : unread(request))
  })
  app.addHook('preValidation', (request, _reply, done) => {
    const { config, schema } = request.routeOptions
    const isMissing = schema?.body !== undefined && request.body === undefined
    if (isMissing && config.isBodyOptional) request.body = {}
    done(isMissing && !config.isBodyOptional ? empty() : undefined)
  })
}

/** Clients send an empty body under any content type, or an empty object, where there is nothing to say. */
export function takeNoBody(scope: FastifyInstance): FastifyInstance {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (body.length === 0) return undefined
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) throw notJson(request)
    const value = readJson(request, body)
    const [name] = typeof value === 'object' && !Array.isArray(value) ? Object.keys(value ?? {}) : ['']
    if (name === undefined) return undefined
    const message = name === '' ? 'must be empty: there is nothing to say here' : unknownField(name, [])
    throw refusal(name || 'body', message)
  })
  return scope
}

/** As takeJson, and an empty body of any content type is an empty object. */
export function takeOptionalJson(scope: FastifyInstance): FastifyInstance {
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (body.length === 0) return {}
    throw notJson(request)
  })
  return scope
}

function readJson(request: FastifyRequest, body: Buffer): unknown {
  const { config } = request.routeOptions
  if (body.length === 0 && config.isBodyOptional) return {}
  if (body.length === 0) throw empty()
  const type = sentOnce(request, 'content-type') ?? ''
  for (const [, charset = ''] of type.matchAll(/;\s*charset\s*=\s*"?([^\s";]*)/gi)) {
    if (/^utf-?8$/i.test(charset)) continue
    throw new ApiError(
      'UNSUPPORTED_MEDIA_TYPE',
      `The charset "${charset}" is not read: send the body in UTF-8.`,
    )
  }
  const parsed = parseStrictly(body)
  if ('value' in parsed) return parsed.value
  const { path, message } = parsed.issue
  // a value that the model can't be given is one of the faults of its input
  const isOfInput = /^input(?=[.[]|$)/.test(path) && message !== twice
  throw refusal(path || 'body', message, isOfInput ? 'INVALID_INPUT' : 'VALIDATION_ERROR')
}

function refusal(path: string, message: string, code: ApiErrorCode = 'VALIDATION_ERROR'): ApiError {
  const subject = path === 'body' ? 'The body' : path
  return new ApiError(code, `${subject} ${message}.`, { issues: [{ path, message }] })
}

function empty(): ApiError {
  return refusal('body', 'is empty: send a JSON object, with "Content-Type: application/json"')
}

// An encoding that is not undone would be taken for the content; a body that nobody reads could be meant for another request.
function unread({ headers, method }: FastifyRequest): ApiError | undefined {
  const encoding = [
    ...namesOf(headers['content-encoding']),
    ...namesOf(headers['transfer-encoding']).filter((name) => !/^chunked$/i.test(name)),
  ].find((name) => !/^(identity)?$/i.test(name))
  if (encoding !== undefined) {
    const message = `The encoding "${encoding}" is not read: send the body as it is, without Content-Encoding.`
    return new ApiError('UNSUPPORTED_MEDIA_TYPE', message)
  }
  const hasBody = (headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined
  return hasBody && (method === 'GET' || method === 'HEAD')
    ? refusal('body', `is not taken with ${method}: name what you ask for in the address`)
    : undefined
}

function namesOf(header: string | undefined): string[] {
  return header?.split(',').map((name) => name.trim()) ?? []
}

/** For a body of another type than the operation reads. */
export function notJson(request: FastifyRequest): ApiError {
  const type = request.headers['content-type']
  const what =
    type === undefined ? 'The body has no Content-Type' : `The Content-Type "${type}" is not read here`
  const isForm = type !== undefined && !/json/i.test(type)
  const file = isForm ? ` Is it a file, ${uploadIt}.` : ''
  return new ApiError(
    'UNSUPPORTED_MEDIA_TYPE',
    `${what}: send JSON, with "Content-Type: application/json".${file}`,
  )
}
