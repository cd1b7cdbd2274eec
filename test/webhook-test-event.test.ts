import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { until } from './until.ts'
import { listen, startReceiver } from './webhook-fixture.ts'

const database = await cloneDatabase()
const customer = await makeCustomer(database.pool)
const gateway = await startGateway({ databaseUrl: database.url, role: 'api', allowPrivateNetwork: true })

function sendTest(url: unknown, key = customer.key) {
  return gateway.call('POST', '/v1/webhooks/test', { key, body: { url } })
}

function filmgate(args: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env.PATH, DATABASE_URL: database.url, FILMGATE_ALLOW_PRIVATE_NETWORK: '1' }
  const root = join(import.meta.dirname, '..')
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['src/main.ts', ...args.split(' ')],
      { cwd: root, env },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      },
    )
  })
}

test('a test event is signed, has the form of a completed job, and its outcome is answered', async () => {
  const receiver = await startReceiver()
  const { status, body } = await sendTest(`${receiver.url}/hook`)
  assert.equal(status, 200)
  assert.deepEqual(body, {
    delivered: true,
    httpStatus: 200,
    latencyMs: body.latencyMs,
    error: null,
    response: 'answered 200',
  })
  const [entry] = receiver.received
  const event = new Webhook(customer.webhookSecret).verify(
    entry!.body,
    entry!.headers as Record<string, string>,
  )
  const { output, ...rest } = event as { output: Record<string, unknown>; completedAt: string }
  assert.deepEqual(rest, {
    jobId: 'job_test',
    requestId: 'req_test',
    status: 'completed',
    completedAt: rest.completedAt,
  })
  assert.deepEqual(Object.keys(output), ['videoUrl', 'outputs', 'metadata'])
})

test('a receiver that refuses, redirects or is not there is an outcome, not an error of ours', async () => {
  const receiver = await startReceiver({ '/no': [401], '/away': [302] })
  const refused = (await sendTest(`${receiver.url}/no`)).body
  assert.deepEqual(
    [refused.delivered, refused.httpStatus, refused.error],
    [false, 401, 'The receiver answered 401.'],
  )
  const redirected = (await sendTest(`${receiver.url}/away`)).body
  assert.deepEqual([redirected.delivered, redirected.httpStatus, receiver.received.length], [false, 302, 2])
  const absent = (await sendTest('http://127.0.0.1:1/')).body
  assert.deepEqual(
    [absent.delivered, absent.httpStatus, absent.error, absent.response],
    [false, null, 'The connection failed (ECONNREFUSED).', null],
  )
})

test('what is no public https URL is refused before anything is sent', async () => {
  const receiver = await startReceiver()
  const strict = await startGateway({ databaseUrl: database.url, role: 'api' })
  for (const url of [
    receiver.url,
    'https://127.0.0.1/',
    'https://localhost/',
    'https://10.0.0.1/x',
    'ftp://example.com/',
  ]) {
    const { status, body } = await strict.call('POST', '/v1/webhooks/test', {
      key: customer.key,
      body: { url },
    })
    assert.deepEqual([status, body.error.code], [400, 'INVALID_WEBHOOK_URL'], url)
    assert.match(body.error.message, /^url: /)
  }
  assert.equal(receiver.received.length, 0)
  const { status, body } = await sendTest(undefined)
  assert.deepEqual([status, body.error.code], [400, 'VALIDATION_ERROR'])
})

test('a user has one test event under way, others have theirs', async () => {
  const held: ServerResponse[] = []
  const url = await listen((_, response) => void held.push(response))
  const first = sendTest(url)
  await until(() => held[0])
  const second = await sendTest(url)
  assert.deepEqual([second.status, second.body.error.code], [429, 'RATE_LIMIT_EXCEEDED'])
  assert.equal(second.headers.get('retry-after'), '5')
  const other = sendTest(url, (await makeCustomer(database.pool)).key)
  await until(() => held[1])
  for (const response of held) response.end()
  assert.equal((await first).status, 200)
  assert.equal((await other).status, 200)
  const receiver = await startReceiver()
  assert.equal((await sendTest(receiver.url)).status, 200)
})

test('the commands show, rotate and replace secrets, choose the schedule and send a test event', async () => {
  const user = await makeCustomer(database.pool)
  const receiver = await startReceiver({ '/no': [500] })
  const json = async (args: string, code = 0) => {
    const outcome = await filmgate(`webhook ${args} --json`)
    assert.equal(outcome.code, code, outcome.stderr)
    return JSON.parse(outcome.stdout)
  }
  const { userId, webhookSecret } = user
  const alone = { userId, webhookSecret, previousWebhookSecret: null, previousSignsUntil: null }
  assert.deepEqual(await json(`secret ${userId}`), alone)
  const rotated = await json(`rotate-secret ${userId}`)
  assert.equal(rotated.previousWebhookSecret, webhookSecret)
  assert.ok(Math.abs(Date.parse(rotated.previousSignsUntil) - Date.now() - 24 * 3_600_000) < 3_600_000)
  const again = await filmgate(`webhook rotate-secret ${userId}`)
  assert.deepEqual([again.code, again.stdout], [1, ''])
  assert.match(again.stderr, /^filmgate: a rotation is under way until .*--finish.*--now\n$/m)

  // during a rotation the test is of the new secret
  assert.equal((await json(`test ${userId} --url ${receiver.url}`)).delivered, true)
  new Webhook(rotated.webhookSecret).verify(
    receiver.received[0]!.body,
    receiver.received[0]!.headers as Record<string, string>,
  )
  assert.equal((await json(`test ${userId} --url ${receiver.url}/no`, 1)).httpStatus, 500)

  const finished = await json(`rotate-secret ${userId} --finish`)
  assert.deepEqual(finished, { ...alone, webhookSecret: rotated.webhookSecret })
  const replaced = await json(`rotate-secret ${userId} --now`)
  assert.equal(replaced.previousWebhookSecret, null)
  assert.notEqual(replaced.webhookSecret, rotated.webhookSecret)

  assert.deepEqual(await json(`schedule ${userId}`), { userId, schedule: 'long' })
  assert.deepEqual(await json(`schedule ${userId} short`), { userId, schedule: 'short' })
  assert.deepEqual(await json(`schedule ${userId}`), { userId, schedule: 'short' })
  const wrong = await filmgate(`webhook schedule ${userId} forever`)
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /long, short/)
})
