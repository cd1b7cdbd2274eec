import Fastify from 'fastify'

/** The floor of the reads: a bare server that answers GET and POST with the bytes in FLOOR_BODIES (path → status, text). */
const bodies = JSON.parse(process.env.FLOOR_BODIES!) as Record<string, { status: number; text: string }>
const app = Fastify()
for (const [url, { status, text }] of Object.entries(bodies)) {
  app.route({
    method: ['GET', 'POST'],
    url,
    handler: (_, reply) => reply.status(status).type('application/json; charset=utf-8').send(text),
  })
}
console.log(`floor on ${await app.listen({ host: '127.0.0.1', port: 0 })}`)
