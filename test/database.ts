import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { createKey, type KeyScope } from '../src/accounts/keys.ts'
import { createUser } from '../src/accounts/users.ts'
import { createPool } from '../src/db.ts'
import { credit, type Mode } from '../src/ledger/ledger.ts'
import { verifyLedger } from '../src/ledger/verify.ts'
import { atEnd } from './at-end.ts'

export const connectionVariable = 'FILMGATE_TEST_POSTGRES'
export const templateName = 'filmgate_template'

export interface TestDatabase {
  pool: pg.Pool
  /** As createSubmit takes it. */
  submitPool: pg.Pool
  /** For a server that is to run on this database. */
  url: string
}

/** A fresh clone of the migrated template, dropped after the tests of the calling file. */
export async function cloneDatabase(): Promise<TestDatabase> {
  const text = process.env[connectionVariable]
  if (text === undefined) throw new Error('run tests through npm test, which starts their PostgreSQL')
  const connection = JSON.parse(text) as {
    host: string
    port: number
    user: string
    password: string
    database: string
  }
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = createPool(connection, { max: 1, onError() {} })
  await admin.query(`create database ${name} template ${templateName}`)
  const pool = createPool({ ...connection, database: name }, { max: 8, onError() {} })
  const submitPool = createPool(
    { ...connection, database: name },
    { max: 4, onError() {}, isPipelined: true },
  )
  atEnd(async () => {
    await Promise.all([pool.end(), submitPool.end()])
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
  })
  const { host, port, user, password } = connection
  const url = `postgres://${user}:${encodeURIComponent(password)}@/${name}?host=${encodeURIComponent(host)}&port=${port}`
  return { pool, submitPool, url }
}

export interface Customer {
  userId: string
  accountId: bigint
  key: string
  keyId: string
  webhookSecret: string
}

let customers = 0

/** A user with one key and money in the key's mode. */
export async function makeCustomer(
  pool: pg.Pool,
  options: { mode?: Mode; microCents?: bigint; concurrencyLimit?: number | null; scopes?: KeyScope[] } = {},
): Promise<Customer> {
  const { mode = 'test', microCents = 10_000_000n, concurrencyLimit = null, scopes } = options
  const user = await createUser(pool, {
    email: `user-${++customers}-${process.pid}@example.com`,
    concurrencyLimit,
  })
  const { userId, webhookSecret } = user!
  if (microCents > 0n) await credit(pool, { userId, mode }, microCents, undefined)
  const { key, keyId } = await createKey(pool, { userId, mode, scopes })
  const { rows } = await pool.query<{ id: bigint }>(
    'select id from accounts where user_id = $1 and mode = $2',
    [userId, mode],
  )
  return { userId, webhookSecret, key, keyId, accountId: rows[0]!.id }
}

/** The balance of an account, in micro-cents. */
export async function balanceOf(pool: pg.Pool, accountId: bigint): Promise<bigint> {
  const { rows } = await pool.query<{ balance: bigint }>(
    'select balance_micro_cents as balance from accounts where id = $1',
    [accountId],
  )
  return rows[0]!.balance
}

/** How often a job was charged and refunded. */
export async function transfersOf(
  pool: pg.Pool,
  jobId: string,
): Promise<{ charges: number; refunds: number }> {
  const { rows } = await pool.query<{ charges: number; refunds: number }>(
    `select count(*) filter (where kind = 'charge')::int as charges, count(*) filter (where kind = 'refund')::int as refunds
     from ledger_transfers where job_id = $1`,
    [jobId],
  )
  return rows[0]!
}

/** The ledger's own check; its problems, which should be none. */
export async function ledgerProblems(pool: pg.Pool): Promise<unknown[]> {
  const client = await pool.connect()
  try {
    return (await verifyLedger(client)).problems
  } finally {
    client.release()
  }
}
