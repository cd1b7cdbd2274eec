import { between, pick, seededRandom } from '../src/providers/sandbox/random.ts'
import type { Habit } from './receivers.ts'
import type { Temper } from './script.ts'

/** Jobs of this model get three seconds; those of the others two minutes. */
export const lateModel = 'kling/kling-3.0-pro/text-to-video'
export const textModel = 'kling-plus/kling-o3-standard/text-to-video'
export const pictureModel = 'kling/kling-omni-o1/image-to-video'
export const timeLimitsMs = { [lateModel]: 3_000 }

/** What a client does; it depends on the seed and the number alone. */
export interface Order {
  number: number
  temper: Temper
  customer: number
  model: string
  /** With an Idempotency-Key it asks until it knows; without one it asks once. */
  hasKey: boolean
  /** It asks two servers at once. */
  isDoubled: boolean
  /** It waits for the end with the submit itself. */
  prefersWait: boolean
  webhook: Habit | undefined
  cancelAfterMs: number | undefined
  watches: 'gets' | 'events' | 'nothing'
}

export const customerCount = 6

export function orderOf(seed: number, number: number, temper: Temper): Order {
  const random = seededRandom(seed, `client ${number}`)
  const chance = (share: number) => random() < share
  // first, so that it depends on nothing else
  const customer = Math.floor(random() * customerCount)
  const hasKey = chance(0.6)
  const isLate = temper !== 'calm' && chance(0.03)
  return {
    number,
    temper,
    customer,
    model: isLate ? lateModel : chance(0.1) ? pictureModel : textModel,
    hasKey,
    isDoubled: hasKey && chance(0.1),
    prefersWait: chance(0.05),
    webhook: chance(0.7) ? habitOf(random(), temper) : undefined,
    cancelAfterMs: chance(0.12) ? between(random, 0, 1_500) : undefined,
    watches: pick(random, ['gets', 'events', 'nothing', 'nothing']),
  }
}

function habitOf(share: number, temper: Temper): Habit {
  if (temper === 'calm' || share < 0.75) return 'takes'
  if (share < 0.85 || temper === 'mild') return share < 0.9 ? 'fails once' : 'drops once'
  if (share < 0.9) return 'drops once'
  if (share < 0.96) return 'fails thrice'
  return share < 0.985 ? 'hangs once' : 'redirects'
}

export const isLate = (order: Order) => order.model === lateModel

/** The body of its submit; the prompt tells the upstream which script to follow. */
export function bodyOf(order: Order, urls: { picture: string; webhook: string | undefined }) {
  const prompt = `order ${order.number}${isLate(order) ? ', late' : ''}${order.temper === 'calm' ? ', calm' : ''}`
  const isPicture = order.model === pictureModel
  return {
    model: order.model,
    input: isPicture ? { prompt, image_url: urls.picture } : { prompt },
    metadata: { order: String(order.number) },
    ...(urls.webhook !== undefined && { webhookUrl: urls.webhook }),
  }
}
