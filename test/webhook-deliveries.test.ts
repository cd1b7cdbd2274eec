import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOutbound } from '../src/outbound.ts'
import { createDeliver } from '../src/webhooks/deliver.ts'
import { setWebhookSchedule, type WebhookSchedule } from '../src/webhooks/schedule.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { addEndedJobs, startReceiver } from './webhook-fixture.ts'

const { pool } = await cloneDatabase()
const outbound = createOutbound({ allowPrivate: true })
atEnd(() => outbound.close())
const receiver = await startReceiver({ '/dead': [503] })

let now = new Date()
const deliver = createDeliver({ pool, outbound, clock: { now: () => now } })

async function plannedAt(key: string): Promise<Date | undefined> {
  const { rows } = await pool.query<{ run_at: Date }>(
    'select run_at from graphile_worker.jobs where key = $1',
    [key],
  )
  return rows[0]?.run_at
}

async function statusOf(webhookId: string): Promise<string> {
  const { rows } = await pool.query('select status from webhooks where id = $1', [webhookId])
  return rows[0].status
}

for (const [schedule, seconds] of [
  ['short', [1, 4, 16, 64, 256]],
  ['long', [1, 4, 16, 64, 256, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600]],
] as [WebhookSchedule, number[]][]) {
  test(`on the ${schedule} schedule a webhook that is never taken is given up after ${seconds.length} retries`, async () => {
    const impatient = await makeCustomer(pool)
    if (schedule !== 'long') await setWebhookSchedule(pool, impatient.userId, schedule)
    const [made] = await addEndedJobs(pool, impatient, `${receiver.url}/dead`)
    const { webhookId } = made!
    const before = receiver.received.length
    const delays: number[] = []
    for (;;) {
      await deliver({ webhookId })
      const next = await plannedAt(webhookId)
      if (next === undefined) break
      delays.push((next.getTime() - now.getTime()) / 1000)
      now = next
      await pool.query('select graphile_worker.remove_job($1)', [webhookId])
    }
    assert.deepEqual(delays, seconds)
    assert.equal(await statusOf(webhookId), 'failed')
    await deliver({ webhookId })
    assert.equal(receiver.received.length - before, seconds.length + 1)
  })
}
