import { between, pick, seededRandom } from '../src/providers/sandbox/random.ts'
import type { Habit } from './receivers.ts'
import type { Temper } from './script.ts'

/** Kling comes first, and fal is there as well. */
const textModel = 'kling/kling-3.0-standard/text-to-video'
/** Kling alone; with a negative prompt by its legacy standard. */
const loneModel = 'kling-plus/kling-2.6-standard/text-to-video'
/** fal comes first, and Kling is there as well. */
const otherModel = 'kling-plus/kling-o3-standard/text-to-video'
const pictureModel = 'kling/kling-omni-o1/image-to-video'
/** Kling makes an element first, out of pictures. */
const elementModel = 'kling/kling-elements-i2v-v3/image-to-video-elements'
export const takesPictures = ({ model }: Order) => model === pictureModel || model === elementModel

/** What a client does; it depends on the seed and the number alone. */
export interface Order {
  number: number
  temper: Temper
  customer: number
  model: string
  /** With an Idempotency-Key it asks until it knows; without one it asks once. */
  hasKey: boolean
  /** Its time is over before it is done. */
  isLate: boolean
  isNegative: boolean
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
    model: modelOf(random()),
    hasKey,
    isLate,
    isNegative: chance(0.5),
    isDoubled: hasKey && chance(0.1),
    prefersWait: chance(0.05),
    webhook: chance(0.7) ? habitOf(random(), temper) : undefined,
    cancelAfterMs: chance(0.12) ? between(random, 0, 1_500) : undefined,
    watches: pick(random, ['gets', 'events', 'nothing', 'nothing']),
  }
}

function modelOf(share: number): string {
  if (share < 0.45) return textModel
  if (share < 0.7) return loneModel
  if (share < 0.86) return otherModel
  return share < 0.94 ? pictureModel : elementModel
}

function habitOf(share: number, temper: Temper): Habit {
  if (temper === 'calm' || share < 0.75) return 'takes'
  if (share < 0.85 || temper === 'mild') return share < 0.9 ? 'fails once' : 'drops once'
  if (share < 0.9) return 'drops once'
  if (share < 0.96) return 'fails thrice'
  return share < 0.985 ? 'hangs once' : 'redirects'
}

/** The body of its submit; the prompt tells the upstreams which script to follow. */
export function bodyOf(order: Order, urls: { picture: string; webhook: string | undefined }) {
  const prompt = `order ${order.number}${order.isLate ? ', late' : ''}${order.temper === 'calm' ? ', calm' : ''}`
  return {
    model: order.model,
    input: {
      prompt,
      ...(takesPictures(order) && { image_url: urls.picture }),
      ...(order.model === elementModel && { elements: [{ characterImages: [urls.picture], name: 'Ann' }] }),
      ...(order.model === loneModel && order.isNegative && { negative_prompt: 'rain' }),
    },
    metadata: { order: String(order.number), ...(order.isLate && { late: 'yes' }) },
    ...(urls.webhook !== undefined && { webhookUrl: urls.webhook }),
  }
}
