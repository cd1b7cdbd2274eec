import assert from 'node:assert/strict'
import type pg from 'pg'
import type { Config } from '../src/config.ts'
import { type Customer, cloneDatabase, makeCustomer, transfersOf } from './database.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { until } from './until.ts'

/** A gateway as an operator runs it, with a customer who has a live key. Only the vendors are played. */
export interface LiveGateway extends Gateway {
  pool: pg.Pool
  customer: Customer
  /** Submits, and answers the job's id. */
  order(model: string, input: object): Promise<string>
  /** Waits until an upstream has taken the job. */
  accepted(jobId: string): Promise<unknown>
  /** The job ends with this code, and has its charge back once. */
  fails(jobId: string, code: string): Promise<void>
}

export async function startLiveGateway(upstreams: Config['upstreams']): Promise<LiveGateway> {
  const { pool, url } = await cloneDatabase()
  const gateway = await startGateway({
    databaseUrl: url,
    allowPrivateNetwork: true,
    settings: { upstreams },
  })
  const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
  const { key } = customer
  return {
    ...gateway,
    pool,
    customer,
    async order(model, input) {
      const { status, body } = await gateway.call('POST', '/v1/jobs/submit', { key, body: { model, input } })
      assert.equal(status, 200, JSON.stringify(body))
      return body.jobId
    },
    accepted: (jobId) =>
      until(async () => {
        const isAccepted = "select from attempts where job_id = $1 and status = 'accepted'"
        return (await pool.query(isAccepted, [jobId])).rowCount === 1
      }),
    async fails(jobId, code) {
      const job = await gateway.ended(jobId, key)
      assert.equal(job.error?.code, code, JSON.stringify(job))
      assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
    },
  }
}

/** What a submit to Kling says of the film. */
export function promptOf(body: unknown): string {
  const { prompt, contents = [] } = body as { prompt?: string; contents?: { type: string; text?: string }[] }
  return prompt ?? contents.find(({ type }) => type === 'prompt')?.text ?? ''
}
