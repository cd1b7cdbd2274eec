import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type pg from 'pg'
import { newId } from '../src/ids.ts'
import { createLocalStorage } from '../src/storage/local.ts'
import type { Storage } from '../src/storage/storage.ts'
import { atEnd } from './at-end.ts'
import { type Customer, cloneDatabase, makeCustomer } from './database.ts'
import { addCompletedJob } from './outputs-fixture.ts'
import { hasLibfaketime, type Shifter, startShifted } from './shifted-processes.ts'

const hourMs = 3_600_000
const ago = (hours: number) => new Date(Date.now() - hours * hourMs)

const cases: [Shifter, number][] = [-48, -2, 2, 48].map((hours) => ['preload', hours])
if (hasLibfaketime) cases.push(['libfaketime', -48], ['libfaketime', 48])
else test('a clock that libfaketime moves', { skip: 'libfaketime is not installed' }, () => {})

for (const [shifter, hours] of cases) {
  test(`a worker whose clock is ${hours} h off (${shifter}) removes what is old, and nothing else`, async () => {
    const { pool, url } = await cloneDatabase()
    const folder = await mkdtemp(join(tmpdir(), 'filmgate-clocks-'))
    atEnd(() => rm(folder, { recursive: true, force: true }))
    const [directory, temporary] = [join(folder, 'files'), join(folder, 'tmp')]
    await mkdir(temporary)
    const storage = await createLocalStorage({ directory })
    const customer = await makeCustomer(pool)
    const aged = await Promise.all([
      outputs(pool, storage, customer),
      idempotencyKeys(pool, storage, customer),
      uploads(pool, storage, customer),
      counters(pool),
      files(temporary, 0.5, 2),
      files(join(directory, '.parts'), 23, 25),
      pendingJobs(pool, customer),
      deadProcesses(pool),
    ])
    const { child, said } = startShifted(['test/shifted-sweep.ts', url, directory, temporary], {
      hours,
      shifter,
      env: {},
    })
    const [code] = await once(child, 'exit')
    assert.deepEqual([code, said()], [0, ''])
    for (const { kind, isKept } of aged) {
      assert.deepEqual(
        { kind, young: await isKept('young'), old: await isKept('old') },
        { kind, young: true, old: false },
      )
    }
  })
}

type Age = 'young' | 'old'

/** Two of a kind, of which one has reached the age at which it goes. */
interface Aged {
  kind: string
  isKept(age: Age): Promise<boolean> | boolean
}

const isThere = async (pool: pg.Pool, text: string, value: unknown) =>
  (await pool.query(text, [value])).rowCount === 1

async function outputs(pool: pg.Pool, storage: Storage, customer: Customer): Promise<Aged> {
  await pool.query('update users set retention_days = 1 where id = $1', [customer.userId])
  const young = await addCompletedJob(pool, storage, customer, ago(0.05))
  const old = await addCompletedJob(pool, storage, customer, ago(25))
  const jobs = { young, old }
  return {
    kind: 'outputs',
    isKept: async (age) => (await storage.stat(jobs[age].keys[0])) !== undefined,
  }
}

async function idempotencyKeys(pool: pg.Pool, storage: Storage, customer: Customer): Promise<Aged> {
  for (const [key, hours] of [
    ['young', 23],
    ['old', 25],
  ] as const) {
    const { jobId } = await addCompletedJob(pool, storage, customer, ago(0.1))
    await pool.query(
      "insert into idempotency_keys (account_id, key, request_hash, job_id, created_at) values ($1, $2, '', $3, $4)",
      [customer.accountId, key, jobId, ago(hours)],
    )
  }
  return {
    kind: 'idempotency key',
    isKept: (age) => isThere(pool, 'select from idempotency_keys where key = $1', age),
  }
}

async function uploads(pool: pg.Pool, storage: Storage, customer: Customer): Promise<Aged> {
  const ids = { young: randomUUID(), old: randomUUID() }
  for (const [id, hours] of [
    [ids.young, 23],
    [ids.old, 25],
  ] as const) {
    await pool.query(
      `insert into uploads (id, user_id, filename, content_type, created_at, put_expires_at, expires_at, status, bytes)
       values ($1, $2, 'a.png', 'image/png', $3, $3, $3, 'stored', 1)`,
      [id, customer.userId, ago(hours)],
    )
    await storage.put(`uploads/${id}.png`, Readable.from([Buffer.from('a')]))
  }
  return {
    kind: 'upload',
    isKept: async (age) => (await storage.stat(`uploads/${ids[age]}.png`)) !== undefined,
  }
}

async function counters(pool: pg.Pool): Promise<Aged> {
  await pool.query("insert into rate_limits (key, points, expire) values ('young', 1, $1), ('old', 1, $2)", [
    Date.now() + 60_000,
    Date.now() - 1_000,
  ])
  return { kind: 'counter', isKept: (age) => isThere(pool, 'select from rate_limits where key = $1', age) }
}

async function files(folder: string, youngHours: number, oldHours: number): Promise<Aged> {
  for (const [name, hours] of [
    ['young', youngHours],
    ['old', oldHours],
  ] as const) {
    await writeFile(join(folder, name), 'part')
    await utimes(join(folder, name), ago(hours), ago(hours))
  }
  return {
    kind: folder.includes('.parts') ? 'part' : 'temporary file',
    isKept: (age) => existsSync(join(folder, age)),
  }
}

/** The sweep gives a task to a job that has waited for a minute without one. */
async function pendingJobs(pool: pg.Pool, { accountId, keyId }: Customer): Promise<Aged> {
  const ids = { young: newId('job', new Date()), old: newId('job', new Date()) }
  for (const [id, hours] of [
    [ids.young, 0.01],
    [ids.old, 0.03],
  ] as const) {
    await pool.query(
      `insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, provider,
         cost_micro_cents, created_at, estimated_completion_at)
       values ($1, $2, $3, 'req_x', 'a/b/c', '1', '{}', 'sandbox', 0, $4, $4)`,
      [id, accountId, keyId, ago(hours)],
    )
  }
  return {
    kind: 'job without a task',
    isKept: async (age) =>
      !(await isThere(pool, "select from graphile_worker.jobs where key = 'dispatch:' || $1", ids[age])),
  }
}

/** The tasks of a process that has not beaten for 15 s are freed. */
async function deadProcesses(pool: pg.Pool): Promise<Aged> {
  for (const [worker, seconds] of [
    ['young', 5],
    ['old', 60],
  ] as const) {
    const beatAt = ago(seconds / 3600)
    await pool.query('insert into processes (id, worker_ids, beat_at) values ($1, $2, $3)', [
      worker,
      [worker],
      beatAt,
    ])
    await pool.query("select graphile_worker.add_job('discard', '{}', job_key => $1)", [worker])
    await pool.query(
      "update graphile_worker._private_jobs set locked_by = $1, locked_at = now() - interval '5 minutes' where key = $1",
      [worker],
    )
  }
  return {
    kind: 'process',
    isKept: (age) => isThere(pool, 'select from graphile_worker.jobs where locked_by = $1', age),
  }
}
