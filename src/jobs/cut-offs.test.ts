import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstRun, isHopeless, restMs, toRun } from './cut-offs.ts'

test('a task goes on at once after a crash or two, and then at a time of its own, ever later', () => {
  assert.equal(restMs(firstRun), 0)
  assert.deepEqual(
    [1, 2, 3].map((attempts) => restMs(toRun(undefined, attempts))),
    [0, 0, 0],
  )
  for (const [cutOffs, longest] of [
    [3, 10_000],
    [4, 20_000],
    [8, 320_000],
    [30, 900_000],
  ] as const) {
    const rests = Array.from({ length: 50 }, () => restMs(toRun(cutOffs - 1, 2)))
    assert.ok(rests.every((ms) => ms >= longest / 2 && ms <= longest))
    // those that were cut off together come back apart
    assert.ok(new Set(rests).size > 40)
  }
})

test('a task that has waited runs, and one that was cut off nine times is hopeless', () => {
  assert.equal(restMs(toRun(7, 1)), 0)
  assert.deepEqual([toRun(7, 2), toRun(8, 2)].map(isHopeless), [false, true])
})
