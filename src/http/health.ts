import type { FastifyInstance } from 'fastify'
import type { Health } from '../health.ts'

/** `/health/live` answers while the process does; `/health/ready` tells whether a request would be served. */
export function serveHealth(app: FastifyInstance, { health }: { health: Health }): void {
  app.get('/health/live', async () => ({ status: 'ok' }))
  app.get('/health/ready', async (_request, reply) => {
    const { reasons, ...report } = await health.report()
    const isServing = report.status !== 'unavailable'
    if (!isServing) reply.header('retry-after', '5')
    return reply.status(isServing ? 200 : 503).send({ ...report, ...(reasons.length > 0 && { reasons }) })
  })
}
