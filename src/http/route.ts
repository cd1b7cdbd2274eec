import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Static, TSchema } from 'typebox'
import type { Caller } from '../accounts/authenticate.ts'
import type { Scope } from '../accounts/keys.ts'
import type { ApiErrorCode } from '../errors.ts'
import type { Services } from './services.ts'

/** The declaration of one operation: routes are registered, and later documented, from it. */
export interface Route<
  Body extends TSchema,
  Query extends TSchema,
  Params extends TSchema,
  Answer extends TSchema,
> {
  method: 'GET' | 'POST'
  path: string
  /** The name of the operation, as in the docs. */
  name: string
  summary: string
  scope: Scope
  body?: Body
  query?: Query
  params?: Params
  answer: Answer
  example: Static<Answer>
  /** Codes beyond those that every keyed operation can answer. */
  errors: ApiErrorCode[]
  handler(
    request: {
      body: Static<Body>
      query: Static<Query>
      params: Static<Params>
      caller: Caller
      requestId: string
      headers: FastifyRequest['headers']
    },
    services: Services,
    reply: FastifyReply,
  ): Promise<Static<Answer>>
}

export type AnyRoute = Route<TSchema, TSchema, TSchema, TSchema>

/** Types a declaration by its own schemas. */
export function route<
  Body extends TSchema,
  Query extends TSchema,
  Params extends TSchema,
  Answer extends TSchema,
>(declaration: Route<Body, Query, Params, Answer>): AnyRoute {
  return declaration as unknown as AnyRoute
}

/** Registers an operation: the key is checked before the body is even read. */
export function register(app: FastifyInstance, services: Services, declared: AnyRoute): void {
  const { method, path: url, scope, body, query, params, answer } = declared
  // A handler outlives a client that hangs up; closing waits for it, since it holds the database.
  const underWay = new Set<Promise<unknown>>()
  app.addHook('onClose', async () => void (await Promise.allSettled(underWay)))
  const options: RouteOptions = {
    method,
    url,
    schema: {
      ...(body && { body }),
      ...(query && { querystring: query }),
      ...(params && { params }),
      response: { 200: answer },
    },
    onRequest: async (request) => {
      request.caller = await services.authenticate(readKey(request), scope, request.ip)
    },
    handler: (request, reply) => {
      const work = declared.handler(
        {
          body: request.body,
          query: request.query,
          params: request.params,
          caller: request.caller,
          requestId: request.id,
          headers: request.headers,
        },
        services,
        reply,
      )
      underWay.add(work)
      const done = () => underWay.delete(work)
      work.then(done, done)
      return work
    },
  }
  if (method === 'GET' || body) app.route(options)
  else app.register(async (scope) => ignoreBody(scope).route(options))
}

/** Clients send an empty body under any content type, or an empty object, where there is nothing to say. */
function ignoreBody(scope: FastifyInstance): FastifyInstance {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, async () => undefined)
  return scope
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

function readKey(request: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
  const header = request.headers['x-api-key']
  return bearer ?? (typeof header === 'string' && header !== '' ? header.trim() : undefined)
}
