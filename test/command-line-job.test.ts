import assert from 'node:assert/strict'
import { test } from 'node:test'
import { database, fails, filmgate, json } from './command-line.ts'
import { makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { addEvent, addJob, complete, takeUp } from './timeline-fixture.ts'

const { pool } = database
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const customer = await makeCustomer(pool)

async function addAttempt(jobId: string, number: number, status: string, cause: string): Promise<void> {
  await pool.query(
    `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, cause, answered_at)
     values ($1, $2, $3, 'kling', 'a/b/c', 'process', $2, $4, $5, now())`,
    [`att_${jobId}_${number}`, jobId, number, status, cause],
  )
}

test('a job is shown with its attempts, what its upstream is asked, and all that happened to it', async () => {
  const jobId = await addJob(gateway, pool, customer)
  await takeUp(pool, jobId)
  await addAttempt(jobId, 1, 'refused', 'too busy')
  await addAttempt(jobId, 2, 'unknown', 'line lost')
  for (const kind of ['sent', 'refused', 'sent', 'unknown']) await addEvent(pool, jobId, `attempt_${kind}`)
  await pool.query(
    `insert into polls (job_id, provider, due_at, asked, failures) values ($1, 'kling', now(), 7, 3)`,
    [jobId],
  )
  const [job, human] = await Promise.all([json(`job show ${jobId}`), filmgate(`job show ${jobId}`)])
  const attempts = job.attempts.map(({ number, status, cause }: Record<string, unknown>) => [
    number,
    status,
    cause,
  ])
  assert.deepEqual(attempts, [
    [1, 'refused', 'too busy'],
    [2, 'unknown', 'line lost'],
  ])
  assert.deepEqual(
    [job.polling.provider, job.polling.asked, job.polling.failures, job.polling.hasResult],
    ['kling', 7, 3, false],
  )
  assert.deepEqual(
    job.timeline.map(({ kind, from, to }: Record<string, unknown>) => [kind, from, to]),
    [
      ['submitted', null, null],
      ['processing', 'pending', 'processing'],
      ...['sent', 'refused', 'sent', 'unknown'].map((name) => [`attempt_${name}`, null, null]),
    ],
  )
  assert.equal(job.timeline.at(-1).detail.cause, 'secret-cause')
  assert.match(human.stdout, /^2 +kling +unknown +\+\d+\.\d s +\+\d+\.\d s +not known +line lost$/m)
  assert.match(human.stdout, /^asked +7$/m)
  // a test job: the sandbox earns nothing, and dollars stand under plain names
  assert.deepEqual([job.mode, job.money.marginMicroCents], ['test', null])
  assert.deepEqual([job.priceMicroCents, job.costMicroCents], [job.money.chargedMicroCents, undefined])
  assert.match(human.stdout, /^price +\$0\.42$/m)
  assert.match(human.stdout, /^margin +–$/m)
  assert.doesNotMatch(human.stdout, /MicroCents/)
  assert.match(human.stdout, /^\+\d+\.\d s +processing +pending → processing$/m)
  assert.match(human.stdout, /^\+\d+\.\d s +attempt_unknown +\{.*secret-cause/m)
})

test('jobs are listed by status, and those that are stuck by themselves', async () => {
  await pool.query(
    "insert into processes (id, worker_ids, beat_at) values ('worker', '{}', now() + interval '1 hour')",
  )
  const add = () => addJob(gateway, pool, customer)
  const [fine, done, late, unknown] = await Promise.all([add(), add(), add(), add()])
  await takeUp(pool, unknown)
  await pool.query(`update jobs set deadline_at = now() + interval '1 hour' where id = $1`, [unknown])
  await addAttempt(unknown, 1, 'unknown', 'line lost')
  await takeUp(pool, done)
  await complete(pool, done)
  await pool.query(`update jobs set created_at = now() - interval '1 hour' where id = $1`, [late])
  const listed = async (filter: string) =>
    ((await json(`job list ${filter}`)).jobs as { jobId: string }[]).map(({ jobId }) => jobId)
  const [completed, pending, stuck, both] = await Promise.all([
    listed('--status completed'),
    listed('--status pending'),
    listed('--stuck'),
    listed('--stuck --status pending'),
  ])
  assert.deepEqual(completed, [done])
  assert.deepEqual(pending.sort(), [fine, late].sort())
  assert.ok(stuck.includes(late) && stuck.includes(unknown))
  assert.ok(!stuck.includes(fine) && !stuck.includes(done))
  assert.deepEqual(both, [late])
  const { jobs } = await json('job list --stuck')
  const causes = new Map(jobs.map(({ jobId, cause }: Record<string, string>) => [jobId, cause]))
  assert.match(String(causes.get(unknown)), /nobody knows whether .* \(line lost\)/)
  assert.match(String(causes.get(late)), /it has waited in line for 60 minutes/)
  const human = await filmgate('job list --stuck')
  assert.match(human.stdout, /it has waited in line for 60 minutes$/m)
  assert.match(human.stdout, new RegExp(`^${late}: add workers, or end the job: "filmgate job cancel"$`, 'm'))
  await fails('job list --status lost', 2, /Allowed choices are pending, processing/)
})

test('a job of unknown outcome is given up, once, and what a user wants of such jobs is set', async () => {
  const jobId = await addJob(gateway, pool, customer)
  await takeUp(pool, jobId)
  await addAttempt(jobId, 1, 'unknown', 'line lost')
  await fails(`job cancel ${jobId}`, 1, /nobody knows whether sandbox has the job: "job give-up" ends it/)
  assert.deepEqual(await json(`job give-up ${jobId}`), {
    jobId,
    status: 'failed',
    refundedMicroCents: 420_000,
  })
  await fails(`job give-up ${jobId}`, 1, /the job is failed/)
  await fails('job give-up job_none', 1, /there is no job job_none/)
  assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
  assert.equal((await json(`user show ${customer.userId}`)).unknownOutcome, 'refund')
  assert.equal((await json(`user unknown-outcome ${customer.userId} hold`)).unknownOutcome, 'hold')
  await fails(`user unknown-outcome ${customer.userId} keep`, 2, /Allowed choices are refund, hold/)
})

test('a job that nothing has is cancelled at the word of the operator, refunded once, and its customer told', async () => {
  for (const command of ['cancel', 'give-up']) {
    const jobId = await addJob(gateway, pool, customer)
    await pool.query("update jobs set webhook_url = 'https://example.com/hook' where id = $1", [jobId])
    await takeUp(pool, jobId)
    await addAttempt(jobId, 1, 'refused', 'the key was refused')
    assert.deepEqual(await json(`job ${command} ${jobId}`), {
      jobId,
      status: 'cancelled',
      refundedMicroCents: 420_000,
    })
    await fails(`job ${command} ${jobId}`, 1, /the job is cancelled; nothing was changed/)
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
    const { body } = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })
    assert.deepEqual(
      [body.status, body.cancelReason, body.refundedMicroCents, body.webhookStatus],
      ['cancelled', 'operator', 420_000, 'pending'],
    )
    const { rows } = await pool.query<{ body: string }>('select body from webhooks where job_id = $1', [
      jobId,
    ])
    const { status, reason } = JSON.parse(rows[0]!.body)
    assert.deepEqual([status, reason], ['cancelled', 'operator'])
    const { timeline } = await json(`job show ${jobId}`)
    assert.deepEqual(timeline.at(-1).detail, { by: 'operator', reason: 'operator' })
  }
})

test('a job that an upstream has, or is being sent, is not cancelled, and the operator is told why', async () => {
  for (const [status, why] of [
    ['accepted', /sandbox has the job .* ends by itself/],
    ['sending', /being sent to sandbox at this moment/],
  ] as const) {
    const jobId = await addJob(gateway, pool, customer)
    await takeUp(pool, jobId)
    await pool.query(
      `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, operation, answered_at)
       values ('att_' || $1, $1, 1, 'sandbox', 'a/b/c', 'x', $1, $2::attempt_status,
         case when $2 = 'accepted' then '1'::jsonb end, case when $2 = 'accepted' then now() end)`,
      [jobId, status],
    )
    await fails(`job cancel ${jobId}`, 1, why)
    await fails(`job give-up ${jobId}`, 1, why)
    const { body } = await gateway.call('POST', `/v1/jobs/${jobId}/cancel`, { key: customer.key })
    assert.equal(body.error.code, 'JOB_CANNOT_BE_CANCELLED')
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 0 })
  }
})
