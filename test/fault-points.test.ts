import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { suite, test } from 'node:test'
import type pg from 'pg'
import { pino } from 'pino'
import { openDatabase } from '../src/database.ts'
import { durableSteps } from '../src/fault-points.ts'
import { addTask } from '../src/queue/tasks.ts'
import { atEnd } from './at-end.ts'
import { ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { until } from './until.ts'
import { listen } from './webhook-fixture.ts'

const delivered = new Set<string>()
const receiver = await listen(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  delivered.add(JSON.parse(text).jobId)
  response.end()
})

/** What is asked for at each start, each with a key of its own under which it is asked for again until it is answered. */
const requests = [
  { prompt: 'a lake', ends: 'completed' },
  { prompt: 'a lake [sandbox:fail GENERATION_FAILED]', ends: 'failed' },
  { prompt: 'a lake [sandbox:pending 600]', ends: 'cancelled' },
] as const

interface Asked {
  idempotencyKey: string
  prompt: string
  ends: string
  jobId?: string
}

async function start(dataDir: string, faultPoint: string): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0'], {
    cwd: join(import.meta.dirname, '..'),
    env: {
      ...process.env,
      FILMGATE_LOG_LEVEL: 'fatal',
      FILMGATE_DATA_DIR: dataDir,
      DATABASE_URL: '',
      FILMGATE_ALLOW_PRIVATE_NETWORK: '1',
      FILMGATE_FAULT_POINT: faultPoint,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  atEnd(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stdout)) {
    const url = /^filmgate ready on (http:\S+)$/.exec(line)?.[1]
    if (url !== undefined) return { url, child }
  }
  // what was left by those before may have led it to its fault before it was ready
  return { url: 'http://127.0.0.1:1', child }
}

async function ask(url: string, key: string, asked: Asked): Promise<void> {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  if (asked.jobId === undefined) {
    const answer = await fetch(`${url}/v1/jobs/submit`, {
      method: 'POST',
      headers: { ...headers, 'idempotency-key': asked.idempotencyKey },
      body: JSON.stringify({
        model: 'google/nano-banana',
        input: { prompt: asked.prompt },
        webhookUrl: receiver,
      }),
    })
    const body = (await answer.json()) as { jobId: string }
    assert.equal(answer.status, 200, JSON.stringify(body))
    asked.jobId = body.jobId
  }
  if (asked.ends === 'cancelled')
    await fetch(`${url}/v1/jobs/${asked.jobId}/cancel`, { method: 'POST', headers })
}

/** Whatever of it the server lives to answer. */
const askAll = (url: string, key: string, asked: Asked[]) =>
  Promise.allSettled(asked.map((one) => ask(url, key, one)))

async function statusesOf(pool: pg.Pool, jobIds: string[]): Promise<Map<string, string>> {
  const { rows } = await pool.query<{ id: string; status: string }>(
    'select id, status from jobs where id = any($1)',
    [jobIds],
  )
  return new Map(rows.map(({ id, status }) => [id, status]))
}

suite('a sudden death', { concurrency: true }, () => {
  for (const side of ['before', 'after'] as const) {
    test(`dying right ${side} any durable step, again and again: every job ends once, charged as it should be`, async () => {
      const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-faults-'))
      // as root, PostgreSQL runs as another user, who must be able to enter
      await chmod(dataDir, 0o755)
      atEnd(() => rm(dataDir, { recursive: true, force: true }))
      const settings = { dataDir, databaseUrl: undefined }
      const database = await openDatabase(settings, 'command', pino({ level: 'silent' }))
      atEnd(database.close)
      const { pool } = database

      let key: string | undefined
      const asked: Asked[] = []
      for (const step of durableSteps) {
        // each start takes up what the death before it left, and may meet its own fault on the way
        const { url, child } = await start(dataDir, `${step}:${side}`)
        const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
        key ??= (await makeCustomer(pool, { microCents: 1_000_000_000n })).key
        for (const request of requests) asked.push({ ...request, idempotencyKey: randomUUID() })
        await addTask(pool, 'discard', { jobId: `job_${randomUUID()}` })
        await askAll(url, key, asked)
        const timer = setTimeout(() => child.kill('SIGTERM'), 60_000)
        await exited
        clearTimeout(timer)
        assert.equal(child.signalCode, 'SIGKILL', `${step}:${side} was never reached`)
      }

      const { url, child } = await start(dataDir, '')
      // after so many deaths tasks wait for a time of their own, which nothing is here to be kept apart from any more
      await pool.query(
        `select graphile_worker.reschedule_jobs(array[id], run_at => now()) from graphile_worker.jobs
         where run_at > now() and locked_at is null and key ~ '^(dispatch|collect):'`,
      )
      // a request that is asked for again is answered as it would have been
      await until(async () => {
        await askAll(url, key!, asked)
        return asked.every(({ jobId }) => jobId !== undefined)
      })
      const jobIds = asked.map(({ jobId }) => jobId!)
      await until(async () => {
        await askAll(url, key!, asked)
        return [...(await statusesOf(pool, jobIds)).values()].every(
          (status) => !['pending', 'processing'].includes(status),
        )
      })
      const statuses = await statusesOf(pool, jobIds)
      for (const { jobId, ends, prompt } of asked) {
        assert.equal(statuses.get(jobId!), ends, `${jobId}: ${prompt}`)
        assert.deepEqual(await transfersOf(pool, jobId!), {
          charges: 1,
          refunds: ends === 'completed' ? 0 : 1,
        })
        if (ends !== 'cancelled') await until(() => delivered.has(jobId!))
      }
      assert.equal(new Set(jobIds).size, asked.length)
      const { rows } = await pool.query('select count(*)::int as jobs from jobs')
      assert.equal(rows[0].jobs, asked.length)
      assert.deepEqual(await ledgerProblems(pool), [])
      const waiting = 'select from graphile_worker.jobs where attempts < max_attempts'
      await until(async () => (await pool.query(waiting)).rowCount === 0)
      assert.equal((await pool.query('select from polls')).rowCount, 0)
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      assert.deepEqual(await exited, [0, null])
    })
  }
})
