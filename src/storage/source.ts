import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { StorageError } from './storage.ts'

// At 1 MiB each chunk is new memory, which cost more than the fewer wake-ups saved.
const fileChunkBytes = 262_144

/** The bytes of a put, as a stream whose early failure nobody else has to listen for. */
export function streamOf(source: Readable | { file: string }): Readable {
  const stream = 'file' in source ? createReadStream(source.file, { highWaterMark: fileChunkBytes }) : source
  // Before the first byte is asked for nobody listens yet; whoever reads it then hears of the failure.
  stream.on('error', () => undefined)
  return stream
}

/** Counts and hashes what goes through. */
export function createMeter(maxBytes = Number.POSITIVE_INFINITY) {
  const hash = createHash('sha256')
  let bytes = 0
  return {
    /** Throws TOO_LARGE at the chunk that is too much. */
    count(chunk: Uint8Array): void {
      bytes += chunk.length
      if (bytes > maxBytes) throw new StorageError('TOO_LARGE', `more than ${maxBytes} bytes`)
    },
    hash: (chunk: Uint8Array): void => void hash.update(chunk),
    read: () => ({ bytes, sha256: hash.digest('hex') }),
  }
}
