import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { openDatabase } from '../src/database.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { until } from './until.ts'

interface Process {
  url: string
  child: ChildProcess
}

/** The server as users start it. */
async function start(environment: Record<string, string>): Promise<Process> {
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0'], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, FILMGATE_LOG_LEVEL: 'error', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  atEnd(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stdout)) {
    const url = /^filmgate ready on (http:\S+)$/.exec(line)?.[1]
    if (url !== undefined) return { url, child }
  }
  throw new Error('the server did not start')
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit')
  child.kill(signal)
  const [code] = await exited
  return code as number | null
}

async function makeDataDir(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-crash-'))
  // as root, PostgreSQL runs as another user, who must be able to enter
  await chmod(dataDir, 0o755)
  atEnd(() => rm(dataDir, { recursive: true, force: true }))
  return dataDir
}

async function call(url: string, key: string, method: string, path: string, body?: unknown) {
  const answer = await fetch(url + path, {
    method,
    headers: { 'x-api-key': key, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  assert.equal(answer.status, 200)
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  return (await answer.json()) as any
}

function ended(url: string, key: string, jobId: string) {
  return until(async () => {
    const job = await call(url, key, 'GET', `/v1/jobs/${jobId}`)
    return !['pending', 'processing'].includes(job.status) && job
  })
}

const body = (prompt: string) => {
  const seed = seedBody(textToVideo)
  return { ...seed, input: { ...seed.input, duration: '3', prompt } }
}

test('kill -9 between submit and completion: after the next start the jobs complete, each charged once', async () => {
  const dataDir = await makeDataDir()
  const environment = { FILMGATE_DATA_DIR: dataDir, DATABASE_URL: '' }
  let server = await start(environment)
  const log = pino({ level: 'silent' })
  const database = await openDatabase({ dataDir, databaseUrl: undefined }, 'command', log)
  atEnd(database.close)
  const { key } = await makeCustomer(database.pool)

  // killed right after the answer, in mid-render, and while the provider takes its time
  const jobIds: string[] = []
  for (const [prompt, waitMs] of [
    ['a lake', 0],
    ['a forest', 700],
    ['a desert [sandbox:processing 2]', 300],
  ] as const) {
    const { jobId } = await call(server.url, key, 'POST', '/v1/jobs/submit', body(prompt))
    jobIds.push(jobId)
    await sleep(waitMs)
    await end(server.child, 'SIGKILL')
    server = await start(environment)
  }
  for (const jobId of jobIds) {
    const job = await ended(server.url, key, jobId)
    assert.equal(job.status, 'completed', JSON.stringify(job.error))
    assert.equal((await fetch(job.output)).status, 200)
    assert.deepEqual(await transfersOf(database.pool, jobId), { charges: 1, refunds: 0 })
  }
  assert.deepEqual(await ledgerProblems(database.pool), [])
  assert.equal(await end(server.child, 'SIGTERM'), 0)
})

test('of two processes on one database one is killed -9: the other finishes its jobs within the beat', async () => {
  const { pool, url } = await cloneDatabase()
  const { key } = await makeCustomer(pool)
  // one folder, as two processes of one machine share it
  const environment = { FILMGATE_DATA_DIR: await makeDataDir(), DATABASE_URL: url }
  const [first, second] = await Promise.all([start(environment), start(environment)])
  const jobs = await Promise.all(
    ['a lake', 'a forest', 'a street', 'a desert'].map((prompt) =>
      call(first.url, key, 'POST', '/v1/jobs/submit', body(prompt)),
    ),
  )
  await sleep(300)
  await end(first.child, 'SIGKILL')
  for (const { jobId } of jobs) {
    const job = await ended(second.url, key, jobId)
    assert.equal(job.status, 'completed', JSON.stringify(job.error))
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: 0 })
  }
  assert.deepEqual(await ledgerProblems(pool), [])
  assert.equal(await end(second.child, 'SIGTERM'), 0)
})

test('a second server on the same data folder says so in one line and exits 1; the first goes on', async () => {
  const dataDir = await makeDataDir()
  const environment = { FILMGATE_DATA_DIR: dataDir, DATABASE_URL: '' }
  const first = await start(environment)
  const second = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0'], {
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, ...environment, FILMGATE_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  second.stdout.on('data', (chunk) => (output.stdout += chunk))
  second.stderr.on('data', (chunk) => (output.stderr += chunk))
  const [code] = await once(second, 'close')
  assert.equal(code, 1)
  assert.equal(output.stdout, '')
  assert.match(output.stderr, new RegExp(`^filmgate: [^\n]*${dataDir}[^\n]*\n$`))
  assert.equal((await fetch(`${first.url}/health/ready`)).status, 200)
  assert.equal(await end(first.child, 'SIGTERM'), 0)
})
