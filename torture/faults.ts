import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AskFate, SubmitFate } from './script.ts'

/** An answer as an upstream gave it, or as it is to be given. */
export interface Answer {
  status: number
  headers?: Record<string, string>
  body: Buffer | string
}

/** Behind which no more of an answer is read. */
const floodBytes = 12 * 1024 * 1024

export function answer(response: ServerResponse, { status, headers = {}, body }: Answer): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body)
}

const bad: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  resets: (request) => request.socket.resetAndDestroy(),
  'is cut off': (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 500 })
    response.write('{"code": 0, "data": [{"id": "', () => request.socket.destroy())
  },
  babbles: (_, response) => void response.writeHead(200).end('{"code": 0, "data": [{"id": <html>'),
  floods: (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"pad": "')
    response.end(`${'x'.repeat(floodBytes)}"}`)
  },
  'names no task': (_, response) =>
    void response.writeHead(200).end('{"code": 0, "message": "SUCCEED", "data": {}}'),
  // until the other side has had enough
  'is silent': () => {},
}

/** Answers as the fate has it; false if it is for the caller to answer well. */
export async function answerBadly(
  fate: SubmitFate | AskFate,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (fate.endsWith('slowly')) await sleep(1_500)
  const answerAs = bad[fate.replace(/^accepts, then |, accepts later$/, '')]
  answerAs?.(request, response)
  return answerAs !== undefined
}
