import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A receiver of webhooks in a process of its own, on as many ports as it is told to. It tells its parent the ports
 * and, whenever it is asked, how many POSTs have come since it was last asked, and in which time.
 */
let times: number[] = []
const ports: number[] = []
for (let count = 0; count < Number(process.argv[2]); count++) {
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      times.push(performance.now())
      response.end('ok')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  ports.push((server.address() as AddressInfo).port)
}
process.send?.({ ports })
process.on('message', () => {
  process.send?.({ count: times.length, elapsedMs: (times.at(-1) ?? 0) - (times[0] ?? 0) })
  times = []
})
process.on('disconnect', () => process.exit(0))
