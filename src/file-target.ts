import { type FileHandle, open } from 'node:fs/promises'
import { StreamTarget, type StreamTargetChunk } from 'mediabunny'

/**
 * Writes all of the bytes, or throws. A disk that becomes full in the middle of a write takes a part of it without an error,
 * and says so only to the next.
 */
export async function writeWhole(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}

/** A file that a film or sound is written to. The library's own target takes a write that was cut short for a whole one. */
export function fileTarget(path: string): StreamTarget {
  let file: FileHandle
  const writable = new WritableStream<StreamTargetChunk>({
    start: async () => {
      file = await open(path, 'w')
    },
    write: ({ data, position }) =>
      writeWhole(file, data, position).catch(async (error) => {
        // a stream that has failed is not closed
        await file.close()
        throw error
      }),
    close: () => file.close(),
  })
  return new StreamTarget(writable, { chunked: true })
}
