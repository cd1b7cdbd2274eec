import pg from 'pg'

/** What a statement can be sent through: the pool, or one client inside a transaction. */
export type Db = Pick<pg.ClientBase, 'query'>

// Money fits a JS number only up to 2^53, so a bigint is read as one. Not for all of pg: the queue's library writes
// its own ids as JSON, which knows no bigint.
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 && format !== 'binary'
      ? BigInt
      : pg.types.getTypeParser(oid, format as 'text')) as pg.CustomTypesConfig['getTypeParser'],
}

export interface PoolOptions {
  /** Most connections: 8–16 measured best, 64 halve the rate of a hot row. */
  max: number
  /** Hears of connections that die while idle; without a listener that would end the process. */
  onError(error: Error): void
  /** Ends what takes longer than a request may: for servers, not for commands that look at everything. */
  isHasty?: boolean
  /** For the queue's library: pg's own types. */
  isForQueue?: boolean
  /** For prepared statements that find few rows by an index, run for nearly every request. */
  isForLookups?: boolean
  /** Statements go out without waiting for the answers to those before them (pipelinedTransaction). */
  isPipelined?: boolean
}

// A lock is only ever held for a few ms; the database ends a statement before we take the connection for dead.
// Compiling takes longer than any of these statements, and is begun where a plan only looks dear.
const hasty =
  'set jit = off; set lock_timeout = 3000; set statement_timeout = 10000; set idle_in_transaction_session_timeout = 30000'
const deadConnectionMs = 15_000
// PostgreSQL would plan a look-up of a list anew each time, which takes longer than the look-up itself: 0.44 against
// 0.24 ms for a key (docs/decisions/reads.md). A plan that is kept must not read whole tables, however small they were.
const lookups =
  'set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off'

// The queue's library only locks tasks and takes them off, and a task that comes again decides by the rows it finds. Not
// waiting for the disk is half again as many tasks. What a task has written is older in the log: it is never lost alone.
const lax = 'set synchronous_commit = off'

// By where it came from an error is told from one of the same code of another connection, a client's say.
const ofTheDatabase = new WeakSet<Error>()

/** The error itself, known from now on to come of the way to the database. Pools do so with all of theirs. */
export function markDatabaseError<E>(error: E): E {
  if (error instanceof Error) ofTheDatabase.add(error)
  return error
}

function throwMarked(error: unknown): never {
  throw markDatabaseError(error)
}

type Callback = (error: Error | undefined, ...rest: unknown[]) => void

function marking(callback: Callback): Callback {
  return (error, ...rest) => callback(markDatabaseError(error), ...rest)
}

/** A client, or a pool, whose method tells where its errors come from, in both of pg's forms. */
function marked(method: (...asked: unknown[]) => unknown): (...asked: unknown[]) => unknown {
  return function (this: unknown, ...asked) {
    const last = asked.at(-1)
    const isCallback = typeof last === 'function'
    const answer = method.apply(this, isCallback ? [...asked.slice(0, -1), marking(last as Callback)] : asked)
    return answer instanceof Promise ? answer.catch(throwMarked) : answer
  }
}

class MarkingClient extends pg.Client {
  override query = marked(super.query) as pg.Client['query']
}

class MarkingPool extends pg.Pool {
  override connect = marked(super.connect) as pg.Pool['connect']
}

/** A pool of connections. */
export function createPool(connection: pg.PoolConfig, options: PoolOptions): pg.Pool {
  const pool = new MarkingPool({
    Client: MarkingClient,
    application_name: 'filmgate',
    ...connection,
    max: options.max,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    pipeline: options.isPipelined ?? false,
    ...(options.isForQueue
      ? { query_timeout: 4 * deadConnectionMs, onConnect: (client) => client.query(lax).then(() => {}) }
      : { types }),
    ...(options.isHasty && {
      query_timeout: deadConnectionMs,
      onConnect: (client) =>
        client.query(options.isForLookups ? `${hasty}; ${lookups}` : hasty).then(() => {}),
    }),
  })
  pool.on('error', (error) => options.onError(markDatabaseError(error)))
  // while it is lent out a client's error is the borrower's, but without a listener it would end the process
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Thrown where a statement could not be sent. Its connection is closed: pg may take it for prepared from now on. */
class NeverSent extends Error {}

/** Thrown where a commit was sent and its answer lost: the transaction may have happened or not. */
export class CommitUnknown extends Error {}

/**
 * Runs `work` in one transaction: committed when it returns, rolled back when it throws. A commit without an
 * answer is thrown as CommitUnknown.
 */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  return withClient(pool, async (client) => {
    await client.query('begin')
    const result = await work(client)
    await commit(client, [])
    return result
  })
}

/**
 * The same in two journeys to the database, on a pool that is pipelined: the begin goes out with the first
 * statement of `work`, and the commit with the writes that `send` has sent and not waited for. PostgreSQL turns
 * a commit behind a failed write into a rollback; a write that fails before it is sent keeps the commit back.
 */
export async function pipelinedTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<{ result: T; send: () => Promise<unknown>[] }>,
): Promise<T> {
  return withClient(pool, async (client) => {
    const begun = client.query('begin')
    begun.catch(() => {})
    const { result, send } = await work(client)
    // its answer came before that of the first statement; without it every write would commit by itself
    await begun
    const writes = send()
    await unlessUnsent(writes)
    await commit(client, writes)
    return result
  })
}

/** Throws what kept a write from being sent; that shows within this turn of the event loop. */
async function unlessUnsent(writes: Promise<unknown>[]): Promise<void> {
  const failures: unknown[] = []
  for (const write of writes) write.catch((error) => failures.push(error))
  // pg tells it in the next tick; by the tick after that it has come through all promises
  for (let tick = 0; tick < 2; tick++) await new Promise<void>((resolve) => process.nextTick(resolve))
  if (failures.length > 0) throw new NeverSent('a statement could not be sent', { cause: failures[0] })
}

async function withClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    return await work(client)
  } catch (error) {
    if (error instanceof CommitUnknown || error instanceof NeverSent) broken = error
    else {
      await client.query('rollback').catch((rollbackError: Error) => {
        broken = rollbackError
      })
    }
    throw error
  } finally {
    client.release(broken)
  }
}

async function commit(client: pg.PoolClient, writes: Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled([...writes, client.query('commit')])
  const commitOutcome = outcomes.at(-1)!
  if (commitOutcome.status === 'rejected') {
    const { reason } = commitOutcome
    throw isUnavailable(reason)
      ? new CommitUnknown('the answer to a commit was lost', { cause: reason })
      : reason
  }
  // behind a failed write the commit was a rollback; the first failure is the cause of those after it
  const failure = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failure !== undefined) throw failure.reason
}

const networkErrors = /^(ECONN\w+|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/

/**
 * True when the error says nothing about the statement, only that the database could not be asked or went
 * away meanwhile (SQLSTATE classes 08, 53, 57, 58, a lock not given in time, errors of its own connection): the
 * same may work later. An error of another connection, such as that of a client who hangs up, is none of these.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof CommitUnknown) return true
  if (error instanceof pg.DatabaseError) return /^(08|53|57|58)|^55P03$/.test(error.code ?? '')
  if (!(error instanceof Error && ofTheDatabase.has(error))) return false
  const { code, syscall } = error as NodeJS.ErrnoException
  // ENOENT: the database's socket is not there
  if (typeof code === 'string')
    return networkErrors.test(code) || (code === 'ENOENT' && syscall === 'connect')
  return /^(Connection terminated|Query read timeout|timeout exceeded|Client has encountered|Cannot use a pool)/.test(
    error.message,
  )
}

/** True if a lock was not given in time: somebody holds a row for much longer than we ever do. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '55P03'
}

/** True for the errors that a concurrent transaction caused (serialization failure, deadlock): try again. */
export function isTransient(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '40001' || error.code === '40P01')
}

/** True if a row that another one was to refer to is gone. */
export function isMissing(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23503'
}

/** True if a row of the same unique key was there first. */
export function isTaken(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505'
}

/** The text without what PostgreSQL can't hold, for what others wrote: it must not keep us from writing it down. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}

/** The same of a value, as JSON; in its text such characters are the escapes of these forms. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value).replace(/\\(?:u0000|ud[89a-f]..|.)/g, (found) =>
    found.length === 2 ? found : '\\ufffd',
  )
}

/** True if a value was text that PostgreSQL can't hold (U+0000, half a surrogate pair). */
export function isUnstorableText(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '22021' || error.code === '22P05')
}
