import type pg from 'pg'

interface ConnectionLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/**
 * Says how many connections this process may come to need, and warns where the server leaves fewer: of what it takes in
 * all, without what it keeps for superusers, those that are there now, and the limits of role and database.
 */
export async function sayConnections(pool: pg.Pool, needed: number, log: ConnectionLog): Promise<void> {
  const { rows } = await pool.query<{ most: number; used: number }>(
    `select least(
         current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0),
         (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
         (select nullif(datconnlimit, -1) from pg_database where datname = current_database())
       ) as most,
       (select sum(numbackends)::int from pg_stat_database) as used`,
  )
  const { most, used } = rows[0]!
  const left = Math.max(0, most - used + pool.totalCount)
  const fields = { needed, left, most, used }
  if (left >= needed) log.info(fields, `up to ${needed} database connections will be needed`)
  else {
    log.warn(
      fields,
      `up to ${needed} database connections will be needed, and the server has ${left} left: raise max_connections, or run fewer processes`,
    )
  }
}
