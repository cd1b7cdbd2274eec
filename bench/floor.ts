import { json } from 'node:stream/consumers'
import Fastify from 'fastify'

/** The floor of the reads: a bare server that answers GET and POST with the bytes it gets on stdin (path → status, text). */
const bodies = (await json(process.stdin)) as Record<string, { status: number; text: string }>
const app = Fastify()
for (const [url, { status, text }] of Object.entries(bodies)) {
  app.route({
    method: ['GET', 'POST'],
    url,
    handler: (_, reply) => reply.status(status).type('application/json; charset=utf-8').send(text),
  })
}
console.log(`floor on ${await app.listen({ host: '127.0.0.1', port: 0 })}`)
