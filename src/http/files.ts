import { hash } from 'node:crypto'
import { extname } from 'node:path'
import { create } from 'content-disposition'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { systemClock } from '../clock.ts'
import type { Db } from '../db.ts'
import { ApiError } from '../errors.ts'
import { whenDeleted } from '../jobs/retention.ts'
import { uploadTypes } from '../uploads/types.ts'
import { type FileFacts, findFileFacts } from './file-facts.ts'
import { isSameState, judge, readRange, type Validators } from './preconditions.ts'
import type { Services } from './services.ts'
import { StatusError } from './status-error.ts'

const contentTypes = Object.fromEntries(
  Object.entries(uploadTypes).map(([contentType, { extension }]) => [`.${extension}`, contentType]),
)

/**
 * Who takes nothing for so long is cut off: each holds a connection, to an S3 store one more, and a link is good for any
 * number. A player that had paused goes on by a range.
 */
const usualStalledMs = 10 * 60_000

/** Outputs and uploads, by signed URL: with validators, conditions and single ranges, as RFC 9110 has them. */
export function serveFiles(
  app: FastifyInstance,
  services: Pick<Services, 'pool' | 'storage' | 'verifyUrl' | 'clock'>,
  stalledMs = usualStalledMs,
): void {
  // not Fastify's own HEAD, which answers a content-length of 0
  const method = ['GET', 'HEAD']
  app.route({ method, url: '/files/*', exposeHeadRoute: false, handler })

  async function handler(request: FastifyRequest, reply: FastifyReply) {
    const key = (request.params as { '*': string })['*']
    const verdict = services.verifyUrl(`/files/${key}`, request.query, 'GET')
    if (verdict !== 'valid') {
      throw new ApiError(
        'UNAUTHORIZED_ACCESS',
        verdict === 'expired'
          ? 'This link has expired: get the job again for a new one.'
          : 'This link is not one that the API answered: use it unchanged.',
      )
    }
    // a file that is put anew between the look and the opening is looked at again
    for (let tries = 0; tries < mostTries; tries++) {
      const answer = await sendFile(services, { key, request, reply, stalledMs })
      if (answer !== 'changed') return answer
    }
    const message = 'The file is being replaced right now. Send the same request again shortly.'
    throw new ApiError('SERVICE_UNAVAILABLE', message, { retryAfter: 5 })
  }
}

const mostTries = 5

interface Asked {
  key: string
  request: FastifyRequest
  reply: FastifyReply
  stalledMs: number
}

async function sendFile(
  { pool, storage, clock }: Pick<Services, 'pool' | 'storage' | 'clock'>,
  { key, request, reply, stalledMs }: Asked,
): Promise<FastifyReply | 'changed'> {
  const { headers, method } = request
  const found = await storage.stat(key)
  if (found === undefined) throw await missing(pool, key)
  // asked after the look: who sees the bytes of a second put also sees that there were two
  const facts = await findFileFacts(pool, key)
  const validators = {
    etag: `"${hash('sha256', `${found.version} ${facts.puts ?? 1}`, 'base64url').slice(0, 22)}"`,
    modifiedMs: modifiedMs(found.modifiedAt, facts),
  }
  const judged = judge(headers, validators)
  if (judged === 412) throw changedMeanwhile()
  const range = isSameState(headers['if-range'] as string | undefined, validators)
    ? readRange(headers.range, found.bytes)
    : undefined
  if (judged === 'send' && range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${found.bytes}`)
    throw new StatusError(416, 'VALIDATION_ERROR', `The file has ${found.bytes} bytes: no such range.`)
  }
  const span = judged === 304 || range === 'unsatisfiable' ? undefined : range
  const opened = judged === 304 || method === 'HEAD' ? undefined : await storage.open(key, span)
  if (judged === 'send' && method !== 'HEAD' && opened?.version !== found.version) {
    opened?.stream.destroy()
    return 'changed'
  }
  describe(reply, { key, facts, validators, request, now: clock.now() })
  if (judged === 304) return reply.status(304).send()
  if (span !== undefined) {
    reply.status(206).header('content-range', `bytes ${span.start}-${span.end}/${found.bytes}`)
  }
  reply.header('content-length', span === undefined ? found.bytes : span.end - span.start + 1)
  if (opened === undefined) return reply.send()
  reply.raw.setTimeout(stalledMs, () => reply.raw.destroy())
  return reply.send(opened.stream)
}

function changedMeanwhile(): StatusError {
  const message = 'The file is not in the state that the request names: ask without If-Match and the like.'
  return new StatusError(412, 'VALIDATION_ERROR', message)
}

/**
 * In whole seconds. Two files that were put to one link within a second must not share it: where there were several, each
 * counts from the end of its second, and is not told before.
 */
function modifiedMs(modifiedAt: Date, { puts = 1 }: FileFacts): number {
  const second = Math.floor(modifiedAt.getTime() / 1000)
  return (puts > 1 ? second + 1 : second) * 1000
}

interface Described {
  key: string
  facts: FileFacts
  validators: Validators
  request: FastifyRequest
  now: Date
}

function describe(reply: FastifyReply, { key, facts, validators, request, now }: Described): void {
  const { expires, download } = request.query as { expires: string; download?: unknown }
  const isDownload = download !== undefined && download !== '0' && download !== 'false'
  const name = facts.name.replace(/[\\/\p{Cc}]/gu, '_').toWellFormed()
  reply
    .header('content-type', contentTypes[extname(key)] ?? 'application/octet-stream')
    .header('content-disposition', create(name, { type: isDownload ? 'attachment' : 'inline' }))
    .header('accept-ranges', 'bytes')
    .header('etag', validators.etag)
    .header('cache-control', cacheControl(facts, Number(expires) * 1000 - now.getTime(), now))
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', "default-src 'none'; sandbox")
  // by the machine's own clock, like the files' times
  if (validators.modifiedMs <= systemClock.now().getTime()) {
    reply.header('last-modified', new Date(validators.modifiedMs).toUTCString())
  }
}

/** For as long as the link is good: the bytes behind it stay the same, but those of an upload that can be put again. */
function cacheControl({ changesUntil }: FileFacts, leftMs: number, now: Date): string {
  if (changesUntil !== undefined && changesUntil >= now) return 'private, no-cache'
  return `private, max-age=${Math.max(0, Math.floor(leftMs / 1000))}, immutable`
}

async function missing(db: Db, key: string): Promise<ApiError> {
  const deletedAt = await whenDeleted(db, key)
  const message =
    deletedAt === undefined
      ? 'This file is not there, or no longer.'
      : `This file was deleted, with the others of its job, at ${deletedAt.toISOString()}.`
  return new ApiError('NOT_FOUND', message)
}
