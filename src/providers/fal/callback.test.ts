import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { type FalBehaviour, startFal } from '../../../test/upstreams/fal.ts'
import type { Json, UpstreamCallback } from '../provider.ts'
import { createFal } from './fal.ts'
import { contextOf, requestOf, text } from './fixture.ts'

const apiKey = 'an-id:a-secret'
let now = new Date()
const clock = { now: () => now }
const received: UpstreamCallback[] = []
const receiver = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  received.push({ headers: request.headers, body: Buffer.concat(chunks) })
  response.end('{}')
  receiver.emit('received')
}).listen(0, '127.0.0.1')
await once(receiver, 'listening')
let behaviour: FalBehaviour = {}
const server = await startFal({ apiKey, behave: () => behaviour })
after(async () => {
  receiver.close()
  await server.stop()
})

const request = requestOf('v3/text-to-video', text)
const context = { signal: AbortSignal.timeout(60_000) }
const keyReads = () => server.transcript.filter(({ path }) => path.endsWith('/jwks.json')).length

async function calledBack(provider = createFal({ baseUrl: server.url, apiKey }, clock)) {
  const arrived = once(receiver, 'received')
  const callbackUrl = `http://127.0.0.1:${(receiver.address() as { port: number }).port}/`
  const outcome = await provider.submit(request, contextOf({ callbackUrl }))
  await arrived
  now = new Date()
  return { provider, outcome, callback: received.at(-1)! }
}

test('a submit whose answer was lost is known again by its callback, and its film can be had', async () => {
  behaviour = { lose: 'after' }
  const { provider, outcome, callback } = await calledBack()
  assert.equal(outcome.outcome, 'unknown')
  const verdict = await provider.readCallback?.(callback, request, context)
  assert.ok(verdict?.verdict === 'genuine' && verdict.operation !== undefined)
  const [polled] = await provider.poll([verdict.operation as Json], context)
  assert.equal(polled?.status, 'succeeded')
})

test('what fal has not signed, or signed of other bytes or at another time, is not believed', async () => {
  behaviour = {}
  const { provider, callback } = await calledBack()
  const verdictOf = async (change: Partial<UpstreamCallback>) =>
    (await provider.readCallback?.({ ...callback, ...change }, request, context))?.verdict
  const { headers } = callback
  assert.equal(await verdictOf({}), 'genuine')
  assert.equal(await verdictOf({ body: Buffer.concat([callback.body, Buffer.from(' ')]) }), 'forged')
  assert.equal(await verdictOf({ headers: {} }), 'forged')
  for (const name of ['request-id', 'user-id', 'timestamp', 'signature']) {
    const header = `x-fal-webhook-${name}`
    assert.equal(
      await verdictOf({ headers: { ...headers, [header]: `${headers[header]}0` } }),
      'forged',
      name,
    )
  }
  now = new Date(Date.now() + 301_000)
  assert.equal(await verdictOf({}), 'forged')
})

test('a new key of fal is looked up, but not more than once a minute, and known keys not again', async () => {
  behaviour = {}
  const { provider, callback } = await calledBack()
  const read = (told: UpstreamCallback) => provider.readCallback?.(told, request, context)
  const before = keyReads()
  for (let time = 0; time < 3; time++) assert.equal((await read(callback))?.verdict, 'genuine')
  assert.equal(keyReads(), before + 1)
  server.rotateKey()
  const { callback: anew } = await calledBack(provider)
  assert.equal((await read(anew))?.verdict, 'forged')
  assert.equal(keyReads(), before + 1)
  now = new Date(Date.now() + 61_000)
  assert.equal((await read(anew))?.verdict, 'genuine')
  assert.equal((await read(callback))?.verdict, 'forged')
  assert.equal(keyReads(), before + 2)
})

test('while the keys can’t be had nothing is said of a callback, and nobody is given our key for them', async () => {
  behaviour = {}
  const { provider, callback } = await calledBack()
  server.interrupt(/jwks/, { status: 503, body: {} })
  await assert.rejects(
    async () => provider.readCallback?.(callback, request, context),
    /keys of fal's callbacks/,
  )
  assert.equal((await provider.readCallback?.(callback, request, context))?.verdict, 'genuine')
  const asked = server.transcript.filter(({ path }) => path.endsWith('/jwks.json'))
  assert.ok(asked.every(({ headers }) => headers.authorization === undefined))
})
