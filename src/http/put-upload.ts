import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { uploadTypes } from '../uploads/types.ts'
import { storeUpload } from '../uploads/uploads.ts'
import type { Services } from './services.ts'

/** PUT of an upload's bytes to its presigned URL: no key, the signature permits it. */
export function acceptUploads(app: FastifyInstance, services: Services): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    // the body stays a stream; uploads.ts counts its bytes
    scope.addContentTypeParser('*', async (_request: unknown, payload: IncomingMessage) => payload)
    scope.put<{ Params: { id: string } }>(
      '/v1/uploads/:id',
      {
        bodyLimit: Math.max(...Object.values(uploadTypes).map((type) => type.maxBytes)),
        onRequest: async (request) => {
          const verdict = services.verifyUrl(`/v1/uploads/${request.params.id}`, request.query, 'PUT')
          if (verdict === 'valid') return
          throw new ApiError(
            'UNAUTHORIZED_ACCESS',
            verdict === 'expired'
              ? 'This upload URL has expired: presign a new one.'
              : 'This upload URL is not one that a presign answered: use it unchanged.',
          )
        },
      },
      async (request) => {
        const contentType = request.headers['content-type']
        const body = (request.body ?? request.raw) as IncomingMessage
        const file = { id: request.params.id, contentType, body }
        try {
          const { bytes } = await storeUpload(services.pool, services.storage, file)
          return { success: true, data: { id: request.params.id, bytes }, requestId: request.id }
        } finally {
          // What is left of a refused file is read and thrown away: unread, it would keep the client from the
          // answer and the connection from closing. requestTimeout ends those who send without end.
          request.raw.resume()
        }
      },
    )
  })
}
