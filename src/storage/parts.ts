import type { Readable } from 'node:stream'

/** What a store offers for an object that arrives in parts. */
export interface PartStore {
  /** For an object that is smaller than one part. */
  putWhole(content: Buffer): Promise<unknown>
  begin(): Promise<string>
  /** Gives the tag by which `complete` knows the part. */
  putPart(uploadId: string, number: number, content: Buffer): Promise<string>
  /** The object is there once it returns, and not before. */
  complete(uploadId: string, tags: string[]): Promise<unknown>
  /** Throws away what was sent. */
  abort(uploadId: string): Promise<unknown>
}

/** S3 takes no part under 5 MiB (but the last), and 10,000 of them: room for 80 GB. */
const partBytes = 8 * 1_048_576
// One more is filled meanwhile: the source does not wait for the store's answers.
const partsOnTheirWay = 2

/**
 * Sends a stream of unknown length with three parts in memory at most. What fails, on either side, leaves nothing in
 * the store, unless the store itself can no longer be reached.
 */
export async function sendInParts(
  source: Readable,
  store: PartStore,
  look: (chunk: Uint8Array) => void,
): Promise<void> {
  const tags: string[] = []
  const sending = new Set<Promise<void>>()
  const spare: Buffer[] = []
  let part: Buffer = Buffer.allocUnsafeSlow(partBytes)
  let filled = 0
  let uploadId: string | undefined

  const send = async (id: string): Promise<void> => {
    while (sending.size >= partsOnTheirWay) await Promise.race(sending)
    const [memory, number] = [part, tags.push('')]
    const sent = store.putPart(id, number, memory.subarray(0, filled)).then((tag) => {
      tags[number - 1] = tag
      spare.push(memory)
      sending.delete(sent)
    })
    sending.add(sent)
    // heard at once, even if the source gives nothing more
    sent.catch((error) => source.destroy(error))
    part = spare.pop() ?? Buffer.allocUnsafeSlow(partBytes)
    filled = 0
  }

  try {
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      look(chunk)
      for (let offset = 0; offset < chunk.length; ) {
        const taken = chunk.subarray(offset, offset + partBytes - filled)
        part.set(taken, filled)
        filled += taken.length
        offset += taken.length
        if (filled === partBytes) {
          uploadId ??= await store.begin()
          await send(uploadId)
        }
      }
    }
    if (uploadId === undefined) {
      await store.putWhole(part.subarray(0, filled))
      return
    }
    if (filled > 0) await send(uploadId)
    await Promise.all(sending)
    await store.complete(uploadId, tags)
  } catch (error) {
    // a part that arrives after the abort would stay
    await Promise.allSettled(sending)
    if (uploadId !== undefined) await store.abort(uploadId).catch(() => undefined)
    throw error
  }
}
