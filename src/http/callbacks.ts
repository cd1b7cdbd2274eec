import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { bringPollForward } from '../jobs/polls.ts'
import type { Services } from './services.ts'

const maxBytes = 65_536

/**
 * POST of an upstream that a job is done: no key, the token in the URL permits it. What the body says is not believed: it
 * only makes us ask the upstream sooner.
 */
export function acceptCallbacks(app: FastifyInstance, { pool, provider, callbackJob }: Services): void {
  const jobOf = ({ upstream, token }: { upstream: string; token: string }): string => {
    if (provider(upstream) === undefined) {
      throw new ApiError('NOT_FOUND', 'No upstream of this name is set up.')
    }
    const jobId = callbackJob(upstream, token)
    if (jobId !== undefined) return jobId
    throw new ApiError('INVALID_WORKER_SECRET', 'This callback URL is not one that this server made.')
  }
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    // counted by Fastify, up to the limit, and thrown away
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, async () => undefined)
    scope.post<{ Params: { upstream: string; token: string } }>(
      '/callbacks/:upstream/:token',
      {
        bodyLimit: maxBytes,
        // before the body is read
        onRequest: async ({ params }) => void jobOf(params),
      },
      async ({ params }) => {
        await bringPollForward(pool, jobOf(params))
        return { received: true }
      },
    )
  })
}
