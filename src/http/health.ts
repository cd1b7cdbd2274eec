import type { FastifyInstance } from 'fastify'
import { clockFault } from '../clock.ts'
import { coalesce } from '../coalesce.ts'
import type { Services } from './services.ts'

/** `/health/live` answers while the process does; `/health/ready` asks database, queue and storage, and whether the clock is right. */
export function serveHealth(app: FastifyInstance, { pool, storage, clock }: Services): void {
  app.get('/health/live', async () => ({ status: 'ok' }))
  const isStorageReady = atMostEvery(storageCheckMs, () => passes(storage.ready()))
  const check = async () => ({
    database: await passes(pool.query('select 1')),
    queue: await passes(pool.query('select from graphile_worker.jobs limit 1')),
    storage: await isStorageReady(),
  })
  // anyone may ask: however many do, one check at a time answers them
  const sharedCheck = coalesce<void, Awaited<ReturnType<typeof check>>>(10_000, async (callers) => {
    const found = await check()
    return callers.map(() => found)
  })
  app.get('/health/ready', async (request, reply) => {
    const checks = await sharedCheck()
    const isReady = Object.values(checks).every((check) => check === 'ok')
    if (!isReady) request.log.error({ checks }, 'not ready')
    if (!isReady) reply.header('retry-after', '5')
    const fault = clockFault(clock)
    const status = !isReady ? 'unavailable' : fault === undefined ? 'ok' : 'degraded'
    return reply
      .status(isReady ? 200 : 503)
      .send({ status, checks, ...(fault !== undefined && { reasons: [fault] }) })
  })
}

const checkTimeLimitMs = 5_000
/** An S3 store is paid for each of its two requests, which anyone could have us make some hundred times a second. */
const storageCheckMs = 1_000

/** Gives what was last answered while that is young. */
function atMostEvery<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let last: { at: number; answer: Promise<T> } | undefined
  return async () => {
    const at = performance.now()
    if (last === undefined || at - last.at >= ms) last = { at, answer: ask() }
    return last.answer
  }
}

async function passes(check: Promise<unknown>): Promise<'ok' | 'failed'> {
  const limit = Promise.withResolvers<never>()
  const timer = setTimeout(() => limit.reject(new Error('too slow')), checkTimeLimitMs)
  return Promise.race([check, limit.promise])
    .then(
      () => 'ok' as const,
      () => 'failed' as const,
    )
    .finally(() => clearTimeout(timer))
}
