import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { ApiError, noRoom } from '../errors.ts'
import { type OpenUpload, openUpload, storeUpload } from '../uploads/uploads.ts'
import type { Services } from './services.ts'

/** A large file over a slow line may take as long as its URL is good for. */
export const uploadBodyMs = 15 * 60_000

declare module 'fastify' {
  interface FastifyRequest {
    upload: OpenUpload | undefined
  }
}

/** PUT of an upload's bytes to its presigned URL: no key, the signature permits it. */
export function acceptUploads(app: FastifyInstance, services: Services): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    // the body stays a stream; uploads.ts counts its bytes
    scope.addContentTypeParser('*', async (_request: unknown, payload: IncomingMessage) => payload)
    scope.decorateRequest('upload')
    scope.put<{ Params: { id: string } }>(
      '/v1/uploads/:id',
      {
        config: { bodyMs: uploadBodyMs, continuesLate: true },
        // all that can be known is judged before the body is asked for
        onRequest: async (request) => {
          const { id } = request.params
          const verdict = services.verifyUrl(`/v1/uploads/${id}`, request.query, 'PUT')
          if (verdict !== 'valid') throw refusal(verdict)
          if (services.hasRoom?.('live') === false) throw noRoom()
          const { 'content-type': contentType, 'content-length': length } = request.headers
          const contentLength = length === undefined ? undefined : Number(length)
          request.upload = await openUpload(services.pool, { id, contentType, contentLength })
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const readBody = () => {
          app.bodies.welcome(request, reply)
          return apart(request.raw)
        }
        const { bytes } = await storeUpload(services.pool, services.storage, request.upload!, readBody)
        return { success: true, data: { id, bytes }, requestId: request.id }
      },
    )
  })
}

/** The bytes of a request in a stream of their own: a request that is destroyed with its reader can't be answered. */
function apart(request: IncomingMessage): Readable {
  const bytes = new PassThrough({ highWaterMark: 262_144 })
  // one that breaks off before the storage reads is told when it does; unheard, the error would end the process
  bytes.on('error', () => {})
  request.on('error', (error) => bytes.destroy(error))
  return request.pipe(bytes)
}

function refusal(verdict: 'expired' | 'forged'): ApiError {
  return new ApiError(
    'UNAUTHORIZED_ACCESS',
    verdict === 'expired'
      ? 'This upload URL has expired: presign a new one.'
      : 'This upload URL is not one that a presign answered: use it unchanged.',
  )
}
