import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { ConfigError } from '../config.ts'
import { withinTime } from '../time-limit.ts'

/** Two are enough, whether a pooler lends the connection that came back last or the one that has rested longest. */
const holders = 2
const answerLimitMs = 10_000

const refusal =
  'DATABASE_URL goes through a connection pooler in transaction or statement mode (such as PgBouncer), which has the ' +
  'transactions of one session run in another: name the PostgreSQL server itself, or set pool_mode = session'

const noAnswer =
  `DATABASE_URL: the server takes connections and answers no statement within ${answerLimitMs / 1000} s: see whether it, ` +
  'or a connection pooler before it, has connections left (filmgate keeps each of its own for as long as it runs)'

/**
 * Refuses a database whose sessions do not last from one transaction to the next. Settings, prepared statements, LISTEN
 * and locks would be lost, or kept for strangers. It is seen by what happens, whatever pooler it is: while others
 * are in a transaction, a session of our own still has the same server process, alone, and what was set in it.
 */
export async function requireSessions(connection: pg.ClientConfig): Promise<void> {
  const clients: pg.Client[] = []
  const open = async () => {
    const client = new pg.Client({
      ...connection,
      application_name: 'filmgate start',
      connectionTimeoutMillis: answerLimitMs,
    })
    client.on('error', () => {})
    clients.push(client)
    await client.connect()
    return client
  }
  try {
    const own = await open()
    const mark = randomBytes(6).toString('hex')
    await answered(own.query(`set filmgate.session = '${mark}'`), noAnswer)
    const first = await look(own, noAnswer)
    for (let number = 0; number < holders; number++) {
      const other = await open()
      await answered(begin(other), noAnswer)
      const theirs = await look(other, noAnswer)
      // a pooler that has no other server process keeps us waiting for the one that we had
      const again = await look(own, refusal)
      const isShared = theirs.pid === first.pid || theirs.mark === mark
      if (isShared || again.pid !== first.pid || again.mark !== mark) throw new ConfigError(refusal)
    }
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => {})))
  }
}

async function begin(client: pg.Client): Promise<void> {
  await client.query('begin').catch((error) => {
    // PgBouncer in statement mode takes no transaction (SQLSTATE 08P01, a protocol violation)
    throw error instanceof pg.DatabaseError && error.code === '08P01' ? new ConfigError(refusal) : error
  })
}

async function look(client: pg.Client, whenLate: string): Promise<{ pid: number; mark: string | null }> {
  const asked = client.query(
    "select pg_backend_pid() as pid, current_setting('filmgate.session', true) as mark",
  )
  const { rows } = await answered(asked, whenLate)
  return rows[0]
}

async function answered<T>(answer: Promise<T>, whenLate: string): Promise<T> {
  // what is given up fails once its connection is ended, which is no news
  answer.catch(() => {})
  return withinTime(answerLimitMs, () => answer).catch((error) => {
    throw error instanceof DOMException ? new ConfigError(whenLate) : error
  })
}
