import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AgreedPrice,
  agreedPrice,
  mostSpecific,
  overriddenPricing,
  type PriceOverride,
} from './override.ts'
import type { Pricing } from './price.ts'

const model = { slug: 'kling/kling-omni-o1/image-to-video', provider: { id: 'kling' } }
const pricing: Pricing = {
  baseCostMicroCents: 70_000,
  unit: 'per_second',
  factors: { duration: { '5': '5', '10': '10' }, quality: { std: '1', pro: '1.5' } },
}
const plain = (baseCostMicroCents: number): Pricing => ({
  baseCostMicroCents,
  unit: 'per_request',
  factors: {},
})

type Terms = Parameters<typeof overriddenPricing>[1]
const forUser = (terms: Terms, id = 'override_1'): PriceOverride => ({
  id,
  subject: { userId: 'user_1' },
  scope: 'all',
  ...terms,
})
const off = (percentage: string) => forUser({ kind: 'percentage_discount', percentage })

function agreed(
  pricing: Pricing,
  overrides: PriceOverride[],
  input: Record<string, unknown> = {},
): AgreedPrice {
  const answer = agreedPrice(pricing, overrides, model, input)
  if ('field' in answer) assert.fail(`${answer.field} has no price for ${answer.value}`)
  return answer
}
const cost = (...asked: Parameters<typeof agreed>) => agreed(...asked).costMicroCents

test('without an override the price is the list price', () => {
  const { costMicroCents, list, override } = agreed(pricing, [], { duration: '5', quality: 'std' })
  assert.equal(costMicroCents, 350_000n)
  assert.equal(list.costMicroCents, 350_000n)
  assert.equal(override, undefined)
})

test('a percentage comes off exactly, and half a micro-cent is rounded up', () => {
  for (const [base, percentage, expected] of [
    [1, '12.5', 1n], // 0.875
    [3, '12.5', 3n], // 2.625
    [4, '12.5', 4n], // 3.5
    [12, '12.5', 11n], // 10.5
    [84_001, '12.5', 73_501n], // 73,500.875
    [84_003, '12.5', 73_503n], // 73,502.625
    [1_000_000, '0.0001', 999_999n],
    [999_999_999, '33.333333', 666_666_669n], // 666,666,669.33…
    [7, '50', 4n], // 3.5
    [7, '100', 0n],
  ] as const) {
    assert.equal(cost(plain(base), [off(percentage)]), expected, `${percentage} % off ${base}`)
  }
})

test('the discounted price is rounded once, from the exact product', () => {
  const halves: Pricing = { ...plain(3), factors: { quality: { pro: '1.5' } } }
  const { costMicroCents, list } = agreed(halves, [off('50')], { quality: 'pro' })
  assert.equal(list.costMicroCents, 5n) // 4.5
  assert.equal(costMicroCents, 2n) // 2.25; half of the rounded 5 would have been 3
})

test('discounts agree with fractions of whole numbers for many prices with multipliers of four decimals', () => {
  for (let step = 1; step <= 2_000; step++) {
    const base = step * 7_919
    const [first, second] = [10_001n + BigInt(step * 37), 5_003n + BigInt(step * 11)]
    const percentage = BigInt(1 + ((step * 613) % 9_999)) // in hundredths of a percent
    const decimal = (digits: bigint, places: number) =>
      `${digits / 10n ** BigInt(places)}.${String(digits % 10n ** BigInt(places)).padStart(places, '0')}`
    const factors = { a: { x: decimal(first, 4) }, b: { x: decimal(second, 4) } }
    const numerator = BigInt(base) * first * second * (10_000n - percentage)
    const denominator = 10n ** 12n
    const found = cost({ ...plain(base), factors }, [off(decimal(percentage, 2))], { a: 'x', b: 'x' })
    assert.equal(found, (2n * numerator + denominator) / (2n * denominator), `step ${step}`)
  }
})

test('a fixed price is for the whole job, whatever its input', () => {
  const fixed = forUser({ kind: 'fixed_price', priceMicroCents: 123_457 })
  for (const input of [{}, { duration: '10', quality: 'pro' }]) {
    assert.equal(cost(pricing, [fixed], input), 123_457n)
  }
  assert.equal(cost(pricing, [forUser({ kind: 'fixed_price', priceMicroCents: 0 })]), 0n)
})

test('own factors stand in for the options they name, and leave the others', () => {
  const own = forUser({
    kind: 'custom_dynamic',
    factors: {
      duration: { '5': '4.0001', '99': '0' },
      unknown: { x: '0' },
      constructor: { name: '0' },
    },
  })
  for (const [input, expected] of [
    [{ duration: '5', quality: 'std' }, 280_007n],
    [{ duration: '5', quality: 'pro' }, 420_011n], // 420,010.5
    [{ duration: '10', quality: 'pro' }, 1_050_000n],
  ] as const) {
    const found = agreed(pricing, [own], input)
    assert.equal(found.costMicroCents, expected)
    assert.equal(found.override, own)
  }
  assert.deepEqual(overriddenPricing(pricing, own).factors, {
    duration: { '5': '4.0001', '10': '10' },
    quality: { std: '1', pro: '1.5' },
  })
})

test('what is shown: a fixed price per request, a percentage beside the unchanged list', () => {
  assert.deepEqual(overriddenPricing(pricing, { kind: 'fixed_price', priceMicroCents: 9 }), plain(9))
  assert.deepEqual(overriddenPricing(pricing, { kind: 'percentage_discount', percentage: '10' }), pricing)
})

test('the user counts before segments, then the model before its provider before all', () => {
  const fixed = { kind: 'fixed_price', priceMicroCents: 1 } as const
  const ranked = [{ userId: 'user_1' }, { segment: 'studios' }].flatMap((subject) =>
    [{ modelSlug: model.slug }, { providerId: 'kling' }, 'all' as const].map(
      (scope, index): PriceOverride => ({
        id: `${JSON.stringify(subject)} ${index}`,
        subject,
        scope,
        ...fixed,
      }),
    ),
  )
  const foreign: PriceOverride[] = [
    { id: 'a', subject: { userId: 'user_1' }, scope: { modelSlug: `${model.slug}-other` }, ...fixed },
    { id: 'b', subject: { userId: 'user_1' }, scope: { providerId: 'kling-plus' }, ...fixed },
  ]
  for (let first = 0; first < ranked.length; first++) {
    const present = [...foreign, ...ranked.slice(first).reverse()]
    assert.deepEqual(mostSpecific(present, model), [ranked[first]])
    assert.equal(agreed(pricing, present).override, ranked[first])
  }
  assert.deepEqual(mostSpecific(foreign, model), [])
  assert.equal(agreed(pricing, foreign).override, undefined)
})

test('of segments that count alike the cheapest for the input wins, whatever their order', () => {
  const ofSegment = (id: string, terms: Terms): PriceOverride => ({
    id,
    subject: { segment: id },
    scope: 'all',
    ...terms,
  })
  const half = ofSegment('half', { kind: 'percentage_discount', percentage: '50' })
  const fixed = ofSegment('fixed', { kind: 'fixed_price', priceMicroCents: 300_000 })
  for (const overrides of [
    [half, fixed],
    [fixed, half],
  ]) {
    assert.equal(agreed(pricing, overrides, { duration: '5' }).override, half)
    assert.equal(agreed(pricing, overrides, { duration: '10' }).override, fixed)
  }
})

test('of equally cheap terms that with the lowest id counts, whatever their order', () => {
  const [low, high] = ['override_1', 'override_2'].map((id) =>
    forUser({ kind: 'fixed_price', priceMicroCents: 5 }, id),
  ) as [PriceOverride, PriceOverride]
  assert.equal(agreed(pricing, [low, high]).override, low)
  assert.equal(agreed(pricing, [high, low]).override, low)
})

test('a value without a price is told with its field, with an override as without', () => {
  for (const overrides of [[], [off('10')], [forUser({ kind: 'fixed_price', priceMicroCents: 1 })]]) {
    const answer = agreedPrice(pricing, overrides, model, { duration: '7' })
    assert.ok('field' in answer && answer.field === 'duration' && answer.value === '7')
  }
})
