import { randomUUID } from 'node:crypto'
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { ageByFileTime } from '../file-time.ts'
import { createMeter, streamOf } from './source.ts'
import { checkKey, checkPrefix, type Storage, StorageError } from './storage.ts'

/** Parts of interrupted puts; no key can name it, as no part of a key may start with a dot. */
const partsFolder = '.parts'
const partLifetimeMs = 24 * 60 * 60 * 1000

/** Storage in a directory of this machine; makes it, and clears away what a killed process left half written. */
export async function createLocalStorage(options: { directory: string }): Promise<Storage> {
  const root = resolve(options.directory)
  const parts = join(root, partsFolder)
  await mkdir(parts, { recursive: true })
  await removeOldParts(parts)

  const pathOf = (key: string): string => join(root, checkKey(key))

  const put: Storage['put'] = async (key, source, { maxBytes } = {}) => {
    const path = pathOf(key)
    const part = join(parts, randomUUID())
    try {
      const written = await writePart(part, streamOf(source), maxBytes)
      const made = await onDisk(moveInto(path, part))
      await onDisk(syncFolders(dirname(path), made === undefined ? dirname(path) : dirname(made)))
      return written
    } catch (error) {
      // what keeps the part from being removed is no news beside the error; the next start tries it again
      await rm(part, { force: true }).catch(() => {})
      // a source that is made on this machine may meet the full disk first
      throw isFull(error) ? diskError(error) : error
    }
  }

  return {
    put,
    async open(key, { start = 0, end = Number.POSITIVE_INFINITY } = {}) {
      const handle = await onDisk(open(pathOf(key), 'r').catch(undefinedIfAbsent))
      if (handle === undefined) return undefined
      const found = await onDisk(handle.stat({ bigint: true }))
      if (!found.isFile()) {
        await handle.close()
        return undefined
      }
      const totalBytes = Number(found.size)
      const last = Math.min(end, totalBytes - 1)
      const bytes = Math.max(0, last - start + 1)
      // A stream from 0 to -1 does not exist; an empty one is read from behind the end.
      const range = bytes > 0 ? { start, end: last } : { start: totalBytes, end: totalBytes }
      return { stream: handle.createReadStream(range), bytes, totalBytes, version: versionOf(found) }
    },
    async stat(key) {
      const found = await onDisk(stat(pathOf(key), { bigint: true }).catch(undefinedIfAbsent))
      if (!found?.isFile()) return undefined
      return { bytes: Number(found.size), modifiedAt: found.mtime, version: versionOf(found) }
    },
    async withLocalFile(key, use) {
      const path = pathOf(key)
      if ((await onDisk(stat(path).catch(undefinedIfAbsent))) === undefined) {
        throw new StorageError('NOT_FOUND', `nothing is stored as ${key}`)
      }
      return use(path)
    },
    async remove(key) {
      const path = pathOf(key)
      await onDisk(unlink(path).catch(undefinedIfAbsent))
      await removeEmptyFolders(dirname(path), root)
    },
    list: (prefix) => list(root, prefix),
    async ready() {
      const probe = join(parts, `probe-${randomUUID()}`)
      try {
        await onDisk(writeFile(probe, 'ready', { flag: 'wx', mode: 0o600 }))
      } finally {
        await onDisk(rm(probe, { force: true }))
      }
    },
  }
}

async function writePart(part: string, source: Readable, maxBytes: number | undefined) {
  const meter = createMeter(maxBytes)
  await using handle = await onDisk(open(part, 'wx', 0o640))
  // Leaving the loop destroys the source, so that a sender of too much is cut off here.
  for await (const chunk of source as AsyncIterable<Buffer>) {
    meter.count(chunk)
    const written = onDisk(writeAll(handle, chunk))
    // meanwhile: hashing takes as long as writing does
    meter.hash(chunk)
    await written
  }
  await onDisk(handle.sync())
  return meter.read()
}

// A file is put as a new one, with a number of its own, and never written again.
function versionOf({ size, mtimeNs, ino }: { size: bigint; mtimeNs: bigint; ino: bigint }): string {
  return `${size}-${mtimeNs}-${ino}`
}

async function writeAll(handle: FileHandle, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    offset += (await handle.write(chunk, offset)).bytesWritten
  }
}

/** Gives the topmost folder that was made for it, as mkdir does. */
async function moveInto(path: string, part: string): Promise<string | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      const made = await mkdir(dirname(path), { recursive: true })
      await rename(part, path)
      return made
    } catch (error) {
      // a remove found the folder empty just then
      if (codeOf(error) !== 'ENOENT' || tries === 10) throw error
    }
  }
}

/** Nobody else would ever remove a folder, and every listing goes through all of them. */
async function removeEmptyFolders(from: string, root: string): Promise<void> {
  for (let folder = from; folder !== root; folder = dirname(folder)) {
    const isRemoved = await rmdir(folder).then(
      () => true,
      // it holds other objects, or somebody was faster
      () => false,
    )
    if (!isRemoved) return
  }
}

/** A new name is only durable once the folder that holds it is, and so on up to the first that was there before. */
async function syncFolders(from: string, upTo: string): Promise<void> {
  for (let folder = from; ; folder = dirname(folder)) {
    await using handle = await open(folder, 'r')
    await handle.sync()
    if (folder === upTo) return
  }
}

async function* list(root: string, prefix: string): AsyncIterable<string> {
  checkPrefix(prefix)
  const folders = [join(root, prefix.slice(0, prefix.lastIndexOf('/') + 1))]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const reading = readdir(folder, { withFileTypes: true })
    const entries = (await onDisk(reading.catch(undefinedIfAbsent))) ?? []
    for (const entry of entries) {
      const path = join(folder, entry.name)
      const key = relative(root, path).split(sep).join('/')
      if (entry.isDirectory() && entry.name !== partsFolder) folders.push(path)
      else if (entry.isFile() && key.startsWith(prefix)) yield key
    }
  }
}

async function removeOldParts(parts: string): Promise<void> {
  for (const name of await readdir(parts)) {
    const path = join(parts, name)
    // on a full disk nothing tells the time: the parts are removed by a later start
    const ageMs = await ageByFileTime(path, parts).catch(() => undefined)
    if (ageMs !== undefined && ageMs > partLifetimeMs) await rm(path, { force: true })
  }
}

/** What the disk itself refuses is told apart here from a failure of the source, which may have the same code. */
async function onDisk<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw diskError(error)
  }
}

function isFull(error: unknown): boolean {
  return codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT'
}

function diskError(error: unknown): unknown {
  const code = codeOf(error)
  if (isFull(error)) return new StorageError('NO_SPACE', 'the disk is full', error)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new StorageError('REFUSED', `the disk refuses this process (${code})`, error)
  }
  return code === undefined ? error : new StorageError('UNAVAILABLE', `the disk failed (${code})`, error)
}

function undefinedIfAbsent(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
  throw error
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
}
