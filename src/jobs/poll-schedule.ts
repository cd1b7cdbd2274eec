/** How long jobs of one kind take: log-normal, `sigma` being the deviation of the logarithm. */
export interface DurationModel {
  medianMs: number
  sigma: number
}

/** How many polls a job may cost on average where a call asks about one: 8, less what errors of the fit may add. */
const mostPolls = 7.5
/** How late they may find it done, as a share of its time: 2 %, less the same. Fewer polls are enough where they can. */
const lagAim = 0.015
// Fewer would leave what was learnt unproved: a job found done by its first poll may have been done for long.
const fewestPolls = 3
const leastDelayMs = 500

// What is given beforehand counts as one observation, and as an uncertain one: figures of a catalogue err by half or
// double. Jobs that all seem to take the same time were all found by the same poll.
const priorSigma = 0.4
const leastSigma = 0.03
const clampedAt = 3

/** What durations seen say together with the usual one known beforehand. Outliers count no more than a late job. */
export function fitDurations(observedMs: readonly number[], usualMs: number): DurationModel {
  const usual = Math.log(Math.max(1, usualMs))
  // a clock that was set back makes durations negative
  const seen = clamped(observedMs.filter((ms) => ms > 0 && Number.isFinite(ms)).map(Math.log))
  const weight = seen.length + 1
  const center = seen.reduce((sum, value) => sum + value, usual) / weight
  const squares = seen.reduce((sum, value) => sum + (value - center) ** 2, (usual - center) ** 2)
  const variance = (squares + priorSigma ** 2) / weight
  return { medianMs: Math.exp(center), sigma: Math.max(leastSigma, Math.sqrt(variance)) }
}

function clamped(values: number[]): number[] {
  const center = median(values)
  // of a normal distribution the median deviation is 0.6745 of the standard one
  const deviation = median(values.map((value) => Math.abs(value - center))) / 0.6745
  const most = clampedAt * Math.max(leastSigma, deviation)
  return values.map((value) => Math.min(center + most, Math.max(center - most, value)))
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2
}

/**
 * When to ask next, from how long ago the upstream accepted the job. The lag that a number of polls can buy is least
 * where they are spread by the square root of the hazard, the chance of being done now if not done before: few and far
 * apart at first, close where most jobs end. `pollBatch` is how many jobs a call can ask about.
 */
export function pollDelayMs(
  { medianMs, sigma }: DurationModel,
  elapsedMs: number,
  pollBatch: number,
): number {
  const gap = whole / budget(sigma, pollBatch)
  // deviations from the median, of the logarithm: one scale for all models
  const score = Math.log(Math.max(1, elapsedMs) / medianMs) / sigma
  const next = scoreAt(Math.max(askedUntil(score) + gap, firstGaps * gap))
  const delayMs = medianMs * Math.exp(sigma * next) - elapsedMs
  const overdueMs = Math.max(0, elapsedMs - medianMs * Math.exp(sigma * lastScore))
  return Math.round(Math.max(leastDelayMs, delayMs) + overdueMs * overdueShare)
}

// Polls times lag, as a share of the duration, come to sigma (docs/decisions/polling.md). A call that can ask about many
// makes each cheaper; even if batches are only a quarter full the calls stay within the same bound.
function budget(sigma: number, pollBatch: number): number {
  const most = mostPolls * Math.min(4, Math.max(1, pollBatch / 4))
  return Math.min(most, Math.max(fewestPolls, sigma / lagAim))
}

// Measured: with the first poll after one and a half gaps a budget is met exactly, at the least lag.
const firstGaps = 1.5
// One job in 44 takes longer, and may have met something that the distribution knows nothing of. Delays then grow by an
// eighth of the time that it is late, so that a job of a hundred times the usual time costs about 70 polls, and 130 where
// they are cheap. That costs the jobs that are merely slow nothing that could be measured.
const lastScore = 2
const overdueShare = 1 / 8

const firstScore = -6
const step = 0.01
const { asked, lastRate, whole } = tabulate()

/**
 * For a normal distribution: the integral of the square root of the hazard up to each step, that root at the last score,
 * and the mean of the integral over the lives of jobs, which a budget is a multiple of.
 */
function tabulate() {
  const size = Math.round((lastScore - firstScore) / step)
  const density = (score: number) => Math.exp((-score * score) / 2) / Math.sqrt(2 * Math.PI)
  // the share of jobs that are not done at the last score
  let left = 0.0227501
  const survival = Array.from({ length: size }, (_, index) => {
    left += density(lastScore - (index + 0.5) * step) * step
    return left
  }).reverse()
  const asked = new Float64Array(size + 1)
  let whole = 0
  let rate = 0
  for (const [index, share] of survival.entries()) {
    const middle = density(firstScore + (index + 0.5) * step)
    rate = Math.sqrt(middle / share)
    asked[index + 1] = asked[index]! + rate * step
    whole += Math.sqrt(middle * share) * step
  }
  return { asked, lastRate: rate, whole }
}

function askedUntil(score: number): number {
  if (score >= lastScore) return asked.at(-1)! + (score - lastScore) * lastRate
  const place = Math.max(0, (score - firstScore) / step)
  const index = Math.floor(place)
  return asked[index]! + (place - index) * (asked[index + 1]! - asked[index]!)
}

function scoreAt(amount: number): number {
  const beyond = amount - asked.at(-1)!
  if (beyond >= 0) return lastScore + beyond / lastRate
  let [low, high] = [0, asked.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (asked[middle]! <= amount) low = middle
    else high = middle
  }
  const share = (amount - asked[low]!) / (asked[high]! - asked[low]!)
  return firstScore + (low + share) * step
}
