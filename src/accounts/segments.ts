import type { Db } from '../db.ts'

/** A group of users with terms of its own: prices, models. */
export interface Segment {
  name: string
  description: string | null
  users: number
}

/** Makes a segment; false if there is one of this name. */
export async function createSegment(db: Db, name: string, description: string | undefined): Promise<boolean> {
  const { rowCount } = await db.query(
    'insert into segments (name, description) values ($1, $2) on conflict do nothing',
    [name, description ?? null],
  )
  return rowCount === 1
}

export async function listSegments(db: Db): Promise<Segment[]> {
  const { rows } = await db.query<Segment>(
    `select s.name, s.description, (select count(*)::int from users u where u.segments @> array[s.name]) as users
     from segments s order by s.name`,
  )
  return rows
}

/**
 * Takes a segment away, unless prices, models or users still name it; tells what does. In a transaction of the caller's:
 * who puts a user in meanwhile holds a lock on the segment, which is waited for before it is counted.
 */
export async function removeSegment(
  db: Db,
  name: string,
): Promise<'removed' | 'unknown' | { overrides: number; models: number; users: number }> {
  const segment = await db.query('select from segments where name = $1 for update', [name])
  if (segment.rowCount === 0) return 'unknown'
  const { rows } = await db.query<{ overrides: number; models: number; users: number }>(
    `select (select count(*)::int from price_overrides where segment = $1) as overrides,
       (select count(*)::int from model_visibility where segments @> array[$1::text]) as models,
       (select count(*)::int from users where segments @> array[$1::text]) as users`,
    [name],
  )
  const uses = rows[0]!
  if (uses.overrides + uses.models + uses.users > 0) return uses
  await db.query('delete from segments where name = $1', [name])
  return 'removed'
}

/** Puts a user into a segment or takes it out; false if there is no such segment. */
export async function assignSegment(
  db: Db,
  name: string,
  userId: string,
  isMember: boolean,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update users set segments = array_remove(users.segments, $1) || case when $3 then array[$1::text] else '{}' end
     where id = $2 and exists (select from segments where name = $1 for key share)`,
    [name, userId, isMember],
  )
  return rowCount === 1
}
