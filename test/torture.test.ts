import assert from 'node:assert/strict'
import { test } from 'node:test'
import { report } from '../torture/report.ts'
import { type Options, torture } from '../torture/run.ts'
import { type JobTruth, type Post, sendingFault } from '../torture/truth.ts'

// The short form of `npm run torture`.
const options: Options = {
  seed: 4,
  temper: 'mild',
  processes: 2,
  rate: 8,
  gentleSeconds: 2,
  gentleStops: 1,
  roughSeconds: 4,
  misfortunes: {
    kills: 3,
    drains: 0,
    postgresRestarts: 1,
    postgresAwayMs: 0,
    storageFullMs: 1_000,
    pauses: 0,
    clockStepMs: 300_000,
  },
  faultPoints: 0.5,
  quietSeconds: 90,
  deadAfterMs: 10_000,
  say() {},
}

test('whatever dies under load, nothing is lost and nothing is charged or sent twice', async () => {
  const outcome = await torture(options)
  assert.ok(outcome.evidence.jobs.some(({ status }) => status === 'completed'))
  assert.deepEqual(outcome.violations, [], report(options, outcome))
})

function truthOf(posts: Post[], lookUps: JobTruth['lookUps'] = []): JobTruth {
  const counts = { asked: 0, fileRequests: 0, filesServed: 0, callbacksSent: 0, forgedTaken: 0 }
  return { clientId: 'job_1', order: 1, posts, lookUps, cancelled: false, transcript: [], ...counts }
}

test('the harness tells a job that was sent twice from one that had to be', () => {
  const lost: Post = { at: 1, fate: 'resets' }
  const again: Post = { at: 5, fate: 'accepts' }
  const twice = /while an earlier one was open/
  assert.match(sendingFault(truthOf([lost, again])) ?? '', twice)
  assert.match(sendingFault(truthOf([lost, again], [{ at: 3, absent: false }])) ?? '', twice)
  // asked too late, or too early
  assert.match(sendingFault(truthOf([lost, again], [{ at: 6, absent: true }])) ?? '', twice)
  assert.match(sendingFault(truthOf([{ ...lost, at: 2 }, again], [{ at: 1, absent: true }])) ?? '', twice)
  assert.match(sendingFault(truthOf([lost, { at: 2, fate: 'duplicate' }])) ?? '', /the upstream had the job/)

  assert.equal(sendingFault(truthOf([again])), undefined)
  assert.equal(sendingFault(truthOf([lost, again], [{ at: 3, absent: true }])), undefined)
  assert.equal(sendingFault(truthOf([{ at: 1, fate: '429', refusedAt: 2 }, again])), undefined)
})
