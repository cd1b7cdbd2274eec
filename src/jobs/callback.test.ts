import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { addSentJob } from '../../test/sent-job-fixture.ts'
import { until } from '../../test/until.ts'
import { systemClock } from '../clock.ts'
import type { CallbackVerdict, Json, Provider, Route } from '../providers/provider.ts'
import { acceptAttempt, loseAttempt, missAttempt } from './attempts.ts'
import { hearCallback } from './callback.ts'

const { pool } = await cloneDatabase()
const customer = await makeCustomer(pool, { mode: 'live' })
const route: Route = { upstream: 'signed', model: 'their/model', settings: { tier: 'pro' } }
const at = new Date()
const genuine: CallbackVerdict = { verdict: 'genuine', operation: { id: 'told' } }

const warnings: string[] = []
const log = { warn: (...told: unknown[]) => void warnings.push(JSON.stringify(told)) }

function upstream(read: Provider['readCallback'], name = 'signed'): Provider {
  const never = () => Promise.reject(new Error('not asked for'))
  return {
    name,
    pollBatch: 1,
    timeLimitMs: () => 60_000,
    submit: never,
    poll: never,
    ...(read && { readCallback: read }),
  }
}

const hear = (jobId: string, verdict: CallbackVerdict, name?: string) =>
  hearCallback(
    { pool, clock: systemClock, log },
    upstream(async () => verdict, name),
    jobId,
    {
      headers: {},
      body: Buffer.from('secret words'),
    },
  )

type Status = 'sending' | 'unknown' | 'accepted'

/** A job that was sent, by a process that is alive unless it is said to be gone. */
async function sent(status: Status, options: { isGone?: boolean } = {}) {
  const job = await addSentJob(pool, customer, route, options)
  const attempt = { ...job, at }
  if (status === 'accepted') await acceptAttempt(pool, attempt, { id: 'answered' }, 3_600_000)
  if (status === 'unknown') await loseAttempt(pool, attempt, 'reset', 3_600_000)
  return attempt
}

async function attemptOf(attemptId: string): Promise<[status: string, operation: Json]> {
  const { rows } = await pool.query('select status, operation from attempts where id = $1', [attemptId])
  return [rows[0].status, rows[0].operation]
}

async function isDue(jobId: string): Promise<boolean> {
  const { rows } = await pool.query('select due_at <= now() as is_due from polls where job_id = $1', [jobId])
  return rows[0].is_due
}

const acceptancesOf = async (jobId: string) => {
  const found = await pool.query("select from job_events where job_id = $1 and kind = 'attempt_accepted'", [
    jobId,
  ])
  return found.rowCount
}

test('a submit whose answer was lost is recovered by the callback that proves that the upstream has the job', async () => {
  const lost = [await sent('unknown'), await sent('sending', { isGone: true })]
  for (const { jobId, attemptId } of lost) {
    assert.equal(await hear(jobId, genuine), 'heard')
    assert.deepEqual(await attemptOf(attemptId), ['accepted', { id: 'told' }])
    assert.equal(await isDue(jobId), true)
  }
})

test('an attempt that is being sent is left to its own answer, and the callback is asked for again', async () => {
  const attempt = await sent('sending')
  assert.equal(await hear(attempt.jobId, genuine), 'early')
  assert.deepEqual(await attemptOf(attempt.attemptId), ['sending', null])
  assert.equal(await isDue(attempt.jobId), false)
  await loseAttempt(pool, attempt, 'reset', 3_600_000)
  assert.equal(await hear(attempt.jobId, genuine), 'heard')
  assert.deepEqual(await attemptOf(attempt.attemptId), ['accepted', { id: 'told' }])
})

test('the operation that a submit was answered with is never replaced', async () => {
  const { jobId, attemptId } = await sent('accepted')
  assert.equal(await hear(jobId, genuine), 'heard')
  assert.deepEqual(await attemptOf(attemptId), ['accepted', { id: 'answered' }])
  assert.equal(await isDue(jobId), true)
})

test('a callback and whoever else finds the job at once accept it once, by whichever came first', async () => {
  for (let round = 0; round < 5; round++) {
    const attempt = await sent('unknown')
    await Promise.all([
      hear(attempt.jobId, genuine),
      acceptAttempt(pool, attempt, { id: 'found' }, 0),
      hear(attempt.jobId, genuine),
    ])
    const [status, operation] = await attemptOf(attempt.attemptId)
    assert.equal(status, 'accepted')
    assert.ok(['told', 'found'].includes((operation as { id: string }).id))
    assert.equal(await acceptancesOf(attempt.jobId), 1)
  }
})

test('what happens while a callback is read counts before it', async () => {
  const answered = await sent('unknown')
  const missed = await sent('unknown')
  const during = (happens: () => Promise<unknown>) =>
    upstream(async () => {
      await happens()
      return genuine
    })
  const heard = (provider: Provider, jobId: string) =>
    hearCallback({ pool, clock: systemClock, log }, provider, jobId, { headers: {}, body: Buffer.alloc(0) })
  await heard(
    during(() => acceptAttempt(pool, answered, { id: 'found' }, 0)),
    answered.jobId,
  )
  assert.deepEqual(await attemptOf(answered.attemptId), ['accepted', { id: 'found' }])
  await heard(
    during(() => missAttempt(pool, missed, async () => {})),
    missed.jobId,
  )
  assert.deepEqual(await attemptOf(missed.attemptId), ['absent', null])
})

test('an unsigned callback, and one that names no operation, only has the upstream asked', async () => {
  for (const verdict of [{ verdict: 'unsigned' }, { verdict: 'genuine' }] as const) {
    const { jobId, attemptId } = await sent('unknown')
    assert.equal(await hear(jobId, verdict), 'heard')
    assert.deepEqual(await attemptOf(attemptId), ['unknown', null])
    assert.equal(await isDue(jobId), true)
  }
})

test('a forged callback changes nothing and is told to the operator, without what it says', async () => {
  const { jobId, attemptId } = await sent('unknown')
  const before = warnings.length
  assert.equal(await hear(jobId, { verdict: 'forged', cause: 'no key fits' }), 'forged')
  assert.deepEqual(await attemptOf(attemptId), ['unknown', null])
  assert.equal(await isDue(jobId), false)
  assert.equal(warnings.length, before + 1)
  assert.match(warnings.at(-1)!, /no key fits/)
  assert.doesNotMatch(warnings.join(), /secret words/)
})

test('the upstream that a job has left has no more say in it, nor has one where it never was', async () => {
  const { jobId, attemptId } = await sent('unknown')
  for (const verdict of [genuine, { verdict: 'forged', cause: 'x' }, { verdict: 'unsigned' }] as const) {
    assert.equal(await hear(jobId, verdict, 'another'), 'heard')
  }
  assert.deepEqual(await attemptOf(attemptId), ['unknown', null])
  assert.equal(await isDue(jobId), false)
  // the attempt there is over, and the job is on its way to the next
  const left = await sent('unknown')
  await missAttempt(pool, left, async () => {})
  assert.equal(await hear(left.jobId, genuine), 'heard')
  assert.deepEqual(await attemptOf(left.attemptId), ['absent', null])
})

test('a callback that cannot be read, or not in time, is a hint like any other, and asked for again where the answer to the submit was lost', async () => {
  const readers: Provider['readCallback'][] = [
    () => Promise.reject(new Error('no keys')),
    () => {
      throw new Error('no keys')
    },
    () => new Promise(() => {}),
  ]
  for (const read of readers) {
    const { jobId, attemptId } = await sent('unknown')
    const callback = { headers: {}, body: Buffer.alloc(0) }
    const context = { pool, clock: systemClock, log }
    assert.equal(await hearCallback(context, upstream(read), jobId, callback, 50), 'early')
    assert.deepEqual(await attemptOf(attemptId), ['unknown', null])
    assert.equal(await isDue(jobId), true)
    const known = await sent('accepted')
    assert.equal(await hearCallback(context, upstream(read), known.jobId, callback, 50), 'heard')
    assert.equal(await isDue(known.jobId), true)
  }
})

test('only so many are read at once, the others in turn; one that waits too long for that is a hint, and never read', async () => {
  const callback = { headers: {}, body: Buffer.alloc(0) }
  const context = { pool, clock: systemClock, log }
  const answer = Promise.withResolvers<CallbackVerdict>()
  const read = new Set<string>()
  const slow = upstream(async (_callback, { jobId }) => {
    read.add(jobId)
    return answer.promise
  })
  const patient = await Promise.all(Array.from({ length: 20 }, () => sent('unknown')))
  const heard = patient.map(({ jobId }) => hearCallback(context, slow, jobId, callback, 60_000))
  await until(() => read.size === 16)
  const hasty = await sent('unknown')
  assert.equal(await hearCallback(context, slow, hasty.jobId, callback, 50), 'early')
  assert.deepEqual(await attemptOf(hasty.attemptId), ['unknown', null])
  assert.equal(await isDue(hasty.jobId), true)
  assert.equal(read.size, 16)
  answer.resolve(genuine)
  await Promise.all(heard)
  assert.deepEqual(read, new Set(patient.map(({ jobId }) => jobId)))
  for (const { attemptId } of patient)
    assert.deepEqual(await attemptOf(attemptId), ['accepted', { id: 'told' }])
})

test('who reads a callback is told by which route the job went', async () => {
  const { jobId } = await sent('accepted')
  const old = await addSentJob(pool, customer, route, {})
  await pool.query('update attempts set route = null where id = $1', [old.attemptId])
  const asked: unknown[] = []
  const provider = upstream(async (_callback, job) => {
    asked.push(job)
    return { verdict: 'unsigned' }
  })
  for (const id of [jobId, old.jobId]) {
    await hearCallback({ pool, clock: systemClock, log }, provider, id, {
      headers: {},
      body: Buffer.alloc(0),
    })
  }
  assert.deepEqual(asked, [
    { jobId, route },
    { jobId: old.jobId, route: { upstream: 'signed', model: 'a/b/c' } },
  ])
})
