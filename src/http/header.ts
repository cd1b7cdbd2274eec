import type { FastifyReply, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'

/** A header that means one thing. Node takes the first of several lines of it; two that differ are refused here. */
export function sentOnce(
  request: FastifyRequest,
  name: 'authorization' | 'content-type',
): string | undefined {
  const { rawHeaders } = request.raw
  const first = request.headers[name]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]!.length !== name.length || rawHeaders[index]!.toLowerCase() !== name) continue
    if (rawHeaders[index + 1] === first) continue
    const code = name === 'authorization' ? 'INVALID_API_KEY' : 'VALIDATION_ERROR'
    throw new ApiError(code, `The header ${name} stands twice with different values: send it once.`)
  }
  return first
}

/** Says that the answer depends on these headers of the request, beside those that were named before. */
export function varyBy(reply: FastifyReply, ...names: string[]): void {
  const before = String(reply.getHeader('vary') ?? '')
  reply.header('vary', [before, ...names].filter((name) => name !== '').join(', '))
}
