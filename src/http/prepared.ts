import { hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** An answer that is JSON already, so that one who asks again costs next to nothing. */
export class Prepared<Answer> {
  readonly bytes: Buffer
  /** A strong validator: the same bytes have the same. */
  readonly tag: string
  /** Never there; what the bytes are the JSON of. */
  declare readonly answer?: Answer

  constructor(answer: Answer) {
    this.bytes = Buffer.from(JSON.stringify(answer))
    this.tag = `"${hash('sha256', this.bytes, 'base64url')}"`
  }
}

/** Sends the bytes, or 304 to a client that has them. */
export function sendPrepared(
  request: FastifyRequest,
  reply: FastifyReply,
  { bytes, tag }: Prepared<unknown>,
): FastifyReply {
  reply.header('etag', tag)
  if (holds(request.headers['if-none-match'], tag)) return reply.status(304).send()
  return reply.header('content-type', 'application/json; charset=utf-8').send(bytes)
}

// RFC 9110 (13.1.2): a list, compared weakly, or *. Our tags have no comma in them.
function holds(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((item) => [tag, `W/${tag}`, '*'].includes(item.trim()))
}
