import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coalesce } from './coalesce.ts'

/** Doubles numbers, in batches that are written down; a batch ends when the test lets it. */
function doubling(maxItems: number) {
  const batches: number[][] = []
  const gates: PromiseWithResolvers<void>[] = []
  const double = coalesce(maxItems, async (items: number[]) => {
    batches.push(items)
    const gate = Promise.withResolvers<void>()
    gates.push(gate)
    await gate.promise
    return items.map((item) => item * 2)
  })
  const started = async (count: number) => {
    while (batches.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  return { batches, gates, double, started }
}

test('calls of one turn share one run, and each gets its own result', async () => {
  const { batches, gates, double, started } = doubling(100)
  const results = Promise.all([3, 1, 2].map(double))
  await started(1)
  gates[0]!.resolve()
  assert.deepEqual(await results, [6, 2, 4])
  assert.deepEqual(batches, [[3, 1, 2]])
})

test('calls that arrive during a run go to the next together, in their order', async () => {
  const { batches, gates, double, started } = doubling(100)
  const first = double(1)
  await started(1)
  const later = Promise.all([5, 4, 3].map(double))
  gates[0]!.resolve()
  assert.equal(await first, 2)
  await started(2)
  gates[1]!.resolve()
  assert.deepEqual(await later, [10, 8, 6])
  assert.deepEqual(batches, [[1], [5, 4, 3]])
})

test('no run gets more than the most, and none runs beside another', async () => {
  let running = 0
  const sizes: number[] = []
  const identity = coalesce(4, async (items: number[]) => {
    assert.equal(++running, 1)
    sizes.push(items.length)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    return items
  })
  const items = Array.from({ length: 10 }, (_, index) => index)
  assert.deepEqual(await Promise.all(items.map(identity)), items)
  assert.deepEqual(sizes, [4, 4, 2])
})

test('an error reaches every call of its run, and no other', async () => {
  const { gates, double, started } = doubling(2)
  const outcomes = Promise.allSettled([1, 2, 3, 4].map(double))
  await started(1)
  gates[0]!.reject(new Error('the first run failed'))
  await started(2)
  gates[1]!.resolve()
  assert.deepEqual(
    (await outcomes).map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message,
    ),
    ['the first run failed', 'the first run failed', 6, 8],
  )
})

test('after an error, thrown at once or later, calls are answered as before', async () => {
  let mode: 'throw' | 'reject' | 'answer' = 'throw'
  const run = coalesce(10, (items: number[]) => {
    if (mode === 'throw') throw new Error('thrown')
    return mode === 'reject' ? Promise.reject(new Error('rejected')) : Promise.resolve(items)
  })
  await assert.rejects(run(1), /thrown/)
  mode = 'reject'
  await assert.rejects(run(2), /rejected/)
  mode = 'answer'
  assert.equal(await run(3), 3)
})

test('a call made when a result arrives is served as well', async () => {
  const next = coalesce(10, async (items: number[]) => items.map((item) => item + 1))
  let value = 0
  while (value < 50) value = await next(value)
  assert.equal(value, 50)
})
