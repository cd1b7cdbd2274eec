import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Static, TSchema } from 'typebox'
import type { Caller } from '../accounts/authenticate.ts'
import type { KeyScope } from '../accounts/keys.ts'
import { ApiError, type ApiErrorCode } from '../errors.ts'
import { readKey } from './api-key.ts'
import { takeNoBody, takeOptionalJson } from './body.ts'
import { clientAddress } from './client-address.ts'
import { answerError } from './errors.ts'
import { EventStream, sendEvents } from './event-stream.ts'
import { Prepared, sendPrepared } from './prepared.ts'
import type { Services } from './services.ts'

/** Which keys an operation takes. */
export type RouteScope = KeyScope | 'any' | undefined

/** The declaration of one operation: routes are registered, and documented, from it. */
export interface Route<
  Body extends TSchema,
  Query extends TSchema,
  Params extends TSchema,
  Answer extends TSchema,
  Scope extends RouteScope = RouteScope,
> {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** A last parameter that ends in + takes the rest of the path, slashes included. */
  path: string
  /** The name of the operation, as in the docs. */
  name: string
  summary: string
  /** What there is to say beyond the summary, in Markdown; for the docs. */
  description?: string
  /** The right that a key needs; 'any' for what every key may do; undefined for what needs none, and may be personalised. */
  scope: Scope
  body?: Body
  /** No body is the same as an empty object. */
  isBodyOptional?: true
  query?: Query
  params?: Params
  /** Headers of its own; for the docs. */
  headers?: TSchema
  answer: Answer
  /** The answer is a stream of server-sent events, each with data as `answer` says. */
  isStream?: true
  example: Static<Answer>
  /** A body that is answered as `example` is; for the docs. */
  exampleBody?: Static<Body>
  /** What is answered where the database or the storage is away, if it has a name of its own. */
  whenAway?: ApiErrorCode
  /** The handler is called with a body that is refused too, and says what comes of it: a repeat is known before that. */
  judgesBody?: true
  /** Codes beyond those that every operation of its kind can answer. */
  errors: ApiErrorCode[]
  handler(
    request: {
      /** As the schema says, unless there is a `refusal`. */
      body: Static<Body>
      /** Why the body is not taken; only where the operation judges it. */
      refusal: Error | undefined
      query: Static<Query>
      params: Static<Params>
      caller: Scope extends string ? Caller : Caller | undefined
      requestId: string
      headers: FastifyRequest['headers']
    },
    services: Services,
    reply: FastifyReply,
  ): Promise<Static<Answer> | Prepared<Static<Answer>> | EventStream<Static<Answer>>>
}

export type AnyRoute = Route<TSchema, TSchema, TSchema, TSchema>

/** What every operation can answer, and what one that takes a key can besides. */
export const commonErrors: ApiErrorCode[] = ['INTERNAL_ERROR', 'SERVICE_UNAVAILABLE']
export const keyErrors: ApiErrorCode[] = [
  'UNAUTHORIZED',
  'INVALID_API_KEY',
  'API_KEY_INACTIVE',
  'API_KEY_EXPIRED',
  'INVALID_SESSION',
  'IP_NOT_WHITELISTED',
  'OPERATION_NOT_ALLOWED',
  'USER_BANNED',
  'USER_INACTIVE',
  'RATE_LIMIT_EXCEEDED',
]

/** Types a declaration by its own schemas. */
export function route<
  Body extends TSchema,
  Query extends TSchema,
  Params extends TSchema,
  Answer extends TSchema,
  Scope extends RouteScope,
>(declaration: Route<Body, Query, Params, Answer, Scope>): AnyRoute {
  return declaration as unknown as AnyRoute
}

/** Registers an operation: the key is checked before the body is even read. */
export function register(app: FastifyInstance, services: Services, declared: AnyRoute): void {
  const { method, path, scope, body, query, params, answer } = declared
  const rest = /:(\w+)\+$/.exec(path)?.[1]
  const url = rest === undefined ? path : `${path.slice(0, -rest.length - 2)}*`
  // A handler outlives a client that hangs up; closing waits for it, since it holds the database.
  const underWay = new Set<Promise<unknown>>()
  app.addHook('onClose', async () => void (await Promise.allSettled(underWay)))
  const judged = new WeakSet<FastifyRequest>()
  const handle = async (request: FastifyRequest, reply: FastifyReply, refusal: Error | undefined) => {
    judged.add(request)
    const work = declared.handler(
      {
        body: request.body,
        refusal,
        query: request.query,
        params: request.params,
        // there is one wherever the scope says so
        caller: request.caller as Caller,
        requestId: request.id,
        headers: request.headers,
      },
      services,
      reply,
    )
    underWay.add(work)
    const done = () => underWay.delete(work)
    work.then(done, done)
    const answer = await work
    if (answer instanceof Prepared) return sendPrepared(request, reply, answer)
    if (answer instanceof EventStream) return sendEvents(reply, answer, mayRead(services, scope, request))
    return answer
  }
  const options: RouteOptions = {
    method,
    url,
    config: {
      ...(declared.whenAway && { whenAway: declared.whenAway }),
      ...(declared.isBodyOptional && { isBodyOptional: true }),
    },
    schema: {
      ...(body && { body }),
      ...(query && { querystring: query }),
      ...(params && { params }),
      response: { 200: answer },
    },
    onRequest: async (request, reply) => {
      // shared caches know that an Authorization header makes answers private, but not that x-api-key does
      if (scope !== undefined) reply.header('cache-control', 'no-store')
      const isAnonymous = scope === undefined && readKey(request) === undefined
      request.caller = isAnonymous ? undefined : await identify(services, scope, request)
      services.requestLimit.take(clientAddress(request), request.caller?.keyId)
      if (request.caller !== undefined) refuseTestKey(declared, request.caller)
    },
    ...(rest !== undefined && {
      preValidation: async (request: FastifyRequest) => {
        request.params = { [rest]: (request.params as { '*': string })['*'] }
      },
    }),
    ...(declared.judgesBody && {
      attachValidationError: true,
      // a body that can't even be read is judged as well
      errorHandler: async (error, request, reply) => {
        const isJudged = request.caller === undefined || judged.has(request)
        if (isJudged) return answerError(error, request, reply)
        return handle(request, reply, error).catch((refusal) => answerError(refusal, request, reply))
      },
    }),
    handler: (request, reply) => handle(request, reply, request.validationError),
  }
  if (declared.isBodyOptional) app.register(async (scope) => takeOptionalJson(scope).route(options))
  else if (method === 'GET' || body) app.route(options)
  else app.register(async (scope) => takeNoBody(scope).route(options))
}

function authenticate(services: Services, scope: RouteScope, request: FastifyRequest): Promise<Caller> {
  return services.authenticate(readKey(request), scope === 'any' ? undefined : scope, clientAddress(request))
}

// What is refused counts as well, by its address: who tries keys one after the other is soon told to wait. A good key from
// the same address, which may be that of a proxy, is still let in.
async function identify(services: Services, scope: RouteScope, request: FastifyRequest): Promise<Caller> {
  try {
    return await authenticate(services, scope, request)
  } catch (error) {
    if (error instanceof ApiError) services.requestLimit.take(clientAddress(request))
    throw error
  }
}

/** What operators change holds for live keys too, so a test key only reads it. */
function refuseTestKey({ scope, method }: AnyRoute, { mode }: Caller): void {
  if (scope !== 'admin' || method === 'GET' || mode === 'live') return
  const message = 'Test keys with the scope "admin" read and change nothing: use a live key with that scope.'
  throw new ApiError('FORBIDDEN', message)
}

/** Whether the key is still good; where nobody can say so now, it is. */
function mayRead(services: Services, scope: RouteScope, request: FastifyRequest): () => Promise<boolean> {
  return async () => {
    if (request.caller === undefined) return true
    return authenticate(services, scope, request).then(
      () => true,
      (error) => !(error instanceof ApiError),
    )
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | undefined
  }
  interface FastifyContextConfig {
    whenAway?: ApiErrorCode
  }
}
