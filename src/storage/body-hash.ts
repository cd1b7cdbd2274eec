import { createHash, createHmac, webcrypto } from 'node:crypto'

const largeBytes = 65_536

/**
 * SHA-256 as the client's signatures want it. A body is hashed by another thread: the client's own way holds this one
 * up for 20 ms for each part of 8 MiB, and every request with it.
 */
export class BodyHash {
  readonly #secret: Uint8Array | undefined
  #pieces: Uint8Array[] = []

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? undefined : bytesOf(secret)
  }

  update(piece: Uint8Array): void {
    this.#pieces.push(piece)
  }

  async digest(): Promise<Uint8Array> {
    const [first, second] = this.#pieces
    if (
      this.#secret === undefined &&
      first !== undefined &&
      second === undefined &&
      first.length > largeBytes
    ) {
      return new Uint8Array(await webcrypto.subtle.digest('SHA-256', first))
    }
    const hash = this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret)
    for (const piece of this.#pieces) hash.update(piece)
    return hash.digest()
  }

  reset(): void {
    this.#pieces = []
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data)
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}
