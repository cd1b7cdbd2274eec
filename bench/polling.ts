import { loadCatalogue } from '../src/catalogue/load.ts'
import { fitDurations, pollDelayMs } from '../src/jobs/poll-schedule.ts'
import { type Random, seededRandom } from '../src/providers/sandbox/random.ts'
import { printTable } from './table.ts'

/** One way of choosing when to ask: a delay from the time since acceptance, which may learn what took how long. */
interface Policy {
  delayMs(elapsedMs: number): number
  learn?(foundMs: number): void
}

/** A new policy for the jobs of one model, from the catalogue's figure. */
type MakePolicy = (usualMs: number) => Policy

interface Asked {
  polls: number
  /** From the upstream being done to us knowing, as a share of the duration. */
  lag: number
}

const models = [...loadCatalogue().models.values()]
const sigmas = [0.1, 0.2, 0.3, 0.5]
const learntFrom = 200
const jobsPerModel = 150
// as in src/jobs/poller.ts
const roundMs = 50

const filmgate =
  (pollBatch: number): MakePolicy =>
  (usualMs) => {
    const seen: number[] = []
    let model = fitDurations([], usualMs)
    let jobs = 0
    return {
      delayMs: (elapsedMs) => pollDelayMs(model, elapsedMs, pollBatch),
      // what the product can learn is when a job was found done, not when it was
      learn(foundMs) {
        seen.push(foundMs)
        if (seen.length > learntFrom) seen.shift()
        if (jobs++ % 10 === 9) model = fitDurations(seen, usualMs)
      },
    }
  }

const policies: Record<string, MakePolicy> = {
  'learnt, 1 per call': filmgate(1),
  'learnt, 20 per call': filmgate(20),
  'every 5 s': () => ({ delayMs: () => 5_000 }),
  'every 15 s': () => ({ delayMs: () => 15_000 }),
  'backoff 1.5×, 1 to 30 s': () => ({ delayMs: (elapsedMs) => Math.min(30_000, 1_000 + elapsedMs / 2) }),
}

/**
 * What the choice of the next poll is worth, without a database: jobs of all models of the catalogue, with log-normal
 * durations around its figures, seeded. Prints lag and polls of each way, calls at 100,000 jobs in flight, and how
 * fast a wrong figure of the catalogue is mended by what is learnt.
 */
export function benchPolling(): void {
  console.log(`\nPolling without callbacks: ${models.length * jobsPerModel} jobs of ${models.length} models`)
  printTable(
    ['sigma', 'way', 'polls per job', 'mean lag %', 'p50', 'p99', 'polls × lag ÷ sigma'],
    sigmas.flatMap((sigma) =>
      Object.entries(policies).map(([name, policy]) => [
        String(sigma),
        name,
        ...summary(warm(policy, sigma), sigma),
      ]),
    ),
  )
  console.log(`\nCalls of 20 jobs each at most, for what is due in rounds of ${roundMs} ms`)
  printTable(
    ['sigma', 'way', 'in flight', 'asked per job', 'calls per job', 'calls/s'],
    sigmas.flatMap((sigma) => [
      ...[10, 100, 1_000, 100_000, 1_000_000].map((inFlight) =>
        calls('learnt, 20 per call', sigma, inFlight),
      ),
      ...['every 5 s', 'every 15 s'].map((name) => calls(name, sigma, 100_000)),
    ]),
  )
  console.log(
    "\nWhere the catalogue's figure is wrong, by the number of jobs of the model before (sigma 0.2)",
  )
  printTable(['takes', 'jobs before', 'polls per job', 'mean lag %'], [0.5, 1, 2].flatMap(mended))
}

/** Jobs of every model after as many as are learnt from. */
function warm(policy: MakePolicy, sigma: number): Asked[] {
  return models.flatMap(({ processingSeconds, slug }) => {
    const random = seededRandom(1, `${slug} ${sigma}`)
    const usualMs = processingSeconds * 1000
    return run(policy(usualMs), random, usualMs, sigma, learntFrom + jobsPerModel).slice(learntFrom)
  })
}

function run(policy: Policy, random: Random, medianMs: number, sigma: number, jobs: number): Asked[] {
  return Array.from({ length: jobs }, () => {
    const durationMs = medianMs * Math.exp(sigma * normal(random))
    const asked = askUntilDone(policy, durationMs)
    const foundMs = asked.at(-1)!
    policy.learn?.(foundMs)
    return { polls: asked.length, lag: (foundMs - durationMs) / durationMs }
  })
}

/** When it was asked for, from its acceptance; the last is the one that found it done. */
function askUntilDone(policy: Policy, durationMs: number): number[] {
  const asked: number[] = []
  for (let atMs = 0; atMs < durationMs; ) {
    atMs += policy.delayMs(atMs)
    asked.push(atMs)
  }
  return asked
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

function summary(jobs: Asked[], sigma: number): number[] {
  const lags = jobs.map((job) => 100 * job.lag).sort((a, b) => a - b)
  const polls = mean(jobs.map((job) => job.polls))
  const at = (share: number) => lags[Math.floor(lags.length * share)]!
  return [polls, mean(lags), at(0.5), at(0.99), (polls * mean(lags)) / 100 / sigma]
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** A steady stream of jobs that keeps so many in flight, all at one upstream, over the time in which 20,000 end. */
function calls(name: string, sigma: number, inFlight: number): (string | number)[] {
  const random = seededRandom(2, `${sigma} ${inFlight}`)
  const meanMs = mean(models.map((model) => model.processingSeconds * 1000)) * Math.exp(sigma ** 2 / 2)
  const windowMs = (20_000 * meanMs) / inFlight
  const learnt = models.map(({ processingSeconds, slug }) => {
    const medianMs = processingSeconds * 1000
    const policy = policies[name]!(medianMs)
    run(policy, seededRandom(3, slug), medianMs, sigma, learntFrom)
    return { policy, medianMs }
  })
  const due = new Map<number, number>()
  for (let job = 0; job < 20_000; job++) {
    const { policy, medianMs } = learnt[job % learnt.length]!
    const startMs = random() * windowMs
    for (const elapsedMs of askUntilDone(policy, medianMs * Math.exp(sigma * normal(random)))) {
      // what goes beyond the end stands for what came in from before the beginning
      const round = Math.floor(((startMs + elapsedMs) % windowMs) / roundMs)
      due.set(round, (due.get(round) ?? 0) + 1)
    }
  }
  const asked = [...due.values()].reduce((sum, jobs) => sum + jobs, 0)
  const called = [...due.values()].reduce((sum, jobs) => sum + Math.ceil(jobs / 20), 0)
  return [
    String(sigma),
    name,
    inFlight.toLocaleString('en-US'),
    asked / 20_000,
    called / 20_000,
    (1000 * called) / windowMs,
  ]
}

/** The lag over the first jobs of a model that takes `factor` times what the catalogue says. */
function mended(factor: number): (string | number)[][] {
  const sigma = 0.2
  const bounds = [0, 10, 30, 100, 200, 400]
  const runs = models.map(({ processingSeconds, slug }) => {
    const usualMs = processingSeconds * 1000
    return run(filmgate(1)(usualMs), seededRandom(4, slug), usualMs * factor, sigma, bounds.at(-1)!)
  })
  return bounds.slice(1).map((bound, index) => {
    const [polls, lag] = summary(
      runs.flatMap((jobs) => jobs.slice(bounds[index], bound)),
      sigma,
    )
    return [`${factor}×`, `${bounds[index]}–${bound - 1}`, polls!, lag!]
  })
}

if (import.meta.main) benchPolling()
