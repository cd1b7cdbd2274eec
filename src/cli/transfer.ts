import { openAsBlob } from 'node:fs'
import { access, constants, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { sniff } from '../media/image.ts'
import { namesOf } from '../media/types.ts'
import type { Api } from './api.ts'
import { exchange, overNetwork, persist, refusal } from './exchange.ts'
import { CommandFailed } from './output.ts'

/** A file that can be uploaded. */
export interface Upload {
  filename: string
  contentType: string
  bytes: Blob
}

// As much as is looked at to tell the type.
const sniffedBytes = 4_100

/** A local file, of the type that its first bytes show. */
export async function openUpload(path: string): Promise<Upload> {
  const found = await stat(path).catch((error) => {
    throw new CommandFailed(
      `${path} cannot be read: ${error.code === 'ENOENT' ? 'no such file' : error.code}`,
    )
  })
  if (!found.isFile()) throw new CommandFailed(`${path} is not a file`)
  const bytes = await openAsBlob(path)
  const contentType = await sniff(new Uint8Array(await bytes.slice(0, sniffedBytes).arrayBuffer()))
  if (contentType === undefined) {
    throw new CommandFailed(
      `${path} is of no type that can be uploaded: take ${namesOf('image')}, ${namesOf('video')}, ${namesOf('audio')}`,
    )
  }
  return { filename: basename(path), contentType, bytes }
}

interface Presigned {
  data: { uploadUrl: string; fileUrl: string; maxSize: number }
}

// As long as an upload URL is good for.
const uploadTimeLimitMs = 15 * 60_000

/** Uploads a file; answers the URL that a job's input names it by. Its size is checked before any of it is sent. */
export async function upload(api: Api, { filename, contentType, bytes }: Upload): Promise<string> {
  const { data } = await api.call<Presigned>('POST', '/v1/uploads/presign', {
    body: { filename, contentType },
  })
  if (bytes.size > data.maxSize) {
    const limit = data.maxSize.toLocaleString('en-US')
    throw new CommandFailed(
      `${filename} has ${bytes.size.toLocaleString('en-US')} bytes; of type ${contentType} at most ${limit} are taken`,
    )
  }
  await persist({}, () =>
    exchange(`the upload to ${new URL(data.uploadUrl).origin}`, data.uploadUrl, {
      method: 'PUT',
      headers: { 'content-type': contentType },
      body: bytes,
      signal: AbortSignal.timeout(uploadTimeLimitMs),
    }),
  )
  return data.fileUrl
}

/** Fails unless `path` can be written: where a file is only with `force`. */
export async function requireWritable(path: string, force: boolean): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) throw new CommandFailed(`${path} is a folder: give the name of a file`)
  if (found !== undefined && !force) {
    throw new CommandFailed(`${path} exists: give another name, or --force to write over it`)
  }
  await access(dirname(path), constants.W_OK).catch(() => {
    throw new CommandFailed(`${path} cannot be written: there is no such folder, or it may not be written to`)
  })
}

/** Downloads to `path`, where nothing is seen of the file before all of it is there. */
export async function download(url: string, path: string, signal?: AbortSignal): Promise<void> {
  const part = join(dirname(path), `.${basename(path)}.${process.pid}.part`)
  try {
    await persist({ signal }, () => fetchTo(url, part, signal))
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

function fetchTo(url: string, path: string, signal: AbortSignal | undefined): Promise<void> {
  const place = `the download from ${new URL(url).origin}`
  return overNetwork(place, async () => {
    const answer = await fetch(url, { signal: signal ?? null })
    if (!answer.ok || answer.body === null) throw refusal(answer, undefined, place)
    await writeFile(path, answer.body, { signal })
  })
}
