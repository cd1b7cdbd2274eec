import { extname } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'
import { whenDeleted } from '../jobs/retention.ts'
import { uploadTypes } from '../uploads/types.ts'
import type { Services } from './services.ts'

const contentTypes = Object.fromEntries(
  Object.entries(uploadTypes).map(([contentType, { extension }]) => [`.${extension}`, contentType]),
)

/**
 * Who takes nothing for so long is cut off: each holds a connection, to an S3 store one more, and a link is good for any
 * number. A player that had paused goes on by a range.
 */
const usualStalledMs = 10 * 60_000

/** Outputs and uploads, by signed URL, with single ranges so that players can seek. */
export function serveFiles(
  app: FastifyInstance,
  { pool, storage, verifyUrl }: Pick<Services, 'pool' | 'storage' | 'verifyUrl'>,
  stalledMs = usualStalledMs,
): void {
  // not Fastify's own HEAD, which answers a content-length of 0
  const method = ['GET', 'HEAD']
  app.route({ method, url: '/files/*', exposeHeadRoute: false, handler })

  async function handler(request: FastifyRequest, reply: FastifyReply) {
    const key = (request.params as { '*': string })['*']
    const verdict = verifyUrl(`/files/${key}`, request.query, 'GET')
    if (verdict !== 'valid') {
      throw new ApiError(
        'UNAUTHORIZED_ACCESS',
        verdict === 'expired'
          ? 'This link has expired: get the job again for a new one.'
          : 'This link is not one that the API answered: use it unchanged.',
      )
    }
    const found = await storage.stat(key)
    if (found === undefined) throw await missing(pool, key)
    const range = readRange(request.headers.range, found.bytes)
    reply
      .header('content-type', contentTypes[extname(key)] ?? 'application/octet-stream')
      .header('accept-ranges', 'bytes')
      .header('cache-control', 'private, max-age=3600')
      .header('x-content-type-options', 'nosniff')
      .header('content-security-policy', "default-src 'none'; sandbox")
    if (range === 'unsatisfiable') {
      return reply.status(416).header('content-range', `bytes */${found.bytes}`).send()
    }
    if (range !== undefined) {
      reply.status(206).header('content-range', `bytes ${range.start}-${range.end}/${found.bytes}`)
    }
    if (request.method === 'HEAD') {
      return reply.header('content-length', range ? range.end - range.start + 1 : found.bytes).send()
    }
    const opened = await storage.open(key, range)
    if (opened === undefined) throw await missing(pool, key)
    reply.raw.setTimeout(stalledMs, () => reply.raw.destroy())
    return reply.header('content-length', opened.bytes).send(opened.stream)
  }
}

async function missing(db: Db, key: string): Promise<ApiError> {
  const deletedAt = await whenDeleted(db, key)
  const message =
    deletedAt === undefined
      ? 'This file is not there, or no longer.'
      : `This file was deleted, with the others of its job, at ${deletedAt.toISOString()}.`
  return new ApiError('NOT_FOUND', message)
}

/** One range of a Range header; several, or other units, are ignored as RFC 9110 (14.2) allows. */
function readRange(
  header: string | undefined,
  totalBytes: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  const [, first = '', last = ''] = match ?? []
  if (match === null || (first === '' && last === '')) return undefined
  const start = first === '' ? Math.max(0, totalBytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? totalBytes - 1 : Math.min(Number(last), totalBytes - 1)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  return start < totalBytes && start <= end ? { start, end } : 'unsatisfiable'
}
