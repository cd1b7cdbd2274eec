import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadCatalogue } from '../catalogue/load.ts'
import { type Price, type Pricing, price } from './price.ts'

const { models } = loadCatalogue()
const imageToVideo = models.get('kling/kling-omni-o1/image-to-video')!.versions[0]!.pricing
const textToVideo = models.get('kling-plus/kling-o3-standard/text-to-video')!.versions[0]!.pricing

function priced(pricing: Pricing, input: Record<string, unknown>): Price {
  const answer = price(pricing, input)
  if ('field' in answer) assert.fail(`${answer.field} has no price for ${answer.value}`)
  return answer
}

function sumOf({ breakdown }: Price): bigint {
  return breakdown.reduce((sum, entry) => sum + BigInt(entry.costMicroCents), 0n)
}

/** Numbers from 0 up to 1, the same in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

test('every row of Kling O1 costs what its page says', () => {
  for (const [duration, quality, cost] of [
    ['5', 'std', 350_000n],
    ['10', 'std', 700_000n],
    ['5', 'pro', 525_000n],
    ['10', 'pro', 1_050_000n],
  ] as const) {
    const answer = priced(imageToVideo, { duration, quality })
    assert.equal(answer.costMicroCents, cost)
    assert.equal(sumOf(answer), cost)
  }
})

test('every row of Kling O3 Standard costs what its page says', () => {
  for (let seconds = 3; seconds <= 15; seconds++) {
    const duration = String(seconds)
    assert.equal(
      priced(textToVideo, { duration, has_sound: 'false' }).costMicroCents,
      BigInt(84_000 * seconds),
    )
    assert.equal(
      priced(textToVideo, { duration, has_sound: 'true' }).costMicroCents,
      BigInt(126_000 * seconds),
    )
  }
})

test('the breakdown starts with the base cost and tells what each factor adds', () => {
  assert.deepEqual(priced(imageToVideo, { duration: '10', quality: 'pro' }).breakdown, [
    { component: 'base_generation', costMicroCents: 70_000 },
    { component: 'duration', costMicroCents: 630_000, value: '10', multiplier: '10' },
    { component: 'quality', costMicroCents: 350_000, value: 'pro', multiplier: '1.5' },
  ])
})

test('a factor below one takes off in the breakdown', () => {
  const pricing: Pricing = { baseCostMicroCents: 7, unit: 'per_request', factors: { size: { small: '0.5' } } }
  const answer = priced(pricing, { size: 'small' })
  assert.equal(answer.costMicroCents, 4n)
  assert.deepEqual(answer.breakdown[1], {
    component: 'size',
    costMicroCents: -3,
    value: 'small',
    multiplier: '0.5',
  })
})

test('the breakdown sums to the price where every step has a fraction', () => {
  const third = { on: '1.3333' }
  const pricing: Pricing = {
    baseCostMicroCents: 1,
    unit: 'per_request',
    factors: { a: third, b: third, c: third, d: { on: '0.0001' }, e: { on: '9999.9999' } },
  }
  const answer = priced(pricing, { a: 'on', b: 'on', c: 'on', d: 'on', e: 'on' })
  // 1.3333³ × 0.99999999
  assert.equal(answer.costMicroCents, 2n)
  assert.equal(sumOf(answer), 2n)
})

test('rounding happens once, at the very end', () => {
  // 0.5 rounded at each step would give 1 × 2 × 2 = 4 of what is exactly 2
  const pricing: Pricing = {
    baseCostMicroCents: 1,
    unit: 'per_request',
    factors: { a: { on: '0.5' }, b: { on: '2' }, c: { on: '2' } },
  }
  assert.equal(priced(pricing, { a: 'on', b: 'on', c: 'on' }).costMicroCents, 2n)
})

test('a field without a value, and a field that has no price, do not count', () => {
  assert.equal(priced(imageToVideo, {}).costMicroCents, 70_000n)
  assert.equal(priced(imageToVideo, { duration: undefined, prompt: 'x' }).costMicroCents, 70_000n)
})

test('a value without a multiplier is answered with its field and the options, never priced', () => {
  for (const duration of ['7', '', null, 'constructor', '__proto__', 'toString', {}, ['10', '5']]) {
    assert.deepEqual(price(imageToVideo, { duration, quality: 'pro' }), {
      field: 'duration',
      value: duration,
      options: ['5', '10'],
    })
  }
})

test('2,000 random price lists agree with fractions of whole numbers', () => {
  const random = randomNumbers(20_261_121)
  const digits = (most: number) => String(Math.floor(random() * 10 ** (1 + Math.floor(random() * most))))
  for (let round = 0; round < 2_000; round++) {
    const base = 1 + Math.floor(random() * 1_000_000)
    const factors: Pricing['factors'] = {}
    const input: Record<string, string> = {}
    let numerator = BigInt(base)
    let denominator = 1n
    for (let index = 0; index < 1 + Math.floor(random() * 5); index++) {
      const fraction = random() < 0.8 ? digits(4) : ''
      const whole = digits(2)
      factors[`field_${index}`] = { chosen: fraction === '' ? whole : `${whole}.${fraction}`, other: '1' }
      input[`field_${index}`] = 'chosen'
      numerator *= BigInt(whole + fraction)
      denominator *= BigInt(`1${'0'.repeat(fraction.length)}`)
    }
    const whole = numerator / denominator
    const isHalfOrMore = (numerator % denominator) * 2n >= denominator
    const answer = priced({ baseCostMicroCents: base, unit: 'per_request', factors }, input)
    const about = `${base} × ${JSON.stringify(factors)}`
    assert.equal(answer.costMicroCents, isHalfOrMore ? whole + 1n : whole, about)
    assert.equal(sumOf(answer), answer.costMicroCents, about)
  }
})
