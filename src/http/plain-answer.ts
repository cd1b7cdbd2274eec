import { maxHeaderSize, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { systemClock } from '../clock.ts'
import type { ApiErrorCode } from '../errors.ts'
import { partFrom, takeFromParser } from './part-from.ts'

/** An answer to what was never a request of the framework's: written to the connection as it is, and its last. */
export interface PlainAnswer {
  status: number
  reason: string
  code: ApiErrorCode
  message: string
  retryAfter?: number
}

/** The answer as it goes over the line, in the documented form. */
export function plainText(
  { status, reason, code, message, retryAfter }: PlainAnswer,
  requestId: string,
): string {
  const details = retryAfter === undefined ? {} : { details: { retryAfter } }
  const body = JSON.stringify({ success: false, error: { code, message, ...details }, requestId })
  const headers = [
    'content-type: application/json; charset=utf-8',
    `x-request-id: ${requestId}`,
    ...(retryAfter === undefined ? [] : [`retry-after: ${retryAfter}`]),
    `content-length: ${Buffer.byteLength(body)}`,
    `date: ${systemClock.now().toUTCString()}`,
    'connection: close',
  ]
  return `HTTP/1.1 ${status} ${reason}\r\n${headers.join('\r\n')}\r\n\r\n${body}`
}

const malformed: PlainAnswer = {
  status: 400,
  reason: 'Bad Request',
  code: 'VALIDATION_ERROR',
  message: 'This is not a well-formed HTTP request.',
}
const tooSlow: PlainAnswer = {
  status: 408,
  reason: 'Request Timeout',
  code: 'VALIDATION_ERROR',
  message: 'The request took too long to arrive.',
}
const kilobytes = maxHeaderSize / 1024
const headersTooLarge: PlainAnswer = {
  status: 431,
  reason: 'Request Header Fields Too Large',
  code: 'PAYLOAD_TOO_LARGE',
  message: `The headers are too large: with the URL they may have ${kilobytes} KB.`,
}
const urlTooLong: PlainAnswer = {
  status: 414,
  reason: 'URI Too Long',
  code: 'PAYLOAD_TOO_LARGE',
  message: `The URL is too long: with the headers it may have ${kilobytes} KB.`,
}
const noProxy: PlainAnswer = {
  status: 400,
  reason: 'Bad Request',
  code: 'VALIDATION_ERROR',
  message: 'This server is no proxy: it takes no CONNECT.',
}

/** As node tells it; the framework's own type knows another packet. */
interface ClientError {
  code?: string | undefined
  rawPacket?: unknown
}

/** Answers what is no HTTP, or too slow or too long. Gives the answer, or undefined where none could be given. */
export function answerClientError(
  error: ClientError,
  socket: Socket,
  options: { requestId: string; partingMs: number },
): PlainAnswer | undefined {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return undefined
  }
  const due = dueOn(socket)
  if (due !== undefined) {
    // what is due must not be written over: it is sent, and is the last; of half a request nothing will come
    if (due.req.complete) partWhenAnswered(socket, options.partingMs)
    else socket.destroy()
    return undefined
  }
  const answer = answerTo(error)
  socket.write(plainText(answer, options.requestId))
  partFrom(socket, options.partingMs)
  return answer
}

/** The answer that is due or under way on a connection. */
function dueOn(socket: Socket): ServerResponse | undefined {
  return (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

/** Sends every answer that is due, those to requests behind the first as well, and takes nothing more. */
function partWhenAnswered(socket: Socket, ms: number): void {
  takeFromParser(socket)
  socket.on('data', () => {})
  const next = () => {
    const due = dueOn(socket)
    if (due === undefined) partFrom(socket, ms)
    else due.once('close', () => setImmediate(next))
  }
  next()
}

function answerTo({ code, rawPacket }: ClientError): PlainAnswer {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return tooSlow
  if (code !== 'HPE_HEADER_OVERFLOW') return malformed
  if (!Buffer.isBuffer(rawPacket)) return headersTooLarge
  // a packet that begins with a request line which does not end
  const lineEnd = rawPacket.indexOf('\n')
  const isInFirstLine = lineEnd < 0 || lineEnd >= maxHeaderSize
  const isRequestLine = /^[A-Z]+ [/h]/.test(rawPacket.toString('latin1', 0, 20))
  return isInFirstLine && isRequestLine ? urlTooLong : headersTooLarge
}

/** Hears of an answer of this kind. */
export type TellPlain = (answer: PlainAnswer, requestId: string, socket: Socket) => void

/** Answers what node leaves to us and the framework does not know: CONNECT, and expectations that nobody meets. */
export function answerOddRequests(
  server: Server,
  options: { newRequestId: () => string; partingMs: number; tell: TellPlain },
): void {
  const answer = (socket: Socket, plain: PlainAnswer) => {
    const requestId = options.newRequestId()
    socket.write(plainText(plain, requestId))
    options.tell(plain, requestId, socket)
    partFrom(socket, options.partingMs)
  }
  server.on('connect', (_request, socket) => answer(socket as Socket, noProxy))
  server.on('checkExpectation', ({ headers, socket }) => {
    const message = `The header "Expect: ${String(headers.expect).slice(0, 100)}" is not one that this server meets: send 100-continue, or none.`
    answer(socket, { status: 417, reason: 'Expectation Failed', code: 'VALIDATION_ERROR', message })
  })
}
