import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import type { Clock } from '../clock.ts'
import type { S3Settings } from '../config.ts'
import { sendInParts } from './parts.ts'
import { checkedBody } from './s3-body.ts'
import { callStore, unavailable } from './s3-call.ts'
import { checkBucket, createS3Client, type S3Limits, usualLimits } from './s3-client.ts'
import { createPartStore } from './s3-parts.ts'
import { createMeter, streamOf } from './source.ts'
import { checkKey, checkPrefix, isKey, type Storage, StorageError } from './storage.ts'

/** No key can name it, as no part of a key may start with a dot. */
const probeKey = '.ready'
/** Whoever asks for the health waits for it. */
const probeLimitMs = 4_000

/**
 * Storage in one bucket of an S3-compatible store, each object under its key. Throws a ConfigError unless the bucket
 * is there and may be used. A put that died with its process leaves parts that no reader sees; they are for the
 * bucket's lifecycle rule (docs/decisions/storage.md).
 */
export async function createS3Storage(
  settings: S3Settings,
  options: { temporaryDirectory: string; clock?: Clock; limits?: S3Limits },
): Promise<Storage & { close(): void }> {
  const limits = options.limits ?? usualLimits
  const Bucket = settings.bucket
  const client = createS3Client(settings, limits, options.clock)
  await checkBucket(client, settings)

  const stat: Storage['stat'] = async (key) => {
    const Key = checkKey(key)
    const found = await callStore('read', limits.callMs, (call) =>
      client.send(new HeadObjectCommand({ Bucket, Key }), call),
    ).catch(undefinedIfAbsent)
    if (found === undefined) return undefined
    const { ContentLength: bytes, LastModified: modifiedAt } = found
    if (bytes === undefined || modifiedAt === undefined) throw unavailable('read', 'it told no size or time')
    return { bytes, modifiedAt, version: versionOf(found) }
  }

  const open: Storage['open'] = async (key, { start = 0, end = Number.POSITIVE_INFINITY } = {}) => {
    const Key = checkKey(key)
    const Range =
      start === 0 && end === Number.POSITIVE_INFINITY
        ? undefined
        : `bytes=${start}-${Number.isFinite(end) ? end : ''}`
    const answer =
      end < start
        ? 'outside'
        : await callStore('read', limits.callMs, (call) =>
            client.send(new GetObjectCommand({ Bucket, Key, Range }), call).catch(outsideIfNotSatisfiable),
          ).catch(undefinedIfAbsent)
    if (answer === undefined) return undefined
    if (answer === 'outside') {
      const found = await stat(key)
      return found && { stream: Readable.from([]), bytes: 0, totalBytes: found.bytes, version: found.version }
    }
    return opened(answer, Range === undefined ? undefined : { start, end }, limits.silenceMs)
  }

  return {
    stat,
    open,
    async put(key, source, { maxBytes } = {}) {
      const store = createPartStore(client, { Bucket, Key: checkKey(key) }, limits.callMs)
      const meter = createMeter(maxBytes)
      await sendInParts(streamOf(source), store, (chunk) => {
        meter.count(chunk)
        meter.hash(chunk)
      })
      return meter.read()
    },
    async withLocalFile(key, use) {
      const folder = await mkdtemp(join(options.temporaryDirectory, 'stored-'))
      try {
        const found = await open(key)
        if (found === undefined) throw new StorageError('NOT_FOUND', `nothing is stored as ${key}`)
        const path = join(folder, 'object')
        await pipeline(found.stream, createWriteStream(path, { mode: 0o600 })).catch(noSpaceIfFull)
        return await use(path)
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
    async remove(key) {
      const Key = checkKey(key)
      await callStore('remove', limits.callMs, (call) =>
        client.send(new DeleteObjectCommand({ Bucket, Key }), call),
      ).catch(undefinedIfAbsent)
    },
    async *list(prefix) {
      checkPrefix(prefix)
      let ContinuationToken: string | undefined
      do {
        const command = new ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken })
        const page = await callStore('list', limits.callMs, (call) => client.send(command, call))
        // the bucket may hold what is not ours
        for (const { Key = '' } of page.Contents ?? []) if (isKey(Key) && Key.startsWith(prefix)) yield Key
        const next = page.IsTruncated ? page.NextContinuationToken : undefined
        if (page.IsTruncated && (next === undefined || next === ContinuationToken)) {
          throw unavailable('list', 'it gave the same page again')
        }
        ContinuationToken = next
      } while (ContinuationToken !== undefined)
    },
    async ready() {
      const Key = probeKey
      await callStore('write', probeLimitMs, async (call) => {
        await client.send(new PutObjectCommand({ Bucket, Key, Body: 'ready' }), call)
        await client.send(new DeleteObjectCommand({ Bucket, Key }), call)
      })
    },
    close: () => client.destroy(),
  }
}

/** Believes an answer only if it is what was asked for: a store that ignores a range would send other bytes. */
function opened(
  { Body, ContentLength, ContentRange, ETag, LastModified }: GetObjectCommandOutput,
  range: { start: number; end: number } | undefined,
  silenceMs: number,
) {
  if (!(Body instanceof Readable)) throw unavailable('read', 'it sent no body')
  const version = versionOf({ ETag, LastModified })
  try {
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? '') ?? []
    const totalBytes = range === undefined ? ContentLength : Number(total)
    if (totalBytes === undefined || Number.isNaN(totalBytes)) throw unavailable('read', 'it told no size')
    if (range === undefined)
      return { stream: checkedBody(Body, totalBytes, silenceMs), bytes: totalBytes, totalBytes, version }
    const end = Math.min(range.end, totalBytes - 1)
    if (Number(first) !== range.start || Number(last) !== end)
      throw unavailable('read', 'it sent another range')
    const bytes = end - range.start + 1
    return { stream: checkedBody(Body, bytes, silenceMs), bytes, totalBytes, version }
  } catch (error) {
    Body.on('error', () => undefined).destroy()
    throw error
  }
}

function versionOf({ ETag, LastModified }: Pick<GetObjectCommandOutput, 'ETag' | 'LastModified'>): string {
  return `${ETag ?? ''} ${LastModified?.getTime() ?? ''}`
}

function outsideIfNotSatisfiable(error: unknown): 'outside' {
  if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 416) return 'outside'
  throw error
}

function undefinedIfAbsent(error: unknown): undefined {
  if (error instanceof StorageError && error.code === 'NOT_FOUND') return undefined
  throw error
}

function noSpaceIfFull(error: NodeJS.ErrnoException): never {
  if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT') throw error
  throw new StorageError('NO_SPACE', 'the disk is full', error)
}
