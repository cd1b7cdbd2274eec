import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runMigrations } from 'graphile-worker'
import { runner } from 'node-pg-migrate'
import type pg from 'pg'
import { pino } from 'pino'
import { createPool } from '../src/db.ts'
import { migrate } from '../src/migrate.ts'
import { atEnd } from './at-end.ts'
import { connectionVariable } from './database.ts'
import { until } from './until.ts'

const log = pino({ level: 'silent' })

/** A database as the first version left it. */
async function firstDatabase(): Promise<pg.Pool> {
  const connection = JSON.parse(process.env[connectionVariable]!)
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = createPool(connection, { max: 1, onError() {} })
  await admin.query(`create database ${name}`)
  const pool = createPool({ ...connection, database: name }, { max: 4, onError() {} })
  const dir = await mkdtemp(join(tmpdir(), 'filmgate-first-'))
  atEnd(async () => {
    await pool.end()
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
    await rm(dir, { recursive: true })
  })
  const first = '0001_initial.sql'
  await copyFile(join(import.meta.dirname, '..', 'sql', first), join(dir, first))
  await runMigrations({ pgPool: pool })
  const client = await pool.connect()
  const options = { migrationsTable: 'migrations', direction: 'up', checkOrder: true, noLock: true } as const
  await runner({ ...options, dbClient: client, dir, log: () => {} })
  client.release()
  return pool
}

/** Migrates beside a process that locks two tables the other way round; true if the migration was what gave way. */
async function migrateAndGiveWay(pool: pg.Pool): Promise<boolean> {
  const older = await pool.connect()
  await older.query('begin')
  await older.query('select from jobs')
  const migrated = migrate(pool, log)
  migrated.catch(() => {})
  await until(async () => {
    const waiting = "select from pg_locks where relation = 'jobs'::regclass and not granted"
    return (await pool.query(waiting)).rowCount === 1
  })
  // locked by the migration: PostgreSQL ends the one that has waited for a second first
  const gaveWay = await older.query('select from users').then(
    () => true,
    () => false,
  )
  await older.query('rollback')
  older.release()
  await migrated
  return gaveWay
}

test('a migration that is in the way of a process of the version before is tried again', async () => {
  // on a machine that takes a second between two statements it may be the other that gives way
  for (let attempt = 0; attempt < 5; attempt++) {
    const pool = await firstDatabase()
    const gaveWay = await migrateAndGiveWay(pool)
    const { rows } = await pool.query('select price_basis from jobs')
    assert.deepEqual(rows, [])
    if (gaveWay) return
  }
  assert.fail('the migration never gave way')
})

test('what the version before wrote is there after the migrations, with its meaning', async () => {
  const pool = await firstDatabase()
  await pool.query(`
    insert into users (id, email, webhook_secret) values ('user_1', 'a@example.com', 'whsec_AAAA');
    insert into accounts (kind, mode, user_id, balance_micro_cents) values ('balance', 'test', 'user_1', 0);
    insert into jobs (id, account_id, api_key_id, request_id, model_slug, model_version, input, provider, status,
        cost_micro_cents, created_at, estimated_completion_at, dispatched_at, deadline_at, completed_at)
      select 'job_1', id, 'key_1', 'req_1', 'a/b/c', 'v1.0', '{}', 'sandbox', 'completed', 7, now(), now(), now(), now(), now()
      from accounts where kind = 'balance';
    insert into webhooks (id, job_id, url, body) values ('msg_1', 'job_1', 'https://example.com', '{}');
    insert into webhook_attempts (webhook_id, attempt, started_at, latency_ms) values ('msg_1', 1, now(), 5)`)
  await migrate(pool, log)
  await migrate(pool, log)
  const { rows } = await pool.query(`
    select price_basis, cost_micro_cents, is_redelivery, redelivery_asked_at, webhook_schedule, previous_webhook_secret,
      segments, allowed_models
    from users cross join jobs join webhooks on job_id = jobs.id join webhook_attempts on webhook_id = webhooks.id`)
  assert.deepEqual(rows, [
    {
      price_basis: 'list',
      cost_micro_cents: 7n,
      is_redelivery: false,
      redelivery_asked_at: null,
      webhook_schedule: 'long',
      previous_webhook_secret: null,
      segments: [],
      allowed_models: [],
    },
  ])
  assert.deepEqual((await pool.query('select number from policy_version')).rows, [{ number: 1n }])
})
