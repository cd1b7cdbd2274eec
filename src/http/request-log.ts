import type { Socket } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { plainAddress } from '../addresses.ts'
import type { ApiError } from '../errors.ts'
import type { RefusedRequest } from '../requests/refused.ts'
import { shortenLinks } from '../shorten-links.ts'
import { clientAddress } from './client-address.ts'
import type { PlainAnswer } from './plain-answer.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** As it was refused, or failed. */
    refusal: Pick<ApiError, 'code' | 'message' | 'key'> | undefined
  }
}

/** The client hung up before it was answered: nginx's number, which is no status of HTTP's own. */
const hungUp = 499

export interface RequestLog {
  /** To be called for each request that the framework knows, before anything is done. */
  begin(request: FastifyRequest, reply: FastifyReply): void
  /** For what was answered by its connection alone. */
  tellPlain(answer: PlainAnswer, requestId: string, socket: Socket): void
}

/**
 * Logs one line for each request once its answer has ended: refused and failed ones at info, all others at debug. Never a
 * query, a body or a key: the route stands for the address. What is refused is also noted for `filmgate request show`.
 */
export function createRequestLog(
  app: FastifyInstance,
  log: FastifyBaseLogger & { isLevelEnabled?(level: string): boolean },
  note: (refused: RefusedRequest) => void,
): RequestLog {
  app.decorateRequest('refusal')

  const tell = (line: RefusedRequest, isCut: boolean) => {
    const isRefused = line.status >= 400
    if (!isRefused && log.isLevelEnabled?.('debug') === false) return
    const { message: _, ...facts } = line
    const said = [line.method, line.route ?? 'no route', line.status].filter((word) => word !== null)
    log[isRefused ? 'info' : 'debug']({ ...facts, ...(isCut && { isCut }) }, said.join(' '))
    if (isRefused) note(line)
  }

  return {
    begin(request, reply) {
      const startedMs = performance.now()
      // before the connection that tells it may have ended
      clientAddress(request)
      reply.raw.once('close', () => {
        const { writableFinished, headersSent, statusCode } = reply.raw
        const isUnanswered = !writableFinished && (!headersSent || !request.raw.complete)
        const { refusal, caller } = request
        tell(
          {
            requestId: request.id,
            method: request.method,
            route: request.routeOptions.url ?? null,
            status: isUnanswered ? hungUp : statusCode,
            code: isUnanswered ? null : (refusal?.code ?? null),
            message: isUnanswered || refusal === undefined ? null : withoutSecrets(refusal.message),
            ms: Math.round(performance.now() - startedMs),
            keyId: caller?.keyId ?? refusal?.key?.keyId ?? null,
            userId: caller?.userId ?? refusal?.key?.userId ?? null,
            address: clientAddress(request),
          },
          !writableFinished,
        )
      })
    },
    tellPlain({ status, code, message }, requestId, socket) {
      const address = plainAddress(socket.remoteAddress ?? '') ?? ''
      const nothing = { method: null, route: null, ms: null, keyId: null, userId: null }
      tell({ requestId, ...nothing, status, code, message, address }, false)
    },
  }
}

/** A message may repeat what the client has sent: signed links, and keys where none belong. */
function withoutSecrets(message: string): string {
  return shortenLinks(message).replace(/\b(pb_live_|pb_test_|ses_|whsec_)[\w+/=-]+/g, '$1…')
}
