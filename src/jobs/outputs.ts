import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { downloadMedia } from '../media/download.ts'
import type { Inspection } from '../media/inspect.ts'
import type { ProviderOutput } from '../providers/provider.ts'
import { StorageError } from '../storage/storage.ts'
import type { JobContext } from './context.ts'
import type { StoredOutput } from './settle.ts'

/** The provider says that the result is there, but it can't be had or does not play. */
export class OutputUnavailable extends Error {}

const maxOutputBytes = 2_000_000_000
const downloadTimeLimitMs = 10 * 60_000

const extensions: Record<string, string> = {
  'video/mp4': 'mp4',
  'video/webm': 'webm',
  'image/jpeg': 'jpg',
  'image/png': 'png',
  'image/webp': 'webp',
  'image/gif': 'gif',
  'audio/mpeg': 'mp3',
  'audio/wav': 'wav',
}

/**
 * Copies a finished job's outputs into our storage, with poster and thumbnail. Running it again overwrites the
 * same keys. Throws OutputUnavailable for what is wrong with the output, anything else for our own faults.
 */
export async function storeOutputs(
  context: JobContext,
  jobId: string,
  outputs: ProviderOutput[],
): Promise<StoredOutput[]> {
  const stored: StoredOutput[] = []
  for (const [position, output] of outputs.entries()) {
    stored.push(await storeOutput(context, `outputs/${jobId}/${position}`, output))
  }
  if (stored.length === 0) throw new OutputUnavailable('the provider named no output')
  return stored
}

async function storeOutput(context: JobContext, base: string, output: ProviderOutput): Promise<StoredOutput> {
  const { media, storage } = context
  return withFile(context, base, output, async (path) => {
    const found = await media.inspect(path)
    if (!found.ok) throw new OutputUnavailable(found.message)
    const extension = extensions[found.contentType]
    if (extension === undefined) throw new OutputUnavailable(`a file of type ${found.contentType}`)
    const key = `${base}.${extension}`
    const { bytes, sha256 } = await storage.put(key, { file: path })
    const previews = await storePreviews(context, base, found)
    return {
      type: found.type,
      key,
      ...previews,
      contentType: found.contentType,
      bytes,
      sha256,
      width: 'width' in found ? found.width : null,
      height: 'height' in found ? found.height : null,
      durationSeconds: 'durationSeconds' in found ? found.durationSeconds : null,
      format: found.format,
    }
  })
}

// A picture is its own poster; sound has neither.
async function storePreviews({ storage }: JobContext, base: string, found: Inspection & { ok: true }) {
  const store = async (name: string, jpeg: Uint8Array) => {
    const key = `${base}-${name}.jpg`
    await storage.put(key, Readable.from([jpeg]))
    return key
  }
  return {
    posterKey: 'poster' in found ? await store('poster', found.poster) : null,
    thumbnailKey: 'thumbnail' in found ? await store('thumbnail', found.thumbnail) : null,
  }
}

/** Lends the output as a file: the sandbox's, which our storage keeps, or one that is downloaded for this. */
async function withFile<T>(
  { outbound, storage, temporaryDirectory }: JobContext,
  base: string,
  { source }: ProviderOutput,
  use: (path: string) => Promise<T>,
): Promise<T> {
  if ('key' in source) return storage.withLocalFile(source.key, use).catch(throwIfMissing)
  const folder = await mkdtemp(join(temporaryDirectory, `${base.replaceAll('/', '-')}-`))
  const path = join(folder, 'output')
  try {
    const outcome = await downloadMedia({
      url: source.url,
      path,
      outbound,
      maxBytes: maxOutputBytes,
      timeLimitMs: downloadTimeLimitMs,
    })
    if (!outcome.ok) throw new OutputUnavailable(outcome.message)
    return await use(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function throwIfMissing(error: unknown): never {
  if (error instanceof StorageError && error.code === 'NOT_FOUND') {
    throw new OutputUnavailable('the file is not there')
  }
  throw error
}
