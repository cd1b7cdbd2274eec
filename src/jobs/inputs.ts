import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ModelVersion } from '../catalogue/load.ts'
import type { JobFailureCode } from '../errors.ts'
import { downloadMedia } from '../media/download.ts'
import type { InputMedia, Json } from '../providers/provider.ts'
import type { JobContext } from './context.ts'

/** Input pictures may be as large as an upload of one (contract: "Uploads"). */
const maxImageBytes = 10_485_760
const downloadTimeLimitMs = 60_000

interface Failure {
  code: JobFailureCode
  message: string
}

/**
 * Fetches and checks every input picture of a job into `folder`. A picture that can't be had or used is an
 * outcome, with a message that names the field.
 */
export async function fetchInputs(
  context: JobContext,
  version: ModelVersion,
  input: Record<string, Json>,
  options: { folder: string; jobCreatedAt: Date },
): Promise<{ media: Record<string, InputMedia[]> } | { failure: Failure }> {
  const media: Record<string, InputMedia[]> = {}
  for (const { field } of version.mediaFields.filter((entry) => entry.media === 'image')) {
    const urls = [input[field] ?? []].flat().filter((url): url is string => typeof url === 'string')
    const files: InputMedia[] = []
    for (const [index, url] of urls.entries()) {
      const path = join(options.folder, `${field}-${index}`)
      const name = Array.isArray(input[field]) ? `${field}[${index}]` : field
      const file = await fetchImage(context, url, path, options.jobCreatedAt)
      if ('code' in file) return { failure: { code: file.code, message: `${name}: ${file.message}` } }
      files.push(file)
    }
    media[field] = files
  }
  return { media }
}

async function fetchImage(
  context: JobContext,
  url: string,
  path: string,
  jobCreatedAt: Date,
): Promise<InputMedia | Failure> {
  const own = context.ownFile(url, jobCreatedAt)
  const trouble = own === undefined ? await download(context, url, path) : await copyOwn(context, own, path)
  if (trouble !== undefined) return trouble
  const checked = await context.media.checkImage(path)
  if (!checked.ok) return { code: 'INPUT_MEDIA_INVALID', message: checked.message }
  return { path, contentType: checked.contentType, width: checked.width, height: checked.height }
}

async function download(context: JobContext, url: string, path: string): Promise<Failure | undefined> {
  const outcome = await downloadMedia({
    url,
    path,
    outbound: context.outbound,
    maxBytes: maxImageBytes,
    timeLimitMs: downloadTimeLimitMs,
  })
  if (outcome.ok) return undefined
  const code = outcome.reason === 'too_large' ? 'INPUT_MEDIA_INVALID' : 'INPUT_MEDIA_UNREACHABLE'
  return { code, message: outcome.message }
}

// An upload of our own is read from the storage: the network would lead back here, or nowhere.
async function copyOwn(
  { storage }: JobContext,
  own: { key: string } | 'refused',
  path: string,
): Promise<Failure | undefined> {
  const found = own === 'refused' ? undefined : await storage.open(own.key)
  if (found === undefined) {
    return {
      code: 'INPUT_MEDIA_UNREACHABLE',
      message: 'The file is not there: its link is wrong or has expired.',
    }
  }
  if (found.totalBytes > maxImageBytes) {
    found.stream.destroy()
    return { code: 'INPUT_MEDIA_INVALID', message: `The file is larger than ${maxImageBytes} bytes.` }
  }
  await pipeline(found.stream, createWriteStream(path))
  return undefined
}
