import pg from 'pg'

/** How long a lock is waited for before it is said. */
const silentMs = 3_000
const lookEveryMs = 1_000

interface Wait {
  pid: number
  lock_type: string
  mode: string
  relation: string | null
  waited_seconds: number
  holder_pid: number
  holder_name: string | null
  holder_user: string | null
  holder_state: string | null
  holder_since: Date | null
}

/**
 * Says each lock that a connection of the pool has waited for longer than three seconds: what for, and who holds it.
 * It looks through a connection of its own, which is only opened once that may be. `stop` ends it.
 */
export function watchLockWaits(pool: pg.Pool, connection: pg.ClientConfig, say: (line: string) => void) {
  const pids = new Set<number>()
  const said = new Set<string>()
  const note = (client: unknown) => pids.add((client as { processID: number }).processID)
  pool.on('connect', note)
  let looking: Promise<void> | undefined
  let client: pg.Client | undefined

  async function look(): Promise<void> {
    if (pids.size === 0) return
    client ??= await open(connection)
    for (const wait of await findWaits(client, [...pids])) {
      const key = `${wait.pid} ${wait.lock_type} ${wait.holder_pid}`
      if (said.has(key)) continue
      said.add(key)
      say(sentence(wait))
    }
  }

  const lookAgain = () => {
    looking ??= look()
      // the database itself says what is wrong with it
      .catch(() => {
        client?.end().catch(() => {})
        client = undefined
      })
      .finally(() => {
        looking = undefined
      })
  }
  let timer = setTimeout(function start() {
    lookAgain()
    timer = setInterval(lookAgain, lookEveryMs).unref()
  }, silentMs).unref()

  return async () => {
    clearTimeout(timer)
    pool.off('connect', note)
    await looking
    await client?.end().catch(() => {})
  }
}

async function open(connection: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({
    ...connection,
    application_name: 'filmgate lock watch',
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  })
  client.on('error', () => {})
  await client.connect()
  return client
}

// Who waits for a row waits for the transaction that changed it, and holds the lock on the row's place meanwhile.
async function findWaits(client: pg.Client, pids: number[]): Promise<Wait[]> {
  const { rows } = await client.query<Wait>(
    `select a.pid, w.locktype as lock_type, w.mode,
       (select coalesce(w.relation, t.relation)::regclass::text from (values (1)) as one
        left join pg_locks t on t.pid = a.pid and t.locktype = 'tuple' and t.granted limit 1) as relation,
       extract(epoch from clock_timestamp() - coalesce(w.waitstart, a.query_start))::float8 as waited_seconds,
       h.pid as holder_pid, h.application_name as holder_name, h.usename as holder_user, h.state as holder_state,
       coalesce(h.xact_start, h.backend_start) as holder_since
     from pg_stat_activity a
     join pg_locks w on w.pid = a.pid and not w.granted
     cross join unnest(pg_blocking_pids(a.pid)) as blocker (pid)
     left join pg_stat_activity h on h.pid = blocker.pid
     where a.pid = any($1) and clock_timestamp() - coalesce(w.waitstart, a.query_start) > $2 * interval '1 ms'`,
    [pids, silentMs],
  )
  return rows
}

function sentence(wait: Wait): string {
  const {
    holder_pid: pid,
    holder_name: name,
    holder_user: user,
    holder_state: state,
    holder_since: since,
  } = wait
  const known = [
    name ? `application "${name}"` : 'an application without name',
    user === null ? undefined : `user ${user}`,
    since === null ? undefined : `since ${since.toISOString()}`,
    state ?? undefined,
  ].filter((part) => part !== undefined)
  return `waits ${Math.round(wait.waited_seconds)} s for ${subject(wait)}, which pid ${pid} holds (${known.join(', ')})`
}

function subject({ lock_type: type, relation, mode }: Wait): string {
  if (type === 'advisory') return `an advisory lock (${mode})`
  if (type === 'relation') return `the lock of table ${relation} (${mode})`
  if (type === 'transactionid' || type === 'tuple') {
    return relation === null ? 'a row that another transaction has changed' : `a row of table ${relation}`
  }
  return `a lock of type ${type} (${mode})`
}
