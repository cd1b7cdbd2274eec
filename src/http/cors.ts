import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import type { Services } from './services.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/** What a page may read beside the few headers that it always may. */
const exposedHeaders = [
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-length',
  'content-range',
  'etag',
  'idempotent-replayed',
  'location',
  'preference-applied',
  'retry-after',
  'x-request-id',
]

/** For how long a browser may keep the answer to a preflight. */
const preflightSeconds = 600

/**
 * Lets pages of the operator's choice read the answers: of every address, errors and streams too. None of them is ever sent
 * with cookies or other credentials of the browser; a key is the page's own.
 */
export function allowOrigins(app: FastifyInstance, { corsOrigins, origin }: Services): void {
  const isAllowed = (from: string | undefined) =>
    from !== undefined && (corsOrigins === undefined ? from === origin() : corsOrigins.includes(from))
  app.register(cors, {
    origin: corsOrigins === '*' ? '*' : (from, allow) => allow(null, isAllowed(from)),
    credentials: false,
    methods,
    exposedHeaders,
    maxAge: preflightSeconds,
    strictPreflight: false,
    // methods.ts answers
    preflightContinue: true,
  })
}
