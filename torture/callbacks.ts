import { setTimeout as sleep } from 'node:timers/promises'
import type { CallbackHabit } from './script.ts'

interface Call {
  url: string
  body: { id: string; client_id: string; status: string }
  /** The gateway must not take it. */
  isForged: boolean
}

export interface Change {
  id: string
  clientId: string
  status: string
  isEnd: boolean
}

/** What is sent when a job has changed; others, later in time, get what a careless or hostile sender does. */
export function callbacksFor(habit: CallbackHabit, url: string, change: Change): Call[] {
  const { id, clientId, status, isEnd } = change
  const call = (changed: Partial<Call['body']> = {}, to = url, isForged = false): Call => ({
    url: to,
    body: { id, client_id: clientId, status, ...changed },
    isForged,
  })
  switch (habit) {
    case 'none':
      return []
    case 'each change':
      return [call()]
    case 'several times':
      return [call(), call(), call()]
    case 'out of order':
      return isEnd ? [call(), call({ status: 'processing' }), call({ status: 'queued' })] : []
    case 'forged':
      return [
        call({ status: 'succeeded' }, withOtherSignature(url), true),
        call({}, url.replace('/callbacks/', '/callbacks/x'), true),
        // with the true address: it may be believed in nothing
        call({ status: 'succeeded' }),
        call({ id: 'up_1', client_id: 'job_1', status: 'failed' }),
      ]
  }
}

/** Its first character: the last one holds bits that count for nothing. */
function withOtherSignature(url: string): string {
  return url.replace(/\.([\w-])([\w-]{42})$/, (_, first, rest) => `.${first === 'A' ? 'B' : 'A'}${rest}`)
}

/** Sends one callback, once more if nobody was there; true if it was taken. */
export async function sendCallback({ url, body }: Call): Promise<boolean> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const answer = await fetch(url, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
        signal: AbortSignal.timeout(5_000),
      })
      await answer.arrayBuffer()
      return answer.ok
    } catch {
      await sleep(1_000)
    }
  }
  return false
}
