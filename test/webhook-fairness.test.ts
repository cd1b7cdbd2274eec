import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { until } from './until.ts'
import { addEndedJobs, listen, startReceiver } from './webhook-fixture.ts'

const database = await cloneDatabase()

test('a receiver that hangs holds a few deliveries, delays those to no other, and gets all of its own', async () => {
  const customer = await makeCustomer(database.pool)
  let isHanging = true
  let cut = 0
  const held: ServerResponse[] = []
  const seen = new Set<unknown>()
  const hanging = await listen((request, response) => {
    seen.add(request.headers['webhook-id'])
    if (!isHanging) return void response.end()
    held.push(response)
    response.on('close', () => {
      if (isHanging) cut += 1
    })
  })
  const quick = await startReceiver()
  const slow = await addEndedJobs(database.pool, customer, `${hanging}/`, { count: 24, withTask: true })
  await addEndedJobs(database.pool, customer, `${quick.url}/`, { count: 3, withTask: true })
  await startGateway({ databaseUrl: database.url, allowPrivateNetwork: true })

  await until(() => quick.received.length === 3)
  assert.equal(cut, 0, 'the others waited until a hanging attempt was given up')
  assert.ok(held.length <= 2, `${held.length} attempts at once to one receiver`)

  isHanging = false
  for (const response of held) response.end()
  await until(async () => {
    const { rows } = await database.pool.query("select from webhooks where status <> 'sent'")
    return rows.length === 0
  })
  assert.equal(seen.size, slow.length)
})
