import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import Fastify from 'fastify'
import { until } from '../../test/until.ts'
import { systemClock } from '../clock.ts'
import { serveFiles } from './files.ts'
import type { Services } from './services.ts'

test('a client that takes nothing of a file is cut off, and nothing is held open for it', async () => {
  const bytes = 1_000_000_000
  const streams: Readable[] = []
  const storage = {
    stat: async () => ({ bytes, modifiedAt: new Date(), version: 'one' }),
    open: async () => {
      const stream = new Readable({ read: () => void stream.push(Buffer.alloc(65_536)) })
      streams.push(stream)
      return { stream, bytes, totalBytes: bytes, version: 'one' }
    },
  } as Partial<Services['storage']> as Services['storage']
  const app = Fastify({ forceCloseConnections: true })
  serveFiles(app, { storage, pool: null as never, verifyUrl: () => 'valid', clock: systemClock }, 500)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect(Number(new URL(url).port), '127.0.0.1').pause()
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write('GET /files/film.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => streams[0]?.destroyed)
  socket.destroy()
  await app.close()
})
