import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type pg from 'pg'
import { type Db, transaction } from '../db.ts'
import { ApiError } from '../errors.ts'
import { sniff } from '../media/image.ts'
import { type MediaType, mayBe } from '../media/types.ts'
import { type Storage, StorageError } from '../storage/storage.ts'
import { takePlace } from './places.ts'
import { checkRoom, findUse, uploadLimits } from './room.ts'
import { readUploadType, uploadTypes } from './types.ts'

const putLifeMs = 15 * 60_000
const fileLifeMs = 60 * 60_000

export interface Upload {
  id: string
  filename: string
  contentType: MediaType
  key: string
  createdAt: Date
  putExpiresAt: Date
  expiresAt: Date
}

interface UploadRow {
  id: string
  user_id: string
  filename: string
  content_type: MediaType
  status: 'pending' | 'stored' | 'deleted'
  created_at: Date
  put_expires_at: Date
  expires_at: Date
}

const columns = 'id, user_id, filename, content_type, status, created_at, put_expires_at, expires_at'

function toUpload(row: UploadRow): Upload {
  return {
    id: row.id,
    filename: row.filename,
    contentType: row.content_type,
    key: `uploads/${row.id}.${uploadTypes[row.content_type]?.extension}`,
    createdAt: row.created_at,
    putExpiresAt: row.put_expires_at,
    expiresAt: row.expires_at,
  }
}

/**
 * Makes room for one file; throws INVALID_CONTENT_TYPE for a type that is not taken, RATE_LIMIT_EXCEEDED if the user
 * has uploaded as much as may be.
 */
export async function createUpload(
  pool: pg.Pool,
  file: { userId: string; filename: string; contentType: string },
  now: Date,
  limits = uploadLimits,
): Promise<Upload> {
  const contentType = readUploadType(file.contentType)
  if (contentType === undefined) {
    const known = Object.keys(uploadTypes).join(', ')
    const sent = file.contentType.slice(0, 100)
    throw new ApiError('INVALID_CONTENT_TYPE', `contentType "${sent}" is not one of ${known}.`)
  }
  return transaction(pool, async (client) => {
    // presigns of one user take turns, so that each counts those before it
    await client.query('select from users where id = $1 for no key update', [file.userId])
    const use = await findUse(client, file.userId, now, uploadTypes)
    checkRoom(use, uploadTypes[contentType]!.maxBytes, now, limits)
    return insertUpload(client, { ...file, contentType }, now)
  })
}

async function insertUpload(
  db: Db,
  file: { userId: string; filename: string; contentType: MediaType },
  now: Date,
): Promise<Upload> {
  const { rows } = await db.query<UploadRow>(
    `insert into uploads (id, user_id, filename, content_type, created_at, put_expires_at, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7) returning ${columns}`,
    [
      randomUUID(),
      file.userId,
      file.filename,
      file.contentType,
      now,
      new Date(now.getTime() + putLifeMs),
      new Date(now.getTime() + fileLifeMs),
    ],
  )
  return toUpload(rows[0]!)
}

/** An upload of the user; another user's is not found, as ids are no secret. */
export async function getUpload(db: Db, userId: string, id: string): Promise<Upload> {
  const { rows } = await db.query<UploadRow>(
    `select ${columns} from uploads where id = $1 and user_id = $2`,
    [id, userId],
  )
  if (rows[0] === undefined) throw new ApiError('NOT_FOUND', `There is no upload "${id}".`)
  return toUpload(rows[0])
}

/** An upload whose bytes may come now. */
export interface OpenUpload extends Upload {
  userId: string
  maxBytes: number
}

/**
 * The upload that a PUT is for, judged by its headers alone, before a byte of it is sent. The caller has checked the
 * signed URL.
 */
export async function openUpload(
  db: Db,
  put: { id: string; contentType: string | undefined; contentLength: number | undefined },
): Promise<OpenUpload> {
  const { rows } = await db.query<UploadRow>(
    `select ${columns} from uploads where id = $1 and status <> 'deleted'`,
    [put.id],
  )
  if (rows[0] === undefined) throw new ApiError('NOT_FOUND', `There is no upload "${put.id}".`)
  const upload = toUpload(rows[0])
  if (put.contentType === undefined || readUploadType(put.contentType) !== upload.contentType) {
    throw new ApiError(
      'INVALID_CONTENT_TYPE',
      `Send the header "Content-Type: ${upload.contentType}", as presigned.`,
    )
  }
  const { maxBytes } = uploadTypes[upload.contentType]!
  if ((put.contentLength ?? 0) > maxBytes) throw tooLarge(upload.contentType, maxBytes)
  return { ...upload, userId: rows[0].user_id, maxBytes }
}

/**
 * Stores the bytes of an upload. Size and first bytes must be what the presign asked for; a file that is refused leaves
 * nothing behind. The file may be put again until the URL expires, but not by many at once.
 */
export async function storeUpload(
  db: Db,
  storage: Storage,
  upload: OpenUpload,
  readBody: () => Readable,
): Promise<{ bytes: number }> {
  const leave = takePlace(upload.userId)
  // before the bytes: who reads the new file must not take it for the only one that there was
  await db.query('update uploads set puts = puts + 1 where id = $1', [upload.id]).catch((error) => {
    leave()
    throw error
  })
  const stored = await put(storage, upload, readBody()).finally(leave)
  await db.query("update uploads set status = 'stored', bytes = $2, sha256 = $3 where id = $1", [
    upload.id,
    stored.bytes,
    stored.sha256,
  ])
  return { bytes: stored.bytes }
}

async function put(storage: Storage, { key, contentType, maxBytes }: OpenUpload, body: Readable) {
  try {
    return await storage.put(key, Readable.from(checked(body, contentType)), { maxBytes })
  } catch (error) {
    if (!(error instanceof StorageError && error.code === 'TOO_LARGE')) throw error
    throw tooLarge(contentType, maxBytes)
  }
}

function tooLarge(contentType: string, maxBytes: number): ApiError {
  const message = `A file of type ${contentType} may have ${maxBytes} bytes at most.`
  return new ApiError('PAYLOAD_TOO_LARGE', message)
}

// As much as file-type looks at.
const sniffedBytes = 4_100

/** The same bytes; throws INVALID_CONTENT_TYPE if the first ones are not those of the type. */
async function* checked(body: Readable, contentType: MediaType): AsyncGenerator<Buffer> {
  let start = Buffer.alloc(0)
  let isKnown = false
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (isKnown) {
      yield chunk
      continue
    }
    start = Buffer.concat([start, chunk])
    if (start.length < sniffedBytes) continue
    yield await checkStart(start, contentType)
    isKnown = true
  }
  if (!isKnown) yield await checkStart(start, contentType)
}

async function checkStart(start: Buffer, contentType: MediaType): Promise<Buffer> {
  if (mayBe(contentType, await sniff(start))) return start
  throw new ApiError('INVALID_CONTENT_TYPE', `The bytes are not those of a file of type ${contentType}.`)
}

/**
 * Deletes the files of uploads that expired before `expiredBefore`. Jobs that were submitted while a file's link
 * was good may still be waiting for it, so callers leave it a day. One that can't be deleted stops no others, unless
 * the storage takes nothing at all, and is tried again next time; throws at the end if there was one.
 */
export async function deleteOldUploads(db: Db, storage: Storage, expiredBefore: Date): Promise<void> {
  const { rows } = await db.query<UploadRow>(
    `select ${columns} from uploads where status <> 'deleted' and expires_at < $1 order by created_at limit 1000`,
    [expiredBefore],
  )
  const failures: unknown[] = []
  for (const row of rows) {
    try {
      await storage.remove(toUpload(row).key)
      await db.query("update uploads set status = 'deleted', bytes = coalesce(bytes, 0) where id = $1", [
        row.id,
      ])
    } catch (error) {
      failures.push(error)
      await storage.ready()
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'old uploads could not be deleted')
}
