import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { partFrom } from './part-from.ts'
import { StatusError } from './status-error.ts'

export interface BodyTimes {
  /** All headers of a request. */
  headersMs: number
  /** A body, unless its route gives it longer. */
  bodyMs: number
  /** A body of which nothing comes for so long. */
  silenceMs: number
  /** What is left of a body once the request was answered, and a client that takes its time to go. */
  partingMs: number
}

export const usualTimes: BodyTimes = {
  headersMs: 20_000,
  bodyMs: 30_000,
  silenceMs: 30_000,
  partingMs: 5_000,
}

declare module 'fastify' {
  interface FastifyInstance {
    bodies: Bodies
  }
  interface FastifyContextConfig {
    /** How long the body of this route may take. */
    bodyMs?: number
    /** The route itself says when the client may send what it has offered. */
    continuesLate?: boolean
  }
}

export interface Bodies {
  /** Lets the client send the body that it asks leave for (Expect: 100-continue). */
  welcome(request: FastifyRequest, reply: FastifyReply): void
  /** Before the answer of a refused request: its client may be sending still. `isOver`: it will get no further. */
  leave(request: FastifyRequest, reply: FastifyReply, isOver?: boolean): void
}

/** Of a body that did not come in time. */
function tooSlow(): StatusError {
  const message = 'The body took too long to arrive: send it faster, or in smaller parts.'
  return new StatusError(408, 'VALIDATION_ERROR', message)
}

/** So much of a refused body is read to its end, so that the connection can be used again. */
const smallBytes = 65_536

interface Coming {
  request: FastifyRequest
  reply: FastifyReply
  endsAt: number
  bytesRead: number
  heardAt: number
}

/** Ends the bodies that come too slowly, and the connections whose clients go on sending after their answer. */
export function watchBodies(app: FastifyInstance, times: BodyTimes): void {
  const coming = new Set<Coming>()
  const awaited = new WeakSet<IncomingMessage>()

  const watch = (request: FastifyRequest, reply: FastifyReply, limitMs: number) => {
    const now = performance.now()
    const { bytesRead } = request.raw.socket
    coming.add({ request, reply, endsAt: now + limitMs, bytesRead, heardAt: now })
  }
  const bodies: Bodies = {
    welcome({ raw }, reply) {
      if (awaited.delete(raw)) reply.raw.writeContinue()
    },
    leave(request, reply, isOver = false) {
      const { raw } = request
      // Fastify closes behind every refused body, even one that has come whole
      if (!isComing(raw)) return void reply.removeHeader('connection')
      watch(request, reply, times.partingMs)
      // unread, it would keep the connection from the next request
      raw.resume()
      const isSmall = Number(raw.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= smallBytes
      if (isSmall && !isOver && !awaited.has(raw)) return
      reply.header('connection', 'close')
      // what node calls once the answer is written
      const { socket } = raw
      socket.destroySoon = () => partFrom(socket, times.partingMs)
    },
  }
  app.decorate('bodies', bodies)
  app.addHook('preParsing', (request, reply, payload, done) => {
    const { bodyMs, continuesLate } = request.routeOptions.config
    if (continuesLate !== true) bodies.welcome(request, reply)
    if (isComing(request.raw)) watch(request, reply, bodyMs ?? times.bodyMs)
    done(null, payload)
  })
  app.server.on('checkContinue', (request, response) => {
    awaited.add(request)
    app.server.emit('request', request, response)
  })
  const every = Math.min(1_000, times.partingMs / 4, times.bodyMs / 4)
  const sweep = setInterval(() => {
    for (const entry of coming) if (isSettled(entry, times)) coming.delete(entry)
  }, every)
  sweep.unref()
  app.addHook('onClose', async () => clearInterval(sweep))
}

function isComing({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** True once there is nothing more to watch; ends what is over its time. */
function isSettled(entry: Coming, { partingMs, silenceMs }: BodyTimes): boolean {
  const { raw } = entry.request
  if (raw.complete || raw.destroyed) return true
  const now = performance.now()
  const { bytesRead } = raw.socket
  if (bytesRead !== entry.bytesRead) Object.assign(entry, { bytesRead, heardAt: now })
  const isAnswered = entry.reply.raw.writableEnded
  if (isAnswered) entry.endsAt = Math.min(entry.endsAt, now + partingMs)
  if (now < entry.endsAt && now < entry.heardAt + silenceMs) return false
  if (isAnswered) raw.socket.destroy()
  // whoever reads the body hears of it; where nobody does yet, its answer is still due
  else if (raw.listenerCount('error') > 0) raw.emit('error', tooSlow())
  else return false
  return true
}
