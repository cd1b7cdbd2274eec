import { buildApp } from 'fauxqs'

/** The store of bench/storage.ts, in a process of its own. */
const app = buildApp({ logger: false })
console.log(`s3 on ${await app.listen({ host: '127.0.0.1', port: 0 })}`)
