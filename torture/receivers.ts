import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'

/** What a receiver does with deliveries; the numbers count those of one job. */
export const habits = {
  takes: (_, response) => response.end(),
  'fails once': (attempt, response) => response.writeHead(attempt === 1 ? 500 : 200).end(),
  'drops once': (attempt, response) => (attempt === 1 ? response.destroy() : response.end()),
  'fails thrice': (attempt, response) => response.writeHead(attempt <= 3 ? 500 : 204).end(),
  'hangs once': (attempt, response) => attempt > 1 && response.end(),
  redirects: (_, response) => response.writeHead(302, { location: '/elsewhere' }).end(),
} satisfies Record<string, (attempt: number, response: ServerResponse) => unknown>

export type Habit = keyof typeof habits

/** What came for one webhook. */
export interface Deliveries {
  order: number
  attempts: number
  /** Those that were answered as taken. */
  taken: number
  bodies: Set<string>
}

export interface Receivers {
  urlOf(habit: Habit, order: number): string
  /** By webhook-id. */
  deliveries: Map<string, Deliveries>
  /** Deliveries that did not verify. */
  forged: string[]
  close(): void
}

/** A receiver of each habit, on a port of its own. `secretOf` gives the secret of the customer of an order. */
export async function startReceivers(secretOf: (order: number) => string | undefined): Promise<Receivers> {
  const deliveries: Receivers['deliveries'] = new Map()
  const forged: string[] = []
  const servers = new Map<Habit, Server>()
  for (const habit of Object.keys(habits) as Habit[]) {
    const server = createServer(async (request, response) => {
      response.on('error', () => {})
      const attempt = await receive(request).catch(() => undefined)
      // cut off on the way: no attempt that could be taken
      if (attempt === undefined) return response.destroy()
      habits[habit](attempt.attempts, response)
      if (response.writableEnded && response.statusCode < 300) attempt.taken++
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.set(habit, server)
  }

  async function receive(request: IncomingMessage): Promise<Deliveries> {
    const order = Number(request.url?.slice(1))
    const body = await text(request)
    const secret = secretOf(order)
    if (secret === undefined || !verifies(request.headers, body, secret)) {
      forged.push(`order ${order}: ${JSON.stringify(request.headers)} ${body.slice(0, 200)}`)
    }
    const id = String(request.headers['webhook-id'])
    const known = deliveries.get(id) ?? { order, attempts: 0, taken: 0, bodies: new Set() }
    deliveries.set(id, known)
    known.attempts++
    known.bodies.add(body)
    return known
  }

  return {
    urlOf(habit, order) {
      return `http://127.0.0.1:${(servers.get(habit)!.address() as AddressInfo).port}/${order}`
    },
    deliveries,
    forged,
    close() {
      for (const server of servers.values()) {
        server.closeAllConnections()
        server.close()
      }
    },
  }
}

/**
 * Both signatures, over the bytes that came and over what a receiver gets that parses them and writes them again. How old
 * the timestamp is is left out: the clock is set back on purpose.
 */
function verifies(headers: IncomingMessage['headers'], body: string, secret: string): boolean {
  const timestamp = String(headers['webhook-timestamp'])
  const at = new Date(Number(timestamp) * 1000)
  return [body, JSON.stringify(JSON.parse(body))].every((text) => {
    const published = `sha256=${createHmac('sha256', secret).update(`${timestamp}.${text}`).digest('hex')}`
    const standard = new Webhook(secret).sign(String(headers['webhook-id']), at, text)
    return (
      headers['x-pixelbyte-timestamp'] === timestamp &&
      headers['x-pixelbyte-signature'] === published &&
      headers['webhook-signature'] === standard
    )
  })
}
