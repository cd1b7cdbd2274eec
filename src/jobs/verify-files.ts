import type { Db } from '../db.ts'
import { limitedTo } from '../limited-to.ts'
import type { Storage } from '../storage/storage.ts'

/** A file that is stored for no job, and what became of the job that its name tells of. */
export interface StrayFile {
  key: string
  job: 'unknown' | 'completed' | 'failed' | 'cancelled'
}

/** A file that a completed job should have. */
export interface MissingFile {
  key: string
  jobId: string
}

export interface FilesReport {
  ok: boolean
  totals: { stored: number; stray: number; missing: number; deleted: number }
  /** The first of them. */
  stray: StrayFile[]
  missing: MissingFile[]
}

const atOnce = 1_000
const mostShown = 1_000
/** A database that does not know most of the files is likely not theirs. */
const mostUnknown = 100

/** Thrown in place of deleting the files of what may be another server. */
export class FilesOfAnother extends Error {}

/**
 * Compares the stored outputs with those that jobs should have. The storage is listed first and the jobs are looked at
 * afterwards, so that a job that completes meanwhile is neither; files of unfinished jobs are being copied.
 * `db` must be one connection, not a pool.
 */
export async function verifyFiles(
  db: Db,
  storage: Storage,
  options: { isDeleting: boolean; isForced?: boolean },
): Promise<FilesReport> {
  await db.query('begin')
  try {
    const stored = await list(db, storage)
    const report: FilesReport = {
      ok: true,
      totals: { stored, stray: 0, missing: 0, deleted: 0 },
      stray: [],
      missing: [],
    }
    if (options.isDeleting && !options.isForced) await refuseUnlessKnown(db)
    for await (const files of pages<StrayFile>(db, strayFiles)) {
      report.totals.stray += files.length
      report.stray.push(...files.slice(0, mostShown - report.stray.length))
      if (options.isDeleting) report.totals.deleted += await removeAll(storage, files)
    }
    for await (const files of pages<MissingFile>(db, missingFiles)) {
      const missing = await notStored(storage, files)
      report.totals.missing += missing.length
      report.missing.push(...missing.slice(0, mostShown - report.missing.length))
    }
    report.ok = report.totals.missing === 0 && report.totals.deleted === report.totals.stray
    return report
  } finally {
    await db.query('rollback')
  }
}

/** Writes down what is stored where the database can compare it; it is gone with the transaction. */
async function list(db: Db, storage: Storage): Promise<number> {
  await db.query('create temporary table stored_files (key text not null) on commit drop')
  let count = 0
  let keys: string[] = []
  const write = async () => {
    await db.query('insert into stored_files select unnest($1::text[])', [keys])
    count += keys.length
    keys = []
  }
  for await (const key of storage.list('outputs/')) {
    keys.push(key)
    if (keys.length === 5_000) await write()
  }
  await write()
  await db.query('analyze stored_files')
  return count
}

const strayFiles = `
  select s.key, coalesce(j.status::text, 'unknown') as job
  from stored_files s left join jobs j on j.id = split_part(s.key, '/', 2)
  where coalesce(j.status in ('completed', 'failed', 'cancelled'), true) and (
    j.outputs_deleted_at is not null or not exists (
      select from job_outputs o where o.job_id = j.id and s.key in (o.key, o.poster_key, o.thumbnail_key)))
  order by s.key`

const missingFiles = `
  select file.key, o.job_id as "jobId"
  from job_outputs o
  join jobs j on j.id = o.job_id
  cross join unnest(array[o.key, o.poster_key, o.thumbnail_key]) as file (key)
  where j.outputs_deleted_at is null and file.key is not null
    and not exists (select from stored_files s where s.key = file.key)`

async function* pages<Row extends object>(db: Db, query: string): AsyncGenerator<Row[]> {
  await db.query(`declare page no scroll cursor for ${query}`)
  for (;;) {
    const { rows } = await db.query<Row>(`fetch ${atOnce} from page`)
    if (rows.length === 0) break
    yield rows
  }
  await db.query('close page')
}

async function refuseUnlessKnown(db: Db): Promise<void> {
  const { rows } = await db.query<{ unknown: bigint; known: bigint }>(
    `select count(*) filter (where j.id is null) as unknown, count(j.id) as known
     from stored_files s left join jobs j on j.id = split_part(s.key, '/', 2)`,
  )
  const { unknown, known } = rows[0]!
  if (unknown <= mostUnknown || unknown <= known) return
  throw new FilesOfAnother(
    `the database knows no job of ${unknown} of the ${unknown + known} files: is it theirs? --force deletes them all the same`,
  )
}

async function removeAll(storage: Storage, files: StrayFile[]): Promise<number> {
  const inTurn = limitedTo(16)
  await Promise.all(files.map(({ key }) => inTurn(() => storage.remove(key))))
  return (
    files.length -
    (await Promise.all(files.map(({ key }) => inTurn(() => storage.stat(key))))).filter(Boolean).length
  )
}

async function notStored(storage: Storage, files: MissingFile[]): Promise<MissingFile[]> {
  const inTurn = limitedTo(16)
  const found = await Promise.all(files.map(({ key }) => inTurn(() => storage.stat(key))))
  return files.filter((_, index) => found[index] === undefined)
}
