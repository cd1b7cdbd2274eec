import { basename, extname } from 'node:path'
import { type Db, isUnavailable } from '../db.ts'

/** What is known of a stored file beside its bytes. */
export interface FileFacts {
  /** Under which a browser saves it. */
  name: string
  /** Until when other bytes may come under its key; undefined where none ever will. */
  changesUntil?: Date | undefined
  /** How often bytes were put under its key; undefined where that is once, or not known. */
  puts?: number
}

const outputKey = /^outputs\/(job_[0-9a-z]+)\/(\d+)(-poster|-thumbnail)?\.[a-z0-9]+$/
const uploadKey = /^uploads\/([0-9a-f-]{36})\.[a-z0-9]+$/

/** Of what the database can't be asked about. */
const unknownEnd = new Date(8_640_000_000_000_000)

/** Asks the database; while it is away files are served all the same, with less said of them. */
export async function findFileFacts(db: Db, key: string): Promise<FileFacts> {
  const [, jobId, position, suffix = ''] = outputKey.exec(key) ?? []
  const uploadId = uploadKey.exec(key)?.[1]
  try {
    if (jobId !== undefined) return { name: await outputName(db, key, { jobId, position, suffix }) }
    if (uploadId !== undefined) return await uploadFacts(db, key, uploadId)
  } catch (error) {
    if (!isUnavailable(error)) throw error
    if (uploadId !== undefined)
      return { name: basename(key), changesUntil: unknownEnd, puts: Number.POSITIVE_INFINITY }
  }
  return { name: basename(key) }
}

async function outputName(
  db: Db,
  key: string,
  { jobId, position, suffix }: { jobId: string; position: string | undefined; suffix: string },
): Promise<string> {
  const { rows } = await db.query<{ model_slug: string }>('select model_slug from jobs where id = $1', [
    jobId,
  ])
  const [provider = '', model = ''] = rows[0]?.model_slug.split('/') ?? []
  const maker = model.startsWith(provider) ? model : `${provider}-${model}`
  const number = position === '0' ? '' : `-${Number(position) + 1}`
  return `${maker === '' ? '' : `${maker}-`}${jobId}${number}${suffix}${extname(key)}`
}

async function uploadFacts(db: Db, key: string, id: string): Promise<FileFacts> {
  const { rows } = await db.query<{ filename: string; put_expires_at: Date; puts: number }>(
    'select filename, put_expires_at, puts from uploads where id = $1',
    [id],
  )
  const [row] = rows
  if (row === undefined) return { name: basename(key) }
  return { name: row.filename, changesUntil: row.put_expires_at, puts: row.puts }
}
