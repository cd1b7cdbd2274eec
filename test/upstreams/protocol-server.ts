import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** One question and what was answered; status 0 where the connection was cut instead. */
export interface Exchange {
  method: string
  /** With the query. */
  path: string
  headers: IncomingHttpHeaders
  /** Parsed if it is JSON, else the text. */
  body: unknown
  status: number
  answer: unknown
}

export interface Question {
  method: string
  url: URL
  headers: IncomingHttpHeaders
  raw: Buffer
  body: unknown
}

/** A body of bytes goes out as it is, any other as JSON. */
export interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export interface ProtocolServer {
  url: string
  transcript: Exchange[]
  /** Answers the next calls whose "METHOD /path?query" matches with this, and does nothing else with them. */
  interrupt(match: RegExp, answer: Answer | 'cut', times?: number): void
  stop(): Promise<void>
}

/** A server on loopback that notes all that is said. `answered` runs once an answer is out or its connection cut. */
export async function startProtocolServer(
  reply: (question: Question) => Promise<Answer | 'cut'>,
  answered: () => void = () => {},
): Promise<ProtocolServer> {
  const transcript: Exchange[] = []
  const interruptions: { match: RegExp; answer: Answer | 'cut'; left: number }[] = []

  function interruption(call: string): Answer | 'cut' | undefined {
    const found = interruptions.find(({ match, left }) => left > 0 && match.test(call))
    if (found !== undefined) found.left--
    return found?.answer
  }

  const server = createServer(async (request, response) => {
    request.on('error', () => {})
    response.on('error', () => {})
    response.on('close', answered)
    try {
      const { method = '', url: path = '/', headers } = request
      const raw = await buffer(request)
      const question = { method, url: new URL(path, 'http://upstream'), headers, raw, body: parse(raw) }
      const answer = interruption(`${method} ${path}`) ?? (await reply(question))
      const { status, body } = answer === 'cut' ? { status: 0 } : answer
      transcript.push({ method, path, headers, body: question.body, status, answer: readable(body) })
      if (answer === 'cut') response.destroy()
      else send(response, answer)
    } catch (error) {
      // a client that went away in mid-body, or a fault of this server, which has to show
      if (!request.socket.destroyed) response.writeHead(599).end(String(error))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    transcript,
    interrupt(match, answer, times = 1) {
      interruptions.push({ match, answer, left: times })
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function parse(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString())
  } catch {
    return raw.toString()
  }
}

function readable(body: unknown): unknown {
  return body instanceof Uint8Array ? `${body.length} bytes` : body
}

function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  if (body instanceof Uint8Array) {
    response.writeHead(status, { 'content-length': body.length, ...headers }).end(body)
  } else if (body === undefined) {
    response.writeHead(status, headers).end()
  } else {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  }
}
