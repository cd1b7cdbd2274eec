import { setTimeout as sleep } from 'node:timers/promises'
import type { CallbackHabit } from './script.ts'

/** A callback on its way from an upstream to the gateway. */
export interface Callback {
  path: string
  headers: Record<string, string>
  body: Buffer
}

/** What is delivered in its place. */
export interface Delivery extends Callback {
  kind: 'genuine' | 'at a wrong address' | 'unsigned' | 'altered'
  afterMs?: number
}

const unsigned = { 'content-type': 'application/json' }

/** What becomes of a callback on its way, and what a hostile sender adds. */
export function deliveriesOf(habit: CallbackHabit, callback: Callback): Delivery[] {
  const genuine: Delivery = { ...callback, kind: 'genuine' }
  const { path, body } = callback
  // it is not known whether Kling signs them: they may come without
  const isLegacy = body.includes('"task_id"')
  switch (habit) {
    case 'none':
      return []
    case 'each change':
      return [genuine]
    case 'several times':
      return [genuine, genuine, genuine]
    case 'late':
      // the first one, which tells of the least, longest
      return [{ ...genuine, afterMs: body.includes('"processing"') ? 5_000 : 2_500 }]
    case 'forged':
      return [
        { ...genuine, kind: 'at a wrong address', path: withOtherToken(path) },
        { ...genuine, kind: 'at a wrong address', path: path.replace('/callbacks/', '/callbacks/x') },
        ...(isLegacy ? [] : [{ ...genuine, kind: 'unsigned' as const, headers: unsigned }]),
        { ...genuine, kind: 'altered', body: Buffer.concat([body, Buffer.from(' ')]) },
        genuine,
      ]
  }
}

/** Its first character: the last one holds bits that count for nothing. */
function withOtherToken(path: string): string {
  return path.replace(/\.([\w-])([\w-]{42})$/, (_, first, rest) => `.${first === 'A' ? 'B' : 'A'}${rest}`)
}

const retries = 12
const retryEveryMs = 5_000

/** Delivers in turn. `persists`: a genuine one that is not taken comes again. */
export async function deliver(
  deliveries: Delivery[],
  persists: boolean,
  send: (delivery: Delivery) => Promise<number>,
): Promise<void> {
  for (const delivery of deliveries) {
    await sleep(delivery.afterMs ?? 0)
    let status = await send(delivery)
    for (let left = retries; persists && delivery.kind === 'genuine' && status >= 300 && left > 0; left--) {
      await sleep(retryEveryMs)
      status = await send(delivery)
    }
  }
}
