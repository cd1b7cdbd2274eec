import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type pg from 'pg'
import { newId } from '../src/ids.ts'
import { addTask } from '../src/queue/tasks.ts'
import { atEnd } from './at-end.ts'
import type { Customer } from './database.ts'

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** A server on loopback that stops after the tests of the calling file. */
export async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A receiver that answers each path with what `answers` says for its attempts in turn, the last one for ever. */
export async function startReceiver(
  answers: Record<string, (number | ((entry: Received) => number))[]> = {},
): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const url = await listen(async (request, response) => {
    const path = request.url ?? ''
    const entry = { path, headers: request.headers, body: await text(request) }
    received.push(entry)
    const mine = answers[path] ?? [200]
    const answer = mine.length > 1 ? mine.shift()! : mine[0]!
    const status = typeof answer === 'number' ? answer : answer(entry)
    response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end(`answered ${status}`)
  })
  return { url, received }
}

/** Writes ended jobs with a webhook each, as settling does, without rendering anything; answers the jobs' ids. */
export async function addEndedJobs(
  pool: pg.Pool,
  customer: Customer,
  url: string,
  options: { count?: number; withTask?: boolean } = {},
): Promise<{ jobId: string; webhookId: string }[]> {
  const { count = 1, withTask = false } = options
  const now = new Date()
  const made = Array.from({ length: count }, () => ({
    jobId: newId('job', now),
    webhookId: newId('msg', now),
  }))
  for (const { jobId, webhookId } of made) {
    await pool.query(
      `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, webhook_url, provider,
         status, cost_micro_cents, created_at, estimated_completion_at, dispatched_at, deadline_at, completed_at)
       values ($1, $2, $3, 'req_x', 'a/b/c', '1', '{}', $4, 'sandbox', 'completed', 0, $5, $5, $5, $5, $5)`,
      [jobId, customer.accountId, customer.keyId, url, now],
    )
    const body = JSON.stringify({ jobId, requestId: 'req_x', status: 'completed' })
    await pool.query('insert into webhooks (id, job_id, url, body) values ($1, $2, $3, $4)', [
      webhookId,
      jobId,
      url,
      body,
    ])
    if (withTask) await addTask(pool, 'deliver_webhook', { webhookId }, { key: webhookId })
  }
  return made
}
