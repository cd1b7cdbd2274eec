import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { until } from '../../test/until.ts'
import { EventStream, type ServerEvent, type StreamLimits, sendEvents } from './event-stream.ts'

const patient: StreamLimits = {
  reconnectMs: 2_000,
  checkEveryMs: 60_000,
  stalledMs: 60_000,
  partingMs: 60_000,
}

interface Sending {
  limits?: Partial<StreamLimits>
  mayRead?: () => Promise<boolean>
  signal?: AbortSignal
}

/** A server of one stream, and its port. */
async function serveStream(events: AsyncIterable<ServerEvent<unknown> | undefined>, sending: Sending = {}) {
  const { limits = {}, mayRead = async () => true, signal } = sending
  const app = Fastify({ forceCloseConnections: true })
  app.get('/', (_request, reply) =>
    sendEvents(reply, new EventStream(events, signal), mayRead, { ...patient, ...limits }),
  )
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, port: Number(new URL(url).port), close: () => app.close() }
}

/** Asks, and reads nothing of the answer. */
async function askOnly(port: number) {
  const socket = connect(port, '127.0.0.1').pause()
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  return socket
}

const large = { text: 'x'.repeat(100_000) }

/** Endless events; tells how many were asked for. */
function endless(counted: { events: number; isOver: boolean }) {
  return (async function* () {
    try {
      for (;;) yield { id: String(++counted.events), event: 'more', data: large }
    } finally {
      counted.isOver = true
    }
  })()
}

test('events have id, name and data in one line, whatever is in it; silence is a comment', async () => {
  async function* events() {
    yield { id: '7', event: 'sent', data: { message: 'one\ntwo\rthree' } }
    yield undefined
    yield { id: '8', event: 'failed', data: {} }
  }
  const { url, close } = await serveStream(events())
  assert.equal(
    await (await fetch(url)).text(),
    'retry:2000\n\nevent:sent\nid:7\ndata:{"message":"one\\ntwo\\rthree"}\n\n:still here\n\nevent:failed\nid:8\ndata:{}\n\n',
  )
  await close()
})

test('who may not read any more gets no further event', async () => {
  let checks = 0
  const counted = { events: 0, isOver: false }
  const mayRead = async () => ++checks <= 2
  const { url, close } = await serveStream(endless(counted), { mayRead, limits: { checkEveryMs: 0 } })
  const text = await (await fetch(url)).text()
  assert.deepEqual(text.match(/^id:\d+$/gm), ['id:1', 'id:2'])
  assert.ok(counted.isOver)
  await close()
})

test('who may not read any more is let go where nothing happens, too', { timeout: 10_000 }, async () => {
  async function* silent() {
    await new Promise(() => {})
    yield undefined
  }
  let checks = 0
  const mayRead = async () => ++checks <= 2
  const { url, close } = await serveStream(silent(), { mayRead, limits: { checkEveryMs: 20 } })
  assert.equal(await (await fetch(url)).text(), 'retry:2000\n\n')
  assert.equal(checks, 3)
  await close()
})

test('a client that reads nothing is not read for, and is cut off', async () => {
  const counted = { events: 0, isOver: false }
  const { port, close } = await serveStream(endless(counted), { limits: { stalledMs: 500 } })
  const socket = await askOnly(port)
  await until(() => counted.isOver)
  // what fits into the buffers of two sockets: some 6 MB here
  assert.ok(counted.events < 500, `${counted.events} events were read ahead`)
  socket.destroy()
  await close()
})

test('a server that lets go cuts off who does not take the end', async () => {
  const counted = { events: 0, isOver: false }
  const letGo = new AbortController()
  const { signal } = letGo
  const { port, close } = await serveStream(endless(counted), { signal, limits: { partingMs: 1 } })
  const socket = await askOnly(port)
  await until(() => counted.events > 0)
  letGo.abort()
  await until(() => counted.isOver)
  socket.destroy()
  await close()
})
