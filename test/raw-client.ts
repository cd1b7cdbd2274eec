import { connect, type Socket } from 'node:net'

/** What has come over one connection, as it came. */
export interface RawClient {
  socket: Socket
  text(): string
  /** The bodies of the answers so far, read as JSON where they are. */
  closed: Promise<void>
  /** When the connection was over, in ms after it was opened. */
  closedAfterMs(): number
}

/** A connection of a test's own, over which any bytes can be sent; it does not close when the server does. */
export function openRaw(url: string, text?: string | Buffer): RawClient {
  const socket = connect({
    port: Number(new URL(url).port),
    host: '127.0.0.1',
    allowHalfOpen: true,
  })
  const openedAt = performance.now()
  const chunks: Buffer[] = []
  let endedAt = Number.NaN
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const over = () => {
    if (Number.isNaN(endedAt)) endedAt = performance.now()
    resolve()
  }
  socket.on('data', (chunk) => void chunks.push(chunk))
  socket.on('error', over)
  // the server has said all; whether it also takes no more shows in an error or the close
  socket.on('end', over)
  socket.on('close', over)
  if (text !== undefined) socket.write(text)
  return {
    socket,
    text: () => Buffer.concat(chunks).toString('latin1'),
    closed,
    closedAfterMs: () => endedAt - openedAt,
  }
}

/** Sends all of it, and gives what came until the server closed. */
export async function exchange(url: string, text: string | Buffer): Promise<string> {
  const client = openRaw(url, text)
  await client.closed
  client.socket.destroy()
  return client.text()
}

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  body: any
}

/** The answers of a text with lengths, one by one. */
export function readAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = text
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    )
    const length = Number(headers['content-length'] ?? 0)
    const content = rest.slice(end + 4, end + 4 + length)
    rest = rest.slice(end + 4 + length)
    const isJson = headers['content-type']?.startsWith('application/json') && content !== ''
    answers.push({
      status: Number(first.split(' ')[1]),
      headers,
      body: isJson ? JSON.parse(content) : content,
    })
  }
  return answers
}
