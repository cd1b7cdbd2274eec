import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { ConfigError } from '../config.ts'

/** Two are enough, whether a pooler lends the connection that came back last or the one that has rested longest. */
const holders = 2

const refusal =
  'DATABASE_URL goes through a connection pooler in transaction or statement mode (such as PgBouncer), which has the ' +
  'transactions of one session run in another: name the PostgreSQL server itself, or set pool_mode = session'

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
      connectionTimeoutMillis: 10_000,
      query_timeout: 10_000,
    })
    client.on('error', () => {})
    clients.push(client)
    await client.connect()
    return client
  }
  try {
    const own = await open()
    const mark = randomBytes(6).toString('hex')
    await own.query(`set filmgate.session = '${mark}'`)
    const first = await look(own)
    for (let number = 0; number < holders; number++) {
      const other = await open()
      await begin(other)
      const theirs = await look(other)
      const again = await look(own)
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

async function look(client: pg.Client): Promise<{ pid: number; mark: string | null }> {
  const { rows } = await client.query(
    "select pg_backend_pid() as pid, current_setting('filmgate.session', true) as mark",
  )
  return rows[0]
}
