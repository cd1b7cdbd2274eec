import assert from 'node:assert/strict'
import { test } from 'node:test'
import { report } from '../torture/report.ts'
import { type Options, torture } from '../torture/run.ts'
import { type JobTruth, type Post, sendingFault } from '../torture/truth.ts'

// The short form of `npm run torture`.
const options: Options = {
  seed: 4,
  temper: 'mild',
  upstreams: ['kling', 'fal'],
  processes: 2,
  rate: 8,
  gentleSeconds: 2,
  gentleStops: 1,
  roughSeconds: 12,
  misfortunes: {
    kills: 3,
    drains: 0,
    postgresRestarts: 1,
    postgresAwayMs: 0,
    storageFullMs: 1_000,
    creditGoneMs: 1_000,
    pauses: 0,
    clockStepMs: 300_000,
  },
  faultPoints: 0.5,
  quietSeconds: 90,
  deadAfterMs: 10_000,
  hourAfterMs: 10_000,
  say() {},
}

test('whatever dies under load, nothing is lost and nothing is charged or sent twice', async () => {
  const outcome = await torture(options)
  assert.ok(outcome.evidence.jobs.some(({ status }) => status === 'completed'))
  assert.deepEqual(outcome.violations, [], report(options, outcome))
})

function truthOf(posts: Post[], lookUps: JobTruth['lookUps'] = [], made: JobTruth['made'] = []): JobTruth {
  return { jobId: 'job_1', posts, lookUps, made, fileRequests: 0, callbacks: [], transcript: [] }
}

test('the harness tells a job that was sent twice from one that had to be', () => {
  const lost: Post = { at: 1, upstream: 'kling', fate: 'resets' }
  const again: Post = { at: 5, upstream: 'kling', fate: 'accepts' }
  const elsewhere: Post = { ...again, upstream: 'fal' }
  const twice = /while an earlier one was open/
  assert.match(sendingFault(truthOf([lost, again])) ?? '', twice)
  assert.match(sendingFault(truthOf([lost, again], [{ at: 3, absent: false }])) ?? '', twice)
  // asked too late, or too early
  assert.match(sendingFault(truthOf([lost, again], [{ at: 6, absent: true }])) ?? '', twice)
  assert.match(sendingFault(truthOf([{ ...lost, at: 2 }, again], [{ at: 1, absent: true }])) ?? '', twice)
  const here = { upstream: 'kling', id: '1', isCancelled: false } as const
  const there = { upstream: 'fal', id: '2', isCancelled: false } as const
  assert.match(sendingFault(truthOf([again, elsewhere], [], [here, there])) ?? '', /^2 tasks/)
  assert.match(sendingFault(truthOf([lost, elsewhere])) ?? '', twice)
  // the look-up may have been wrong: then only the upstream itself keeps it from being made twice
  assert.match(sendingFault(truthOf([lost, elsewhere], [{ at: 3, absent: true }])) ?? '', /lost at kling/)

  assert.equal(sendingFault(truthOf([again])), undefined)
  assert.equal(sendingFault(truthOf([lost, again], [{ at: 3, absent: true }])), undefined)
  assert.equal(sendingFault(truthOf([{ ...lost, fate: 'is busy', refusedAt: 2 }, elsewhere])), undefined)
})
