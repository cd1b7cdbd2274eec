import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { atEnd } from './at-end.ts'

/** What is answered in the vendor's place, to calls whose "METHOD /path?query" matches. */
export interface Trouble {
  match: RegExp
  status: number
  body: unknown
}

export interface VendorFront {
  url: string
  /** Undefined while the vendor is well. */
  trouble: Trouble | undefined
  /** "METHOD /path?query" of each call. */
  calls: string[]
}

/** Stands before a vendor's server, whose account a test can take the credit from and give it back. */
export async function startFront(vendorUrl: string): Promise<VendorFront> {
  const server = createServer(async (request, response) => {
    const { method = 'GET', url = '/', headers } = request
    const body = await buffer(request)
    const call = `${method} ${url}`
    front.calls.push(call)
    const { trouble } = front
    if (trouble?.match.test(call)) {
      response.writeHead(trouble.status, { 'content-type': 'application/json' })
      return response.end(JSON.stringify(trouble.body))
    }
    const { host: _, connection: __, 'content-length': ___, ...own } = headers
    const answer = await fetch(vendorUrl + url, {
      method,
      headers: own as Record<string, string>,
      ...(body.length > 0 && { body }),
    })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
    return response.end(Buffer.from(await answer.arrayBuffer()))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  atEnd(async () => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const front: VendorFront = { url: `http://127.0.0.1:${port}`, trouble: undefined, calls: [] }
  return front
}
