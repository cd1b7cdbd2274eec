import type { Readable } from 'node:stream'

/** Where outputs and uploads are kept. Keys are relative paths in lower case: `outputs/job_1/0.mp4`. */
export interface Storage {
  /** Durable once it returns; a reader sees the whole object or what was there before, never a part. */
  put(
    key: string,
    source: Readable | { file: string },
    limits?: { maxBytes?: number },
  ): Promise<{ bytes: number; sha256: string }>
  /** `end` is inclusive, as in a Range header. `bytes` is what the stream gives: 0 if the range lies outside. */
  open(
    key: string,
    range?: { start?: number; end?: number },
  ): Promise<{ stream: Readable; bytes: number; totalBytes: number; version: string } | undefined>
  /** `version`: another for other bytes under the same key; never empty. */
  stat(key: string): Promise<{ bytes: number; modifiedAt: Date; version: string } | undefined>
  /** Lends the object as a file, for tools that read files only. The path is not valid afterwards. */
  withLocalFile<T>(key: string, use: (path: string) => Promise<T>): Promise<T>
  /** Removing what is not there is fine. */
  remove(key: string): Promise<void>
  /** Keys that start with the prefix, in no particular order. */
  list(prefix: string): AsyncIterable<string>
  /** Rejects unless an object can be written and removed now. */
  ready(): Promise<void>
}

/**
 * The storage's own refusals, by code; anything else that is thrown is a fault of the code, or of the source.
 * UNAVAILABLE may work later; REFUSED (credentials, rights, no such bucket) waits for the operator.
 */
export class StorageError extends Error {
  readonly code: 'INVALID_KEY' | 'TOO_LARGE' | 'NO_SPACE' | 'NOT_FOUND' | 'UNAVAILABLE' | 'REFUSED'

  constructor(code: StorageError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StorageError'
    this.code = code
  }
}

/** True where the storage could not do now what it was asked, though nothing is wrong with the asking. */
export function isStorageAway(error: unknown): error is StorageError {
  return error instanceof StorageError && /^(UNAVAILABLE|REFUSED|NO_SPACE)$/.test(error.code)
}

const keyPattern = /^[a-z0-9_-][a-z0-9_.-]*(\/[a-z0-9_-][a-z0-9_.-]*)*$/

/** True for what no storage could take for a way out of its own room. */
export function isKey(text: string): boolean {
  return text.length <= 512 && !text.includes('..') && keyPattern.test(text)
}

/** The key itself, if it is one. */
export function checkKey(key: string): string {
  if (isKey(key)) return key
  throw new StorageError('INVALID_KEY', `not a storage key: ${JSON.stringify(key.slice(0, 100))}`)
}

/** Refuses what can be the beginning of no key. */
export function checkPrefix(prefix: string): void {
  if (prefix !== '' && (prefix.includes('..') || !/^[a-z0-9_-][a-z0-9/_.-]*$/.test(prefix))) {
    throw new StorageError('INVALID_KEY', 'not a prefix of storage keys')
  }
}
