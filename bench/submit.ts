import autocannon from 'autocannon'
import type pg from 'pg'
import { pino } from 'pino'
import { transaction } from '../src/db.ts'
import { newId } from '../src/ids.ts'
import { createSubmit } from '../src/jobs/submit.ts'
import type { Submission } from '../src/jobs/write-batch.ts'
import { type Customer, withServer } from './server.ts'
import { measure, printTable, type Run } from './table.ts'

const seconds = 4
const costMicroCents = 420_000n
const input = {
  prompt: 'A neon-lit Tokyo street at night with rain reflecting the storefront signs',
  aspect_ratio: '16:9',
  duration: '5',
  has_sound: 'false',
}
const body = { model: 'kling-plus/kling-o3-standard/text-to-video', input }

/**
 * Durable submits per second and their latency: straight through pg (the floor: the same statements, in batches
 * as large as the number of clients), through the submit verb, and through HTTP. Each against the floor of the
 * same run.
 */
export async function benchSubmit(): Promise<void> {
  await withServer('api', async ({ url, database, customers }) => {
    const submitPool = database.openPipelinedPool()
    const rows: (string | number)[][] = []
    for (const accounts of [1, 100]) {
      for (const clients of [1, 16, 64]) {
        const some = customers.slice(0, accounts)
        const floor = await straight(database.pool, some, clients)
        const verb = await throughVerb(submitPool, some, clients)
        const http = await throughHttp(url, some, clients)
        for (const [name, run] of Object.entries({ 'pg, batched': floor, 'submit()': verb, HTTP: http })) {
          rows.push([
            name,
            accounts,
            clients,
            run.perSecond,
            run.p50,
            run.p99,
            run.perSecond / floor.perSecond,
          ])
        }
      }
    }
    console.log(`\nDurable submits (${seconds} s each, fsync on, load generator on the same machine)`)
    await submitPool.end()
    printTable(['path', 'accounts', 'clients', 'submits/s', 'p50 ms', 'p99 ms', 'of pg'], rows)
  })
}

function submission(customer: Customer): Submission {
  const now = new Date()
  return {
    jobId: newId('job', now),
    accountId: customer.accountId,
    apiKeyId: 'key_bench',
    requestId: 'req_bench',
    modelSlug: body.model,
    modelVersion: 'v1.0',
    provider: 'sandbox',
    input,
    metadata: undefined,
    webhookUrl: undefined,
    costMicroCents,
    priceBasis: 'list',
    routes: null,
    limits: [],
    createdAt: now,
    estimatedCompletionAt: now,
    idempotency: undefined,
  }
}

/** The floor: the same rows by the same kind of statements, one batch after the other on one connection. */
async function straight(pool: pg.Pool, customers: Customer[], clients: number): Promise<Run> {
  const { rows } = await pool.query<{ id: bigint }>(
    "select id from accounts where kind = 'revenue' and mode = 'test'",
  )
  const revenue = rows[0]!.id
  let turn = 0
  const run = await measure(1, seconds, async () => {
    const batch = Array.from({ length: clients }, () => submission(customers[turn++ % customers.length]!))
    await transaction(pool, (client) => writeStraight(client, batch, revenue))
  })
  return { ...run, perSecond: run.perSecond * clients }
}

async function writeStraight(client: pg.PoolClient, batch: Submission[], revenue: bigint): Promise<void> {
  const ids = batch.map((job) => job.jobId)
  const accounts = batch.map((job) => job.accountId)
  const amounts = batch.map((job) => job.costMicroCents)
  await client.query({
    name: 'bench-lock',
    text: 'select id, balance_micro_cents from accounts where id = any($1) order by id for update',
    values: [[...new Set(accounts)]],
  })
  await client.query({
    name: 'bench-jobs',
    text: `
      insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, provider, input,
        cost_micro_cents, created_at, estimated_completion_at)
      select id, account, 'key_bench', 'req_bench', $3, 'v1.0', 'sandbox', $4::jsonb, $5, $6, $6
      from unnest($1::text[], $2::bigint[]) as job (id, account)`,
    values: [ids, accounts, body.model, JSON.stringify(input), costMicroCents, new Date()],
  })
  await client.query({
    name: 'bench-charge',
    text: `
      with charged as (
        insert into ledger_transfers (kind, from_account_id, to_account_id, amount_micro_cents, job_id)
        select 'charge', account, $4, amount, id from unnest($1::text[], $2::bigint[], $3::bigint[]) as job (id, account, amount)
        returning from_account_id, amount_micro_cents
      )
      update accounts set balance_micro_cents = balance_micro_cents - total
      from (select from_account_id, sum(amount_micro_cents)::bigint as total from charged group by 1) as totals
      where id = from_account_id`,
    values: [ids, accounts, amounts, revenue],
  })
  await client.query({
    name: 'bench-tasks',
    text: `
      select from graphile_worker.add_jobs(array(
        select row('dispatch', json_build_object('jobId', id), null, null, null, null, null, null)::graphile_worker.job_spec
        from unnest($1::text[]) as id))`,
    values: [ids],
  })
}

async function throughVerb(pool: pg.Pool, customers: Customer[], clients: number): Promise<Run> {
  const submit = createSubmit(pool, pino({ level: 'silent' }))
  return measure(clients, seconds, (client) => submit(submission(customers[client % customers.length]!)))
}

async function throughHttp(url: string, customers: Customer[], clients: number): Promise<Run> {
  let turn = 0
  const result = await autocannon({
    url: `${url}/v1/jobs/submit`,
    connections: clients,
    duration: seconds,
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    setupClient(client) {
      const { key } = customers[turn++ % customers.length]!
      client.setHeaders({ 'content-type': 'application/json', authorization: `Bearer ${key}` })
    },
  })
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${result.non2xx} submits were refused, ${result.errors} failed`)
  }
  return { perSecond: result['2xx'] / result.duration, p50: result.latency.p50, p99: result.latency.p99 }
}

if (import.meta.main) await benchSubmit()
