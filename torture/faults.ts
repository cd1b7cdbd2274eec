import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AskFate, SubmitFate } from './script.ts'

/** Behind which no more of an answer is read. */
const floodBytes = 12 * 1024 * 1024

export function answer(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

const bad: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '429': (_, response) => answer(response, 429, { error: 'too_many_requests' }),
  '429 with Retry-After': (_, response) =>
    answer(response, 429, { error: 'too_many_requests' }, { 'retry-after': '1' }),
  '500': (_, response) => answer(response, 500, { error: 'internal' }),
  '503': (_, response) => answer(response, 503, { error: 'not_accepting' }),
  '400': (_, response) => answer(response, 400, { error: 'content_policy', message: 'Not this prompt.' }),
  resets: (request) => request.socket.resetAndDestroy(),
  'is cut off': (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 500 })
    response.write('{"jobs": [{"id": "', () => request.socket.destroy())
  },
  babbles: (_, response) => void response.writeHead(200).end('{"jobs": [{"id": <html>'),
  floods: (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"pad": "')
    response.end(`${'x'.repeat(floodBytes)}"}`)
  },
  // until the other side has had enough
  'is silent': () => {},
}

const manner: Partial<Record<SubmitFate, string>> = {
  'accepts, then 500': '500',
  'accepts, then resets': 'resets',
  'accepts, then is cut off': 'is cut off',
  'accepts, then babbles': 'babbles',
  'accepts, then floods': 'floods',
  'accepts, then is silent': 'is silent',
  'resets, accepts later': 'resets',
}

/** Answers as the fate has it; false if it is for the caller to answer well. */
export async function answerBadly(
  fate: SubmitFate | AskFate,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (fate.endsWith('slowly')) await sleep(1_500)
  const answerAs = bad[manner[fate as SubmitFate] ?? fate]
  answerAs?.(request, response)
  return answerAs !== undefined
}
