import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { plainAddress } from '../addresses.ts'
import { partFrom, takeFromParser } from './part-from.ts'
import { type PlainAnswer, plainText, type TellPlain } from './plain-answer.ts'

export interface ConnectionLimits {
  /** Connections of all together. */
  most: number
  mostPerAddress: number
  isTrustedProxy(address: string): boolean
  /** Whether any proxies are named at all. */
  knowsProxies: boolean
}

/** So long a connection that is one too many has to say something, and then to take its answer. */
const refusedMs = 2_000
/** That stand there to be refused; more are cut off without a word. */
const mostRefused = 200
const retryAfter = 5

/** Below so many connections it says nothing that most of them come from one address. */
const leastForHint = 100

/**
 * Refuses the connections that are too many, in all and from one address: each costs memory and a file of the process.
 * Trusted proxies speak for many clients, so the limit of an address is not theirs.
 */
export function limitConnections(
  server: Server,
  limits: ConnectionLimits,
  log: FastifyBaseLogger,
  { newRequestId, tell }: { newRequestId: () => string; tell: TellPlain },
): void {
  const open = new Map<string, number>()
  let all = 0
  let refused = 0
  let isHinted = limits.knowsProxies

  const count = (socket: Socket, address: string) => {
    all++
    open.set(address, (open.get(address) ?? 0) + 1)
    socket.once('close', () => {
      all--
      const left = open.get(address)! - 1
      if (left > 0) open.set(address, left)
      else open.delete(address)
    })
  }
  const refuse = (socket: Socket, answer: PlainAnswer) => {
    if (refused >= mostRefused) return socket.destroy()
    refused++
    socket.once('close', () => {
      refused--
    })
    const requestId = newRequestId()
    tell(answer, requestId, socket)
    return answerFirstWord(socket, plainText(answer, requestId))
  }
  const hint = (address: string) => {
    if (isHinted || all < leastForHint || open.get(address)! <= all * 0.8) return
    isHinted = true
    log.warn(
      { address, connections: all },
      'more than 80 % of all connections come from one address: if it is a proxy, name it in FILMGATE_TRUSTED_PROXIES, or its clients share the limits of one',
    )
  }

  server.on('connection', (socket) => {
    const address = plainAddress(socket.remoteAddress ?? '') ?? ''
    const isOver = (open.get(address) ?? 0) >= limits.mostPerAddress && !limits.isTrustedProxy(address)
    if (all >= limits.most) return refuse(socket, tooManyInAll)
    if (isOver) return refuse(socket, tooManyOfAddress)
    count(socket, address)
    return hint(address)
  })
}

const tooManyInAll: PlainAnswer = {
  status: 503,
  reason: 'Service Unavailable',
  code: 'SERVICE_UNAVAILABLE',
  message: 'As many connections are open as this server can have: try again shortly.',
  retryAfter,
}
const tooManyOfAddress: PlainAnswer = {
  status: 429,
  reason: 'Too Many Requests',
  code: 'RATE_LIMIT_EXCEEDED',
  message: 'As many connections are open from this address as may be: use those again, or close some.',
  retryAfter,
}

/** An answer that comes before the client has asked would be taken for nonsense by some. */
function answerFirstWord(socket: Socket, text: string): void {
  takeFromParser(socket)
  const timer = setTimeout(() => socket.destroy(), refusedMs)
  socket.once('close', () => clearTimeout(timer))
  socket.on('error', () => {})
  socket.once('data', () => {
    socket.write(text)
    partFrom(socket, refusedMs)
  })
}
