import { randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { Clock } from '../../src/clock.ts'
import { type Callback, callBack } from './callback.ts'
import type { Task } from './kling-tasks.ts'
import { isLoopback } from './media.ts'

export interface Callbacks {
  /** Those that were sent, with what the receiver answered. */
  sent: Callback[]
  /** Tells the task's callback URL, if it has one, after what it was told before. */
  tell(task: Task, body: object): void
  close(): Promise<void>
}

// nothing is written of a second attempt
const once = { attempts: 1, timeoutMs: 5_000, gapMs: 0 }

/** Callbacks signed by each of the secrets; without any they are not signed. */
export function openCallbacks(clock: Clock, secrets: string[], signsLegacy: boolean): Callbacks {
  const sent: Callback[] = []
  const lines = new Map<string, Promise<void>>()
  const stopping = new AbortController()
  const sign = (body: string) => signature(secrets, body, clock.now())
  return {
    sent,
    tell({ id, order: { callbackUrl: url }, product }, body) {
      // whatever else a test names as its callback is not ours to call
      if (url === undefined || !isLoopback(url)) return
      const isSigned = secrets.length > 0 && (product.generation === 'new' || signsLegacy)
      const text = JSON.stringify(body)
      const send = () =>
        callBack(url, text, isSigned ? sign : () => ({}), once, (one) => sent.push(one), stopping.signal)
      lines.set(id, (lines.get(id) ?? Promise.resolve()).then(send))
    },
    async close() {
      stopping.abort()
      await Promise.all(lines.values())
    },
  }
}

/** The headers of Standard Webhooks, with a signature by each secret. */
function signature(secrets: string[], body: string, at: Date): Record<string, string> {
  const id = randomUUID()
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  }
}
