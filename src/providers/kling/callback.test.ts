import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { startKling } from '../../../test/upstreams/kling.ts'
import type { CallbackVerdict, UpstreamCallback } from '../provider.ts'
import { readCallback } from './callback.ts'
import { accepted, call, contextOf, fox, requestOf } from './fixture.ts'
import { kling } from './kling.ts'
import { models } from './models.ts'

const secret = 'whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI='
const model = models.get('text-to-video/kling-3.0')
const published = {
  id: '9876543210',
  at: 1781080794,
  body: '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}',
  signature: 'v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=',
}

interface Sent {
  body?: string
  signature?: string | undefined
  at?: number | string
  now?: number
  secret?: string | undefined
}

function verdict(sent: Sent = {}): CallbackVerdict {
  const { body = published.body, at = published.at, now = published.at } = sent
  const signature = 'signature' in sent ? sent.signature : published.signature
  const headers = {
    'webhook-id': published.id,
    'webhook-timestamp': String(at),
    ...(signature !== undefined && { 'webhook-signature': signature }),
  }
  return readCallback(
    { headers, body: Buffer.from(body) },
    { jobId: 'job-1', model, secret: 'secret' in sent ? sent.secret : secret, now: new Date(now * 1000) },
  )
}

const signed = (body: string) => new Webhook(secret).sign(published.id, new Date(published.at * 1000), body)

test('the example that the vendor publishes is genuine', () => {
  assert.deepEqual(verdict(), { verdict: 'genuine' })
})

test('while a secret is being replaced one of two signatures is enough', () => {
  const signature = `v1,AAAAJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4= ${published.signature}`
  assert.equal(verdict({ signature }).verdict, 'genuine')
})

test('another body, another secret, a wrong, missing or unreadable signature is forged', () => {
  const forgeries: Sent[] = [
    { body: published.body.replace('succeeded', 'failed') },
    { secret: 'whsec_YW5vdGhlcnNlY3JldGFub3RoZXJzZWNyZXQxMjM0NTY=' },
    { signature: undefined },
    { signature: '' },
    { signature: 'v1,' },
    { signature: published.signature.replace('v1', 'v2') },
    { at: 'yesterday' },
  ]
  for (const sent of forgeries) assert.equal(verdict(sent).verdict, 'forged', JSON.stringify(sent))
})

test('a callback more than five minutes old or young is forged, however well it is signed', () => {
  assert.equal(verdict({ now: published.at + 300 }).verdict, 'genuine')
  assert.equal(verdict({ now: published.at + 301 }).verdict, 'forged')
  assert.equal(verdict({ now: published.at - 301 }).verdict, 'forged')
})

test('a callback of the legacy standard need not be signed; if it is, it must be right', () => {
  const body = '{"task_id":"1","task_status":"succeed"}'
  assert.deepEqual(verdict({ body, signature: undefined }), { verdict: 'unsigned' })
  assert.equal(verdict({ body, signature: signed(body) }).verdict, 'genuine')
  assert.equal(verdict({ body }).verdict, 'forged')
})

test('without a secret every callback is a mere hint', () => {
  assert.deepEqual(verdict({ secret: undefined }), { verdict: 'unsigned' })
  assert.deepEqual(verdict({ secret: undefined, body: 'no json', signature: undefined }), {
    verdict: 'unsigned',
  })
})

test('only a callback with our own id tells which task the job is; one about another job is forged', () => {
  const body = (jobId: string) => `{"id":"893605946402811985","status":"submitted","external_id":"${jobId}"}`
  const own = body('job-1')
  assert.deepEqual(verdict({ body: own, signature: signed(own) }), {
    verdict: 'genuine',
    operation: { id: '893605946402811985' },
  })
  const other = body('job-2')
  assert.equal(verdict({ body: other, signature: signed(other) }).verdict, 'forged')
})

for (const signsLegacyCallbacks of [true, false]) {
  test(`what Kling's server really posts is believed as it is signed (legacy ones ${signsLegacyCallbacks ? '' : 'un'}signed)`, async () => {
    const apiKey = 'key'
    const received: UpstreamCallback[] = []
    const receiver = createServer(async (request, response) => {
      received.push({ headers: request.headers, body: Buffer.concat(await Array.fromAsync(request)) })
      response.end()
      receiver.emit('received')
    }).listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    // earlier jobs are told of until they end
    const aboutJob = async (jobId: string): Promise<UpstreamCallback> => {
      const found = received.find(({ body }) => body.includes(`"${jobId}"`))
      if (found !== undefined) return found
      await once(receiver, 'received', { signal: AbortSignal.timeout(20_000) })
      return aboutJob(jobId)
    }
    const callbackUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
    const server = await startKling({ apiKey, webhookSecret: secret, signsLegacyCallbacks })
    const provider = kling.open({ baseUrl: server.url, apiKey, webhookSecret: secret })
    try {
      for (const [input, wanted] of [
        [fox, 'genuine'],
        [{ ...fox, negative_prompt: 'rain' }, signsLegacyCallbacks ? 'genuine' : 'unsigned'],
      ] as const) {
        const request = requestOf('text-to-video/kling-3.0', input)
        const operation = await accepted(provider.submit(request, contextOf({ callbackUrl })))
        const callback = await aboutJob(request.jobId)
        const told = await provider.readCallback!(callback, request, call())
        assert.equal(told.verdict, wanted)
        if (told.verdict === 'genuine') assert.deepEqual(told.operation, operation)
        const other = await provider.readCallback!(callback, { ...request, jobId: 'another' }, call())
        assert.equal(other.verdict, wanted === 'genuine' ? 'forged' : 'unsigned')
      }
    } finally {
      receiver.closeAllConnections()
      receiver.close()
      await server.stop()
    }
  })
}
