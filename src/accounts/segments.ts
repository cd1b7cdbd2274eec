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

/** Takes a segment away, unless prices, models or users still name it; tells what does. */
export async function removeSegment(
  db: Db,
  name: string,
): Promise<'removed' | 'unknown' | { overrides: number; models: number; users: number }> {
  const { rows } = await db.query<{ overrides: number; models: number; users: number }>(
    `select (select count(*)::int from price_overrides p where p.segment = s.name) as overrides,
       (select count(*)::int from model_visibility m where m.segments @> array[s.name]) as models,
       (select count(*)::int from users u where u.segments @> array[s.name]) as users
     from segments s where s.name = $1`,
    [name],
  )
  const uses = rows[0]
  if (uses === undefined) return 'unknown'
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
     where id = $2 and exists (select from segments where name = $1)`,
    [name, userId, isMember],
  )
  return rowCount === 1
}
