import { createWriteStream } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { MediaField, MediaLimits, ModelVersion } from '../catalogue/load.ts'
import type { JobFailureCode } from '../errors.ts'
import { downloadMedia } from '../media/download.ts'
import { type InputKind, maxInputBytes } from '../media/image.ts'
import type { InputMedia, Json } from '../providers/provider.ts'
import type { JobContext } from './context.ts'
import { urlsAt } from './media-addresses.ts'
import { outsideLimits } from './media-limits.ts'

const kindsOf: Record<MediaField['media'], InputKind[]> = {
  image: ['image'],
  video: ['video'],
  audio: ['audio'],
  any: ['image', 'video'],
}
/** A minute for a picture, and as much for every further 10 MB that a file of its kind may have. */
const downloadMsPerByte = 60_000 / maxInputBytes.image
/** All files of a job together may take as long as the largest alone: 43 slow ones would hold a place for an hour. */
const allDownloadsMs = Math.max(...Object.values(maxInputBytes)) * downloadMsPerByte

type Fetching = Pick<JobContext, 'outbound' | 'media' | 'storage' | 'ownFile' | 'sampleFile'>

interface Failure {
  code: JobFailureCode
  message: string
}

/**
 * Fetches and checks every input file of a job into `folder`. A file that can't be had or used is an outcome,
 * with a message that names the field.
 */
export async function fetchInputs(
  context: Fetching,
  version: Pick<ModelVersion, 'mediaFields'>,
  input: Record<string, Json>,
  options: { folder: string; jobCreatedAt: Date; timeLimitMs?: number },
): Promise<{ media: Record<string, InputMedia[]> } | { failure: Failure }> {
  const { folder, jobCreatedAt, timeLimitMs = allDownloadsMs } = options
  const endsAt = performance.now() + timeLimitMs
  const media: Record<string, InputMedia[]> = {}
  for (const { field, media: kind, limits } of version.mediaFields) {
    const files: InputMedia[] = []
    for (const [index, { name, url }] of urlsAt(input, field.split('.')).entries()) {
      const path = join(folder, `${field}-${index}`)
      const file = await fetchFile(context, { url, path, kinds: kindsOf[kind], limits, endsAt }, jobCreatedAt)
      if ('code' in file) return { failure: { code: file.code, message: `${name}: ${file.message}` } }
      files.push(file)
    }
    media[field] = files
  }
  return { media }
}

interface Wanted {
  url: string
  path: string
  kinds: InputKind[]
  limits?: MediaLimits | undefined
  /** When the time for all files of the job is over, as `performance.now()` counts. */
  endsAt: number
}

async function fetchFile(
  context: Fetching,
  wanted: Wanted,
  jobCreatedAt: Date,
): Promise<InputMedia | Failure> {
  const { path, kinds, limits = {} } = wanted
  const maxBytes = Math.max(...kinds.map((kind) => maxInputBytes[kind]))
  const trouble = await fetchTo(context, wanted, jobCreatedAt, maxBytes)
  if (trouble !== undefined) return trouble
  const { ok, ...checked } = await context.media.checkInput(path, kinds)
  if ('message' in checked) return { code: 'INPUT_MEDIA_INVALID', message: checked.message }
  const file = { path, sourceUrl: wanted.url, ...checked }
  const message = outsideLimits(file, limits)
  return message === undefined ? file : { code: 'INPUT_MEDIA_INVALID', message }
}

/** Brings the file to `wanted.path`, from this server's own files or from the network. */
async function fetchTo(
  context: Fetching,
  wanted: Wanted,
  jobCreatedAt: Date,
  maxBytes: number,
): Promise<Failure | undefined> {
  const { url, path } = wanted
  const sample = context.sampleFile(url)
  if (sample !== undefined) {
    await copyFile(sample, path)
    return undefined
  }
  const own = context.ownFile(url, jobCreatedAt)
  if (own !== undefined) return copyOwn(context, own, { path, maxBytes })
  return download(context, wanted, maxBytes)
}

async function download(
  context: Fetching,
  { url, path, endsAt }: Wanted,
  maxBytes: number,
): Promise<Failure | undefined> {
  const { outbound } = context
  const leftMs = Math.max(1, Math.ceil(endsAt - performance.now()))
  const timeLimitMs = Math.min(leftMs, maxBytes * downloadMsPerByte)
  const outcome = await downloadMedia({ url, path, outbound, maxBytes, timeLimitMs })
  if (outcome.ok) return undefined
  const code = outcome.reason === 'too_large' ? 'INPUT_MEDIA_INVALID' : 'INPUT_MEDIA_UNREACHABLE'
  return { code, message: outcome.message }
}

// An upload of our own is read from the storage: the network would lead back here, or nowhere.
async function copyOwn(
  { storage }: Fetching,
  own: { key: string } | 'refused',
  { path, maxBytes }: { path: string; maxBytes: number },
): Promise<Failure | undefined> {
  const found = own === 'refused' ? undefined : await storage.open(own.key)
  if (found === undefined) {
    return {
      code: 'INPUT_MEDIA_UNREACHABLE',
      message: 'The file is not there: its link is wrong or has expired.',
    }
  }
  if (found.totalBytes > maxBytes) {
    found.stream.destroy()
    return { code: 'INPUT_MEDIA_INVALID', message: `The file is larger than ${maxBytes} bytes.` }
  }
  await pipeline(found.stream, createWriteStream(path))
  return undefined
}
