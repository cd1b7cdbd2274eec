import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'

interface Known {
  pattern: RegExp
  method: string
}

// No client can send it: a path begins with a slash.
const malformedUrl = 'malformed'

/** Leads an address whose percent-encoding is wrong to no route, so that it is answered like any other. */
export function rewriteUrl({ url = '/' }: { url?: string | undefined }): string {
  if (!url.includes('%')) return url
  try {
    decodeURIComponent(url.replaceAll('+', ' '))
    return url
  } catch {
    return malformedUrl
  }
}

/**
 * Answers what no route takes: 405 where the address has other methods, else 404, and OPTIONS. Before a body is read, and
 * with the headers that every answer has. To be called before the routes are registered.
 */
export function answerUnknown(app: FastifyInstance): void {
  const known: Known[] = []
  app.addHook('onRoute', ({ url, method }) => {
    // of the library that answers preflights
    if (url === '*') return
    const pattern = patternOf(url)
    for (const name of [method].flat()) known.push({ pattern, method: name })
  })
  const methodsOf = (url: string) => {
    const path = url.split('?', 1)[0]!.replace(/(?<=.)\/$/, '')
    return [...new Set(known.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))].sort()
  }
  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    if (!request.is404 && request.method !== 'OPTIONS') return
    const { method, originalUrl } = request
    if (method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) {
      return reply.status(204).send()
    }
    if (request.url === malformedUrl) throw malformed()
    const methods = methodsOf(originalUrl)
    if (methods.length === 0) {
      throw new ApiError('NOT_FOUND', `There is no ${method} ${originalUrl.split('?', 1)[0]}.`)
    }
    reply.header('allow', methods.join(', '))
    if (method === 'OPTIONS') return reply.status(204).send()
    const message = `${method} is not taken at this address: it takes ${methods.join(', ')}.`
    throw new ApiError('METHOD_NOT_ALLOWED', message)
  }
  // behind the hooks that set the headers of every answer
  app.after(() => app.addHook('onRequest', answer))
}

/** A route's address as an expression: `:name` is one part of it, `*` the rest. */
function patternOf(url: string): RegExp {
  const parts = url.split(/(:\w+|\*)/).map((part) => {
    if (part === '*') return '.*'
    return part.startsWith(':') ? '[^/]+' : RegExp.escape(part)
  })
  return new RegExp(`^${parts.join('')}$`)
}

function malformed(): ApiError {
  const message = 'has a percent-encoding that is not valid UTF-8: encode it anew'
  return new ApiError('VALIDATION_ERROR', `The address ${message}.`, {
    issues: [{ path: 'address', message }],
  })
}
