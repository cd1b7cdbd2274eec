import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { limitedTo } from '../limited-to.ts'
import { type Download, downloadMedia, type Patience } from '../media/download.ts'
import type { Inspection } from '../media/inspect.ts'
import type { ProviderOutput } from '../providers/provider.ts'
import { StorageError } from '../storage/storage.ts'
import type { JobContext } from './context.ts'
import type { StoredOutput } from './settle.ts'

/** The provider says that the result is there, but it can't be had or does not play. */
export class OutputUnavailable extends Error {}

export interface OutputLimits {
  /** Of all outputs of a job together. */
  maxBytes: number
  /** How many are copied at the same time. */
  atOnce: number
  /** For one download, with all that it takes to resume it. */
  downloadMs: number
  patience?: Patience
}

const usualLimits: OutputLimits = { maxBytes: 2_000_000_000, atOnce: 3, downloadMs: 10 * 60_000 }

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
  context: OutputContext,
  jobId: string,
  outputs: ProviderOutput[],
  limits = usualLimits,
): Promise<StoredOutput[]> {
  if (outputs.length === 0) throw new OutputUnavailable('the provider named no output')
  const stop = new AbortController()
  const inTurn = limitedTo(limits.atOnce)
  const shares = shareBytes(limits.maxBytes)
  const storing = outputs.map((output, position) =>
    inTurn(async () => {
      stop.signal.throwIfAborted()
      const copy = {
        base: `outputs/${jobId}/${position}`,
        output,
        limits,
        fits: shares(),
        signal: stop.signal,
      }
      return storeOutput(context, copy)
    }).catch((error: unknown) => {
      // the first failure is the one to tell: it is the cause of those that come of stopping the others
      stop.abort(error)
      throw stop.signal.reason
    }),
  )
  // nothing goes on, and no file is left, once this has thrown
  await Promise.allSettled(storing)
  return Promise.all(storing)
}

type OutputContext = Pick<JobContext, 'media' | 'storage' | 'outbound' | 'temporaryDirectory'>

interface Copy {
  base: string
  output: ProviderOutput
  limits: OutputLimits
  fits: Share
  signal: AbortSignal
}

type Share = NonNullable<Download['fits']>

/** Each call gives one more file's share: it takes what the file is or will be, as long as all take no more than may be. */
function shareBytes(maxBytes: number): () => Share {
  let taken = 0
  return () => {
    let own = 0
    return (bytes, promisedBytes) => {
      taken -= own
      own = Math.max(bytes, promisedBytes)
      taken += own
      return taken <= maxBytes
    }
  }
}

async function storeOutput(context: OutputContext, copy: Copy): Promise<StoredOutput> {
  const { media, storage } = context
  const { base, output } = copy
  return withFile(context, copy, async (path, downloaded) => {
    const found = await media.inspect(path)
    if (!found.ok) throw new OutputUnavailable(found.message)
    const { type, contentType } = found
    if (type !== output.type) {
      throw new OutputUnavailable(
        `the provider named a file of type ${output.type}, and it is ${contentType}`,
      )
    }
    const extension = extensions[contentType]
    if (extension === undefined) throw new OutputUnavailable(`a file of type ${contentType}`)
    const key = `${base}.${extension}`
    const { bytes, sha256 } = await storage.put(key, { file: path })
    if (downloaded && (bytes !== downloaded.bytes || sha256 !== downloaded.sha256)) {
      throw new Error(`the storage took other bytes as ${key} than were downloaded`)
    }
    const previews = await storePreviews(context, base, found)
    return {
      type,
      key,
      ...previews,
      contentType,
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
async function storePreviews({ storage }: OutputContext, base: string, found: Inspection & { ok: true }) {
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
  { outbound, storage, temporaryDirectory }: OutputContext,
  { base, output: { source }, limits, fits, signal }: Copy,
  use: (path: string, downloaded?: { bytes: number; sha256: string }) => Promise<T>,
): Promise<T> {
  if ('key' in source) return storage.withLocalFile(source.key, (path) => use(path)).catch(throwIfMissing)
  const folder = await mkdtemp(join(temporaryDirectory, `${base.replaceAll('/', '-')}-`))
  const path = join(folder, 'output')
  const { maxBytes, downloadMs: timeLimitMs, patience } = limits
  try {
    const outcome = await downloadMedia({
      url: source.url,
      path,
      outbound,
      maxBytes,
      timeLimitMs,
      signal,
      fits,
      ...(patience && { patience }),
    })
    if (!outcome.ok) throw new OutputUnavailable(wordsFor(outcome, maxBytes))
    return await use(path, outcome)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function wordsFor({ reason, message }: { reason: string; message: string }, maxBytes: number): string {
  return reason === 'too_large' ? `The outputs are larger than ${maxBytes} bytes together.` : message
}

function throwIfMissing(error: unknown): never {
  if (error instanceof StorageError && error.code === 'NOT_FOUND') {
    throw new OutputUnavailable('the file is not there')
  }
  throw error
}
