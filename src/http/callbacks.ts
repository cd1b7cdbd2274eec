import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { hearCallback } from '../jobs/callback.ts'
import type { Provider } from '../providers/provider.ts'
import type { Services } from './services.ts'

const maxBytes = 1_048_576
const retryAfterSeconds = 10

interface Address {
  upstream: string
  token: string
}

/**
 * POST of an upstream that a job has changed: no key, the token in the URL permits it. What the body says of the job is not
 * believed: it makes us ask the upstream sooner.
 */
export function acceptCallbacks(app: FastifyInstance, services: Services): void {
  const { pool, clock } = services
  const readAddress = ({ upstream, token }: Address): { provider: Provider; jobId: string } => {
    const provider = services.provider(upstream)
    if (provider === undefined) throw new ApiError('NOT_FOUND', 'No upstream of this name is set up.')
    const jobId = services.callbackJob(upstream, token)
    if (jobId !== undefined) return { provider, jobId }
    throw new ApiError('INVALID_WORKER_SECRET', 'This callback URL is not one that this server made.')
  }
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    // as it came: signatures are over the bytes
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (_: unknown, body: Buffer) => body)
    scope.post<{ Params: Address; Body: Buffer | null | undefined }>(
      '/callbacks/:upstream/:token',
      {
        bodyLimit: maxBytes,
        config: { takesAnyBody: true },
        // before the body is read
        onRequest: async ({ params }) => void readAddress(params),
      },
      async ({ params, headers, body, log }, reply) => {
        const { provider, jobId } = readAddress(params)
        const callback = { headers, body: body ?? Buffer.alloc(0) }
        const heard = await hearCallback({ pool, clock, log }, provider, jobId, callback)
        if (heard === 'forged') {
          throw new ApiError('INVALID_WORKER_SECRET', 'The signature of this callback is not valid.')
        }
        if (heard === 'heard') return { received: true }
        return reply.status(503).header('retry-after', retryAfterSeconds).send({ received: false })
      },
    )
  })
}
