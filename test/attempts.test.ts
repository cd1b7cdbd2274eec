import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createCanvas } from '@napi-rs/canvas'
import { cancelJob } from '../src/jobs/cancel.ts'
import { giveUpJob } from '../src/jobs/give-up.ts'
import { attemptTransitions, transitions } from '../src/jobs/life.ts'
import type {
  FindOutcome,
  Json,
  PollOutcome,
  Provider,
  ProviderRequest,
  SubmitOutcome,
} from '../src/providers/provider.ts'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'
import { listen } from './webhook-fixture.ts'

/** What an upstream does to one job: each call takes the next of its list, and the last one for good. */
interface Script {
  submit: (SubmitOutcome | 'throw' | 'hang')[]
  find?: (FindOutcome | 'throw')[]
  poll?: (PollOutcome | 'throw')[]
  cancel?: boolean
  timeLimitMs?: number
}

const picture = createCanvas(64, 64).toBuffer('image/png')
const files = await listen((request, response) => {
  if (request.url?.includes('gone')) response.writeHead(404).end()
  else response.end(picture)
})

const accepted: SubmitOutcome = { outcome: 'accepted', operation: 'op-1' }
const unknown: SubmitOutcome = { outcome: 'unknown', cause: new Error('reset') }
const found: FindOutcome = { outcome: 'found', operation: 'op' }
const done: PollOutcome = {
  status: 'succeeded',
  outputs: [{ type: 'image', source: { url: `${files}/picture.png` } }],
}

/** The script of a job is in its prompt's place: jobs tell theirs by name. */
const scripts = new Map<string, Script>()
const calls = new Map<string, string[]>()

function scripted(name: string, parts: Partial<Provider> = {}): Provider {
  const jobs = new Map<string, { script: Script; prompt: string }>()
  const next = <T>(jobId: string, what: string, list: (T | 'throw' | 'hang')[]): T | Promise<T> => {
    const { prompt } = jobs.get(jobId)!
    const made = calls.get(prompt) ?? []
    calls.set(prompt, made)
    made.push(what)
    const index = made.filter((call) => call === what).length - 1
    const outcome = list[Math.min(index, list.length - 1)]!
    if (outcome === 'throw') throw new Error('the connection broke')
    if (outcome === 'hang') return new Promise<T>(() => {})
    return outcome
  }
  const know = (request: Pick<ProviderRequest, 'input'>) => {
    const prompt = String(request.input.prompt)
    return { prompt, script: scripts.get(prompt)! }
  }
  return {
    name,
    pollBatch: 3,
    settleMs: 0,
    pollDelayMs: () => 50,
    timeLimitMs: (request) => know(request).script.timeLimitMs ?? 60_000,
    async submit(request) {
      jobs.set(request.jobId, know(request))
      const outcome = await next(request.jobId, 'submit', know(request).script.submit)
      return outcome.outcome === 'accepted' ? { ...outcome, operation: request.jobId } : outcome
    },
    poll: (operations) =>
      Promise.all(
        operations.map((jobId) =>
          next(String(jobId), 'poll', jobs.get(String(jobId))!.script.poll ?? [done]),
        ),
      ),
    async find({ jobId }) {
      const outcome = await next(jobId, 'find', jobs.get(jobId)!.script.find ?? [])
      return outcome.outcome === 'found' ? { ...outcome, operation: jobId } : outcome
    },
    async cancel(operation: Json) {
      return jobs.get(String(operation))!.script.cancel ?? false
    },
    ...parts,
  }
}

const fragileModel = 'kling-plus/kling-o3-pro/text-to-video'
const { pool, url } = await cloneDatabase()
const gateway = await startGateway({
  databaseUrl: url,
  allowPrivateNetwork: true,
  upstreams: [scripted('fragile'), scripted('scripted')],
  routesOf: ({ slug }) => [{ upstream: slug === fragileModel ? 'fragile' : 'scripted', model: slug }],
})
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })

let prompts = 0
async function submit(
  script: Script,
  key = customer.key,
  model = textToVideo,
): Promise<{ jobId: string; prompt: string }> {
  const prompt = `script ${++prompts}`
  scripts.set(prompt, script)
  const { input } = seedBody(textToVideo)
  const body = { model, input: { ...input, prompt } }
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return { jobId: answer.body.jobId, prompt }
}

const count = (prompt: string, what: string) =>
  (calls.get(prompt) ?? []).filter((call) => call === what).length
const ended = (jobId: string) => gateway.ended(jobId, customer.key)

async function attemptsOf(jobId: string): Promise<string[]> {
  const { rows } = await pool.query<{ status: string }>(
    'select status from attempts where job_id = $1 order by number',
    [jobId],
  )
  return rows.map(({ status }) => status)
}

async function timelineOf(jobId: string): Promise<string[]> {
  const { rows } = await pool.query<{ kind: string }>(
    'select kind from job_events where job_id = $1 order by id',
    [jobId],
  )
  return rows.map(({ kind }) => kind)
}

suite('an attempt', { concurrency: true }, () => {
  test('a job that goes well has one attempt, and a timeline of all that happened', async () => {
    const { jobId, prompt } = await submit({ submit: [accepted], poll: [{ status: 'running' }, done] })
    assert.equal((await ended(jobId)).status, 'completed')
    assert.equal(count(prompt, 'submit'), 1)
    assert.deepEqual(await attemptsOf(jobId), ['accepted'])
    assert.deepEqual(await timelineOf(jobId), [
      'submitted',
      'processing',
      'attempt_sent',
      'attempt_accepted',
      'output_ready',
      'completed',
    ])
    const { rows } = await pool.query('select bytes, sha256 from job_outputs where job_id = $1', [jobId])
    assert.equal(rows[0].bytes, BigInt(picture.length))
  })

  for (const [what, lost] of [
    ['said to be unknown', unknown],
    ['broken off', 'throw'],
  ] as const) {
    test(`a submit whose answer is ${what} is asked for by our own id, and not sent again`, async () => {
      const { jobId, prompt } = await submit({
        submit: [lost],
        find: ['throw', { outcome: 'found', operation: 'op' }],
      })
      assert.equal((await ended(jobId)).status, 'completed')
      assert.deepEqual([count(prompt, 'submit'), count(prompt, 'find')], [1, 2])
      assert.deepEqual(await attemptsOf(jobId), ['accepted'])
      assert.ok((await timelineOf(jobId)).includes('attempt_unknown'))
      assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 0 })
    })
  }

  test('only when the upstream says twice that it has none a lost submit is sent again', async () => {
    const { jobId, prompt } = await submit({ submit: [unknown, accepted], find: [{ outcome: 'absent' }] })
    assert.equal((await ended(jobId)).status, 'completed')
    assert.deepEqual(calls.get(prompt)?.slice(0, 4), ['submit', 'find', 'find', 'submit'])
    assert.deepEqual(await attemptsOf(jobId), ['absent', 'accepted'])
  })

  test('a lost submit that nobody can tell of ends with the time of the job, refunded once', async () => {
    const { jobId, prompt } = await submit({ submit: [unknown], find: ['throw'], timeLimitMs: 1_500 })
    const job = await ended(jobId)
    assert.deepEqual([job.status, job.error.code], ['failed', 'PROVIDER_TIMEOUT'])
    assert.equal(count(prompt, 'submit'), 1)
    assert.deepEqual(await attemptsOf(jobId), ['unknown'])
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
  })

  test('an account that wants it so keeps a job of unknown outcome until the upstream has answered', async () => {
    const patient = await makeCustomer(pool, { mode: 'live' })
    await pool.query("update users set unknown_outcome = 'hold' where id = $1", [patient.userId])
    const { jobId } = await submit(
      {
        submit: [unknown],
        find: ['throw', { outcome: 'found', operation: 'op' }],
        poll: [{ status: 'running' }, done],
        timeLimitMs: 900,
      },
      patient.key,
    )
    await until(async () => {
      const { rowCount } = await pool.query(
        "select from polls where job_id = $1 and due_at > now() + interval '5 minutes'",
        [jobId],
      )
      return rowCount === 1
    })
    const { body } = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: patient.key })
    assert.equal(body.status, 'processing')
    assert.equal((await timelineOf(jobId)).at(-1), 'held')
    // what is found then counts, though the time is long over
    await pool.query('update polls set due_at = now() where job_id = $1', [jobId])
    assert.equal((await gateway.ended(jobId, patient.key)).status, 'completed')
  })

  test('a job that is held for its unknown outcome is given up at the word of the operator, refunded once; no other is', async () => {
    const patient = await makeCustomer(pool, { mode: 'live' })
    await pool.query("update users set unknown_outcome = 'hold' where id = $1", [patient.userId])
    const { jobId } = await submit({ submit: [unknown], find: ['throw'], timeLimitMs: 1 }, patient.key)
    await until(async () => (await attemptsOf(jobId))[0] === 'unknown')
    const both = await Promise.all([1, 2].map(() => giveUpJob(pool, jobId, new Date())))
    assert.deepEqual(both.filter((outcome) => typeof outcome !== 'string' && 'status' in outcome).length, 1)
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
    const running = await submit({ submit: [accepted], poll: [{ status: 'running' }] }, patient.key)
    await until(async () => (await attemptsOf(running.jobId))[0] === 'accepted')
    assert.match(JSON.stringify(await giveUpJob(pool, running.jobId, new Date())), /refused/)
    scripts.get(running.prompt)!.poll = [done]
    assert.equal((await gateway.ended(running.jobId, patient.key)).status, 'completed')
  })

  test('an upstream that has too much to do gets the job later: no failure, no second job', async () => {
    const { jobId, prompt } = await submit({
      submit: [{ outcome: 'busy', retryAfterMs: 100, cause: '429' }, accepted],
    })
    assert.equal((await ended(jobId)).status, 'completed')
    assert.equal(count(prompt, 'submit'), 2)
    assert.deepEqual(await attemptsOf(jobId), ['refused', 'accepted'])
    const { rows } = await pool.query("select failures, busy_until from upstreams where name = 'scripted'")
    assert.notEqual(rows[0].busy_until, null)
  })

  test('an upstream that refuses a job ends it with its own words, refunded once', async () => {
    const { jobId } = await submit({
      submit: [{ outcome: 'refused', code: 'CONTENT_POLICY_VIOLATION', message: 'Not this.' }],
    })
    const job = await ended(jobId)
    assert.deepEqual([job.status, job.error.code], ['failed', 'CONTENT_POLICY_VIOLATION'])
    assert.match(job.error.message, /^Not this\. .*refunded/)
    assert.deepEqual(await attemptsOf(jobId), ['refused'])
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
  })

  test('words of an upstream that the database cannot hold end a job all the same, in a length that can be shown', async () => {
    const message = `Not \0this\ud800, ${'n'.repeat(100_000)}`
    const failure = { code: 'GENERATION_FAILED', message } as const
    const url = `${files}/\0gone.png`
    const [refused, failed, elsewhere] = await Promise.all([
      submit({ submit: [{ outcome: 'refused', ...failure }] }),
      submit({
        submit: [{ outcome: 'unknown', cause: new Error(message) }],
        find: [found],
        poll: [{ status: 'failed', ...failure }],
      }),
      submit({
        submit: [accepted],
        poll: [{ status: 'succeeded', outputs: [{ type: 'image', source: { url } }] }, done],
      }),
    ])
    for (const { jobId } of [refused, failed]) {
      const { error } = await ended(jobId)
      assert.match(error.message, /^Not \ufffdthis\ufffd, n+ The credits/)
      assert.ok(error.message.length < 1_100, error.message.length)
    }
    assert.equal((await ended(elsewhere.jobId)).status, 'completed')
    assert.ok((await timelineOf(elsewhere.jobId)).includes('output_retried'))
  })

  test('a job whose time is over is refunded once; its late result is told and changes nothing', async () => {
    const unlucky = await makeCustomer(pool, { mode: 'live' })
    const { jobId, prompt } = await submit(
      { submit: [accepted], poll: [{ status: 'running' }], timeLimitMs: 400 },
      unlucky.key,
    )
    const job = await gateway.ended(jobId, unlucky.key)
    assert.deepEqual([job.status, job.error.code], ['failed', 'PROVIDER_TIMEOUT'])
    const balance = await balanceOf(pool, unlucky.accountId)
    scripts.get(prompt)!.poll!.push(done)
    await pool.query('update polls set due_at = now() where job_id = $1', [jobId])
    await until(async () => (await timelineOf(jobId)).includes('late_result'))
    assert.equal((await gateway.ended(jobId, unlucky.key)).status, 'failed')
    assert.equal(await balanceOf(pool, unlucky.accountId), balance)
    assert.equal((await pool.query('select from polls where job_id = $1', [jobId])).rowCount, 0)
  })

  test('a result whose file is not there is asked for anew', async () => {
    const gone: PollOutcome = {
      status: 'succeeded',
      outputs: [{ type: 'image', source: { url: `${files}/gone.png` } }],
    }
    const { jobId, prompt } = await submit({ submit: [accepted], poll: [gone, done] })
    assert.equal((await ended(jobId)).status, 'completed')
    assert.equal(count(prompt, 'poll'), 2)
    assert.ok((await timelineOf(jobId)).includes('output_retried'))
  })

  test('an upstream that has lost a job it had accepted is believed the third time', async () => {
    const { jobId, prompt } = await submit({ submit: [accepted], poll: [{ status: 'absent' }] })
    assert.equal((await ended(jobId)).error.code, 'PROVIDER_UNAVAILABLE')
    assert.equal(count(prompt, 'poll'), 3)
  })

  for (const isConfirmed of [true, false]) {
    test(`a job is cancelled at its upstream only if that confirms it: ${isConfirmed}`, async () => {
      const { jobId, prompt } = await submit({
        submit: [accepted],
        poll: [{ status: 'running' }],
        cancel: isConfirmed,
      })
      await until(async () => (await timelineOf(jobId)).includes('attempt_accepted'))
      const answer = await gateway.call('POST', `/v1/jobs/${jobId}/cancel`, { key: customer.key })
      assert.equal(answer.status, isConfirmed ? 200 : 400)
      const { body } = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: customer.key })
      assert.equal(body.status, isConfirmed ? 'cancelled' : 'processing')
      assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: isConfirmed ? 1 : 0 })
      // so that it ends
      scripts.get(prompt)!.poll = [done]
      await ended(jobId)
    })
  }

  test('of a job that is cancelled many times at once the upstream is asked once', async () => {
    const { jobId, prompt } = await submit({ submit: [accepted], poll: [{ status: 'running' }] })
    await until(async () => (await timelineOf(jobId)).includes('attempt_accepted'))
    const answer = Promise.withResolvers<boolean>()
    let asked = 0
    const slow = scripted('slow', {
      cancel() {
        asked++
        return answer.promise
      },
    })
    let lookedUp = 0
    // looked up right before it would be asked
    const provider = () => {
      lookedUp++
      return slow
    }
    const cancel = () =>
      cancelJob({ pool, provider }, customer.accountId, jobId, new Date()).then(
        () => true,
        () => false,
      )
    const cancelling = Array.from({ length: 5 }, cancel)
    await until(() => lookedUp === 5)
    answer.resolve(true)
    assert.equal((await Promise.all(cancelling)).filter(Boolean).length, 1)
    assert.equal(asked, 1)
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 1 })
    assert.equal(count(prompt, 'submit'), 1)
  })

  test('an upstream that is out of order is left alone after five failures in a row, and tried again', async () => {
    await pool.query("insert into upstreams (name, failures) values ('fragile', 4)")
    const down: SubmitOutcome = { outcome: 'unavailable', cause: new Error('connection refused') }
    const { jobId, prompt } = await submit({ submit: [down, accepted] }, customer.key, fragileModel)
    await until(async () => {
      const { rows } = await pool.query(
        "select coalesce(open_until > now(), false) as is_open from upstreams where name = 'fragile'",
      )
      return rows[0].is_open
    })
    assert.equal(count(prompt, 'submit'), 1)
    assert.equal((await ended(jobId)).status, 'completed')
    assert.deepEqual(await attemptsOf(jobId), ['refused', 'accepted'])
    const { rows } = await pool.query("select failures from upstreams where name = 'fragile'")
    assert.equal(rows[0].failures, 0)
  })
})

test('the database takes exactly the changes of status that the table in the code has', async () => {
  const statuses = Object.keys(transitions) as (keyof typeof transitions)[]
  for (const [index, from] of statuses.entries()) {
    for (const to of statuses) {
      const insert = pool.query(
        `insert into job_events (job_id, at, kind, from_status, to_status)
         values ($1, now(), $2::text::job_event_kind, $3, $4)`,
        [`job_${index}_${to}`, to === 'pending' ? 'submitted' : to, from, to],
      )
      const isLegal = (transitions[from] as readonly string[]).includes(to)
      if (isLegal) await insert
      else await assert.rejects(insert, { code: '23514' }, `${from} → ${to}`)
    }
  }
})

test('a job cannot end twice, nor have two attempts that may be alive', async () => {
  const { jobId } = await submit({ submit: [accepted] })
  await ended(jobId)
  const end =
    "insert into job_events (job_id, at, kind, from_status, to_status) values ($1, now(), 'failed', 'processing', 'failed')"
  await assert.rejects(pool.query(end, [jobId]), { code: '23505' })
  const alive = Object.entries(attemptTransitions)
    .filter(([status, next]) => status === 'accepted' || next.length > 0)
    .map(([status]) => status)
  for (const status of alive) {
    const insert = pool.query(
      `insert into attempts (id, job_id, number, provider, model_slug, process_id, idempotency_key, status, operation, answered_at)
       values ($1, $2, 2, 'scripted', 'x', 'x', 'x', $3::attempt_status, case when $3 = 'accepted' then '1'::jsonb end,
         case when $3 <> 'sending' then now() end)`,
      [`att_second_${status}`, jobId, status],
    )
    await assert.rejects(insert, { code: '23505', constraint: 'attempts_alive' }, status)
  }
})

test('after all of this the ledger is in order', async () => {
  assert.deepEqual(await ledgerProblems(pool), [])
})
