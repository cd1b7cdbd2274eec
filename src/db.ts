import pg from 'pg'

/** What a statement can be sent through: the pool, or one client inside a transaction. */
export type Db = Pick<pg.ClientBase, 'query'>

// bigint comes as text from pg: money fits a JS number only up to 2^53, so it is read as bigint.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => BigInt(text))

/** How long the server lets a statement, and a transaction that does nothing, go on. */
const limits = { statement_timeout: 30_000, idle_in_transaction_session_timeout: 60_000 }

/**
 * A pool of at most `max` connections (8–16 measured best: 64 halve the rate of a hot row). `onError` hears
 * of connections that die while idle; without a listener that would end the process.
 */
export function createPool(connection: pg.PoolConfig, max: number, onError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool({
    ...connection,
    max,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    application_name: 'filmgate',
    keepAlive: true,
    ...limits,
  })
  pool.on('error', onError)
  // while it is lent out a client's error is the borrower's, but without a listener it would end the process
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch((rollbackError: Error) => {
      broken = rollbackError
    })
    throw error
  } finally {
    client.release(broken)
  }
}

/**
 * True when the error says nothing about the statement, only that the database could not be asked or went
 * away meanwhile (SQLSTATE classes 08, 53, 57, 58 and errors of the socket): the same may work later, and a
 * commit that failed so may have happened.
 */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = (error as { code?: unknown }).code
  if (error instanceof pg.DatabaseError) return /^(08|53|57|58)/.test(error.code ?? '')
  if (typeof code === 'string') return /^(E[A-Z]+)$/.test(code)
  return /connection|timeout exceeded/i.test(error.message)
}

/** True for the errors that a concurrent transaction caused (serialization failure, deadlock): try again. */
export function isTransient(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '40001' || error.code === '40P01')
}

/** True if a value was text that PostgreSQL can't hold (U+0000, half a surrogate pair). */
export function isUnstorableText(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '22021' || error.code === '22P05')
}
