import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { until } from '../../test/until.ts'
import { createOutbound } from '../outbound.ts'
import { sendWebhook } from './send.ts'
import { createWebhookSecret } from './sign.ts'

const secret = createWebhookSecret()
const body = JSON.stringify({ jobId: 'job_1', status: 'failed' })

async function receiver(t: TestContext, listener: RequestListener, allowPrivate = true) {
  const server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const outbound = createOutbound({ allowPrivate })
  t.after(async () => {
    await outbound.close()
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return (options: { timeoutMs?: number; url?: string } = {}) =>
    sendWebhook({
      url,
      body,
      id: 'evt_1',
      secrets: [secret],
      dispatcher: outbound.dispatcher,
      now: new Date(),
      ...options,
    })
}

test('a receiver gets exactly the body, signed in both schemes, and its 2xx counts', async (t) => {
  let seen: { method?: string; type?: string; agent?: string; body: string; event: unknown } | undefined
  const send = await receiver(t, async (incoming, answer) => {
    const received = await text(incoming)
    const headers = incoming.headers as Record<string, string>
    seen = {
      method: incoming.method!,
      type: headers['content-type']!,
      agent: headers['user-agent']!,
      body: received,
      event: new Webhook(secret).verify(received, headers),
    }
    answer.writeHead(204).end()
  })
  const attempt = await send()
  assert.deepEqual(
    { ...attempt, latencyMs: 0 },
    { delivered: true, status: 204, latencyMs: 0, responseExcerpt: '' },
  )
  assert.equal(seen?.body, body)
  assert.equal(seen.method, 'POST')
  assert.equal(seen.type, 'application/json')
  assert.match(seen.agent!, /^filmgate\/\d/)
})

test('an answer other than 2xx is a failure, told with its status', async (t) => {
  const send = await receiver(t, (_, answer) => answer.writeHead(500).end('no \0 luck'))
  const attempt = await send()
  assert.equal(attempt.delivered, false)
  assert.equal(attempt.status, 500)
  assert.equal(attempt.error, 'The receiver answered 500.')
  assert.equal(attempt.responseExcerpt, 'no \ufffd luck')
})

test('a redirect is not followed and does not count', async (t) => {
  let requests = 0
  const send = await receiver(t, (_, answer) => {
    requests += 1
    answer.writeHead(307, { location: '/moved' }).end()
  })
  const attempt = await send()
  assert.equal(attempt.delivered, false)
  assert.equal(attempt.status, 307)
  assert.equal(requests, 1)
})

test('a receiver that never answers is cut at the limit', async (t) => {
  const send = await receiver(t, () => {})
  const attempt = await send({ timeoutMs: 100 })
  assert.equal(attempt.delivered, false)
  assert.equal(attempt.status, undefined)
  assert.equal(attempt.error, 'The server did not answer in time.')
  assert.ok(attempt.latencyMs < 30_000, 'that is the limit where none is given')
})

test('a receiver that trickles its headers is cut at the limit, however lively it is', async (t) => {
  const send = await receiver(t, (_, answer) => {
    answer.socket!.write('HTTP/1.1 200 OK\r\n')
    const trickle = setInterval(() => answer.socket?.write('x-more: 1\r\n'), 10)
    answer.socket!.on('close', () => clearInterval(trickle))
  })
  const attempt = await send({ timeoutMs: 300 })
  assert.equal(attempt.delivered, false)
  assert.equal(attempt.error, 'The server did not answer in time.')
})

test('headers without end are cut off, long before the limit', async (t) => {
  const send = await receiver(t, (_, answer) => {
    const { socket } = answer
    const more = () => {
      while (!socket!.destroyed && socket!.write(`x-more: ${'x'.repeat(1000)}\r\n`));
    }
    socket!.write('HTTP/1.1 200 OK\r\n')
    socket!.on('drain', more)
    more()
  })
  const attempt = await send()
  assert.deepEqual([attempt.delivered, attempt.status], [false, undefined])
  assert.equal(attempt.error, 'The connection failed (UND_ERR_HEADERS_OVERFLOW).')
})

test('a text that trickles is left at the limit with what had come', async (t) => {
  let isClosed = false
  const send = await receiver(t, (_, answer) => {
    answer.writeHead(500)
    const trickle = setInterval(() => answer.write('.'), 10)
    answer.on('close', () => {
      isClosed = true
      clearInterval(trickle)
    })
  })
  const attempt = await send({ timeoutMs: 300 })
  assert.deepEqual([attempt.delivered, attempt.status], [false, 500])
  assert.match(attempt.responseExcerpt, /^\.+$/)
  assert.ok(attempt.responseExcerpt.length < 1024)
  await until(() => isClosed)
})

test('a 2xx whose text stalls was delivered', async (t) => {
  const send = await receiver(t, (_, answer) => {
    answer.writeHead(200)
    answer.write('thanks')
  })
  const attempt = await send({ timeoutMs: 300 })
  assert.equal(attempt.delivered, true)
  assert.equal(attempt.responseExcerpt, 'thanks')
})

test('of an endless answer the first 1 KB is kept, cut at a whole character', async (t) => {
  const send = await receiver(t, (_, answer) => {
    answer.writeHead(200)
    const more = () => {
      while (!answer.destroyed && answer.write('x€€€'.repeat(1000)));
    }
    answer.on('drain', more)
    more()
  })
  const attempt = await send()
  assert.equal(attempt.delivered, true)
  assert.ok(Buffer.byteLength(attempt.responseExcerpt) <= 1024)
  assert.ok(Buffer.byteLength(attempt.responseExcerpt) > 1020)
  assert.doesNotMatch(attempt.responseExcerpt, /\ufffd/)
})

test('a private address, a dead name and a malformed URL are outcomes, not throws', async (t) => {
  const send = await receiver(t, () => assert.fail('the private server was reached'), false)
  assert.equal((await send()).error, 'The address is not public.')
  assert.equal((await send({ url: 'not a url' })).delivered, false)
})
