import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../providers/sandbox/random.ts'
import { type DurationModel, fitDurations, pollDelayMs } from './poll-schedule.ts'

const usualMs = 240_000

/** Log-normal durations, the same at every run. */
function durations(count: number, medianMs: number, sigma: number, salt = ''): number[] {
  const random = seededRandom(1, `${medianMs} ${sigma} ${salt}`)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Array.from({ length: count }, () => medianMs * Math.exp(sigma * normal()))
}

/** When a job that takes so long is asked for; the last time finds it done. */
function asked(model: DurationModel, durationMs: number, pollBatch: number): number[] {
  const moments: number[] = []
  for (let at = 0; at < durationMs; moments.push(at)) at += pollDelayMs(model, at, pollBatch)
  return moments
}

/** Means over jobs of twenty models, each after 200 jobs of its own. */
function measure(sigma: number, pollBatch: number) {
  const jobs = Array.from({ length: 20 }, (_, index) => {
    const model = fitDurations(durations(200, usualMs, sigma, `learnt ${index}`), usualMs)
    return durations(200, usualMs, sigma, `asked ${index}`).map((durationMs) => {
      const moments = asked(model, durationMs, pollBatch)
      return { polls: moments.length, lag: (moments.at(-1)! - durationMs) / durationMs }
    })
  }).flat()
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return { polls: mean(jobs.map((job) => job.polls)), lag: mean(jobs.map((job) => job.lag)) }
}

test('jobs that take about as long as ever are found done within 2 % of their time by at most 8 polls', () => {
  const { polls, lag } = measure(0.1, 1)
  assert.ok(polls <= 8 && lag <= 0.02, `${polls} polls, lag ${lag}`)
})

for (const sigma of [0.2, 0.3, 0.5]) {
  test(`where durations vary by ${sigma}, 8 polls are spent as well as they can be`, () => {
    const { polls, lag } = measure(sigma, 1)
    assert.ok(polls <= 8, `${polls} polls`)
    assert.ok(polls * lag <= 1.15 * sigma, `polls × lag is ${polls * lag}`)
  })

  test(`where durations vary by ${sigma}, calls that ask about 20 jobs find them within 2 % and cost less than 2`, () => {
    const { polls, lag } = measure(sigma, 20)
    assert.ok(lag <= 0.02, `lag ${lag}`)
    assert.ok(polls / 20 < 2, `${polls} polls`)
  })
}

test('a job that takes ten or a hundred times as long as usual costs no hundreds of polls', () => {
  for (const sigma of [0.02, 0.1, 0.5]) {
    for (const pollBatch of [1, 20]) {
      const model = { medianMs: usualMs, sigma }
      const [ten, hundred] = [10, 100].map((times) => asked(model, times * usualMs, pollBatch).length)
      assert.ok(ten! <= 110, `${ten} polls at sigma ${sigma}, ${pollBatch} per call`)
      assert.ok(hundred! <= 130, `${hundred} polls at sigma ${sigma}, ${pollBatch} per call`)
    }
  }
})

test('a job that is late is asked for at growing distances, none longer than an eighth of its time', () => {
  const model = { medianMs: usualMs, sigma: 0.1 }
  const delays = [2, 4, 8, 16].map((times) => pollDelayMs(model, times * usualMs, 1))
  assert.deepEqual(
    delays,
    delays.toSorted((a, b) => a - b),
  )
  for (const [index, delayMs] of delays.entries()) assert.ok(delayMs <= (2 * 2 ** index * usualMs) / 7)
})

test('no poll comes sooner than half a second after the one before, whatever is known and however late it is', () => {
  for (const medianMs of [1, 400, 30_000]) {
    for (const elapsedMs of [-300_000, 0, 1, 400, 30_000, 1e12]) {
      const delayMs = pollDelayMs({ medianMs, sigma: 0.03 }, elapsedMs, 20)
      assert.ok(delayMs >= 500 && Number.isSafeInteger(delayMs), `${delayMs} after ${elapsedMs}`)
    }
  }
})

test('a job is asked for first when one of its model may be done, not before', () => {
  const model = { medianMs: usualMs, sigma: 0.1 }
  const delayMs = pollDelayMs(model, 0, 1)
  const done = durations(2_000, usualMs, 0.1).filter((durationMs) => durationMs < delayMs).length
  assert.ok(done > 20 && done < 600, `${done} of 2000 were done`)
})

test('without durations the figure given beforehand counts, with 200 it hardly does', () => {
  assert.equal(Math.round(fitDurations([], usualMs).medianMs), usualMs)
  const { medianMs, sigma } = fitDurations(durations(200, 2 * usualMs, 0.1), usualMs)
  assert.ok(Math.abs(medianMs / (2 * usualMs) - 1) < 0.02, `median ${medianMs}`)
  assert.ok(sigma > 0.08 && sigma < 0.13, `sigma ${sigma}`)
})

test('few durations that agree by chance are not taken for certainty', () => {
  const { sigma } = fitDurations([240_000, 240_100, 239_900], usualMs)
  assert.ok(sigma > 0.15, `sigma ${sigma}`)
})

test('durations that all seem the same leave room for those that are not', () => {
  const model = fitDurations(Array(200).fill(usualMs), usualMs)
  assert.ok(model.sigma >= 0.03)
  assert.ok(pollDelayMs(model, 0, 1) < usualMs)
})

test('some jobs that took ten times as long change little of what is expected of the others', () => {
  const seen = durations(180, usualMs, 0.1)
  const without = fitDurations(seen, usualMs)
  const { medianMs, sigma } = fitDurations([...seen, ...Array(10).fill(10 * usualMs)], usualMs)
  assert.ok(Math.abs(medianMs / without.medianMs - 1) < 0.03, `median ${medianMs}`)
  assert.ok(sigma < 0.15, `sigma ${sigma}`)
})

test('what no clock can have measured is left out', () => {
  const nonsense = [0, -300_000, Number.NaN, Number.POSITIVE_INFINITY]
  const seen = durations(20, usualMs, 0.1)
  assert.deepEqual(fitDurations([...nonsense, ...seen], usualMs), fitDurations(seen, usualMs))
})
