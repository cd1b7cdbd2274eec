import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { pino } from 'pino'
import { Agent, request } from 'undici'
import { newId } from '../src/ids.ts'
import { migrate } from '../src/migrate.ts'
import { createWebhookSecret, signWebhook } from '../src/webhooks/sign.ts'
import { type Customer, makeCustomers, withDatabase } from './server.ts'
import { printTable } from './table.ts'

const webhooks = 4_000
const floorSeconds = 3
/** As many as a process delivers at once. */
const atOnce = 16
const body = JSON.stringify({
  jobId: newId('job', new Date()),
  requestId: newId('req', new Date()),
  status: 'completed',
  output: {
    videoUrl: `https://films.example.com/files/outputs/film.mp4?expires=1&signature=${'x'.repeat(43)}`,
  },
  completedAt: new Date().toISOString(),
})

/**
 * Webhooks that one worker delivers per second, the queue being full when it starts, as a share of what bare POSTs of
 * the same body by undici bring to the same receiver; to one host, and to a hundred hosts of as many users.
 */
export async function benchWebhooks(): Promise<void> {
  await withDatabase(async ({ database: { pool }, startServer }) => {
    await migrate(pool, pino({ level: 'silent' }))
    const customers = await makeCustomers(pool, 100)
    const rows: (string | number)[][] = []
    for (const hosts of [1, 100]) {
      const receiver = await startReceiver(hosts)
      try {
        const floor = await postBare(receiver)
        await fillQueue(pool, customers.slice(0, hosts), receiver.urls)
        const worker = await startServer('worker', {
          FILMGATE_ALLOW_PRIVATE_NETWORK: '1',
          PUBLIC_URL: 'http://127.0.0.1:8787',
        })
        while (!(await isEmpty(pool))) await sleep(200)
        const delivered = await receiver.perSecond()
        await worker.stop()
        rows.push([String(hosts), floor, delivered, delivered / floor])
      } finally {
        receiver.stop()
      }
    }
    console.log(`\nWebhooks: ${webhooks} delivered by one worker; receiver and load on the same machine`)
    printTable(['hosts', 'bare POSTs/s', 'webhooks/s', 'of bare'], rows)
  })
}

async function startReceiver(hosts: number) {
  const child: ChildProcess = fork(`${import.meta.dirname}/receiver.ts`, [String(hosts)])
  const [{ ports }] = (await once(child, 'message')) as [{ ports: number[] }]
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}/hook`),
    /** Of the POSTs that came since it was last asked. */
    async perSecond() {
      child.send('count')
      const [{ count, elapsedMs }] = (await once(child, 'message')) as [{ count: number; elapsedMs: number }]
      return ((count - 1) / elapsedMs) * 1000
    },
    stop: () => child.disconnect(),
  }
}

type Receiver = Awaited<ReturnType<typeof startReceiver>>

async function postBare({ urls, perSecond }: Receiver): Promise<number> {
  const dispatcher = new Agent()
  const secret = createWebhookSecret()
  const endsAt = performance.now() + floorSeconds * 1000
  let turn = 0
  const loop = async () => {
    while (performance.now() < endsAt) {
      const headers = signWebhook({ id: 'msg_bench', body, secrets: [secret], now: new Date() })
      const answer = await request(urls[turn++ % urls.length]!, { method: 'POST', dispatcher, headers, body })
      await answer.body.dump()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, loop))
  await dispatcher.close()
  return perSecond()
}

/** Ended jobs with a webhook and its task each, as settling leaves them. */
async function fillQueue(pool: pg.Pool, customers: Customer[], urls: string[]): Promise<void> {
  const now = new Date()
  const made = Array.from({ length: webhooks }, (_, index) => ({
    job: newId('job', now),
    webhook: newId('msg', now),
    account: String(customers[index % customers.length]!.accountId),
    url: urls[index % urls.length]!,
  }))
  const columns = [JSON.stringify(made), body]
  await pool.query(
    `with made as (
       select * from json_to_recordset($1) as row (job text, webhook text, account bigint, url text)
     ), jobs as (
       insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, webhook_url, provider,
         status, cost_micro_cents, created_at, estimated_completion_at, dispatched_at, deadline_at, completed_at)
       select job, account, 'key_bench', 'req_bench', 'a/b/c', '1', '{}', url, 'sandbox', 'completed', 0, now(), now(),
         now(), now(), now() from made returning id
     )
     insert into webhooks (id, job_id, url, body) select webhook, id, url, $2 from made join jobs on id = job`,
    columns,
  )
  await pool.query(
    `select from graphile_worker.add_jobs(array(
       select row('deliver_webhook', json_build_object('webhookId', id), null, null, null, id, null, null)::graphile_worker.job_spec
       from webhooks where status = 'pending' order by id))`,
  )
}

async function isEmpty(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query("select from webhooks where status = 'pending' limit 1")
  return rows.length === 0
}

if (import.meta.main) await benchWebhooks()
