import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Markup, markedUp } from './markup.ts'
import { agreedPrice, type PriceOverride, type PriceTerms } from './override.ts'
import { type Pricing, price } from './price.ts'

const model = { slug: 'kling/kling-omni-o1/image-to-video', provider: { id: 'kling' } }
const catalogue: Pricing = {
  baseCostMicroCents: 70_000,
  unit: 'per_second',
  factors: { duration: { '5': '5', '10': '10' }, quality: { std: '1', pro: '1.5' } },
}
const markup = (percentage: string, scope: Markup['scope'] = 'all'): Markup => ({
  id: `markup_${percentage}`,
  subject: 'everybody',
  scope,
  kind: 'percentage_markup',
  percentage,
})

function costOf(pricing: Pricing, input: Record<string, unknown> = {}): bigint {
  const priced = price(pricing, input)
  if ('field' in priced) assert.fail(`${priced.field} has no price`)
  const sum = priced.breakdown.reduce((total, { costMicroCents }) => total + costMicroCents, 0)
  assert.equal(BigInt(sum), priced.costMicroCents, 'the breakdown adds up')
  return priced.costMicroCents
}

test('a markup is computed exactly, and half a micro-cent rounded up once, at the very end', () => {
  const flat = (baseCostMicroCents: number): Pricing => ({ ...catalogue, baseCostMicroCents })
  for (const [base, percentage, expected] of [
    [70_000, '20', 420_000n],
    [70_000, '0', 350_000n],
    [70_000, '1000', 3_850_000n],
    // 1.1 × 5 = 5.5: rounded before the seconds it would be 5
    [1, '10', 6n],
    [3, '12.5', 17n], // 16.875
    [1, '0.000000001', 5n],
    [1, '9.999999999', 5n], // 5.49…
  ] as const) {
    const listed = markedUp(flat(base), [markup(percentage)], model)
    assert.equal(costOf(listed, { duration: '5', quality: 'std' }), expected, `${base} + ${percentage} %`)
  }
})

test('the most specific markup counts alone, and 0 takes a model out of a wider one', () => {
  const all = markup('10')
  const ofProvider = markup('20', { providerId: 'kling' })
  const ofModel = markup('0', { modelSlug: model.slug })
  const elsewhere = [markup('90', { providerId: 'fal' }), markup('80', { modelSlug: 'kling/other/edit' })]
  const cost = (...markups: Markup[]) => costOf(markedUp(catalogue, [...elsewhere, ...markups], model))
  assert.equal(cost(), 70_000n)
  assert.equal(cost(all), 77_000n)
  assert.equal(cost(ofProvider, all), 84_000n)
  assert.equal(cost(all, ofModel, ofProvider), 70_000n)
})

/** Numbers in the order of a seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
}

test('under 2,000 random overrides and markups the breakdown adds up to the price', () => {
  const random = randomFrom(7)
  const decimal = (below: number) => `${random(below)}.${String(random(1_000_000_000)).padStart(9, '0')}`
  const kinds: (() => PriceTerms)[] = [
    () => ({ kind: 'percentage_discount', percentage: decimal(100) }),
    () => ({ kind: 'fixed_price', priceMicroCents: random(2_000_000) }),
    () => ({
      kind: 'custom_dynamic',
      factors: { duration: { '5': decimal(20) }, quality: { std: decimal(3), pro: decimal(3) } },
    }),
  ]
  const seen = { dearer: 0, cheaper: 0, same: 0 }
  for (let turn = 0; turn < 2_000; turn++) {
    const listed = { ...catalogue, baseCostMicroCents: random(500_000) }
    const pricing = markedUp(listed, turn % 2 === 0 ? [] : [markup(decimal(1_000))], model)
    const terms = kinds[turn % 4]?.()
    const override = terms && ({ id: 'o', subject: { userId: 'u' }, scope: 'all', ...terms } as PriceOverride)
    const input = { duration: ['5', '10'][random(2)], quality: ['std', 'pro'][random(2)] }
    const agreed = agreedPrice(pricing, override === undefined ? [] : [override], model, input)
    if ('field' in agreed) assert.fail(`${agreed.field} has no price`)
    const { breakdown, costMicroCents, list } = agreed
    for (const entry of breakdown) assert.ok(Number.isSafeInteger(entry.costMicroCents))
    const sum = breakdown.reduce((total, entry) => total + BigInt(entry.costMicroCents), 0n)
    assert.equal(sum, costMicroCents, JSON.stringify({ terms, pricing, input }))
    const own = breakdown.filter(({ component }) => component === 'agreed_price')
    assert.equal(own.length, override === undefined ? 0 : 1)
    const difference = costMicroCents - list.costMicroCents
    assert.equal(BigInt(own[0]?.costMicroCents ?? 0), difference)
    seen[difference > 0n ? 'dearer' : difference < 0n ? 'cheaper' : 'same']++
  }
  assert.ok(Math.min(...Object.values(seen)) > 100, JSON.stringify(seen))
})
