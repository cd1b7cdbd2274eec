import { type FileHandle, open } from 'node:fs/promises'
import { CustomSource, type Source } from 'mediabunny'
import { allBoxes } from './films/boxes.ts'
import { sniff } from './image.ts'
import { mp3Start } from './mp3.ts'

/** Bytes to be read in the place of a file's own. */
interface Patch {
  at: number
  bytes: Buffer
}

interface Reading {
  handle: FileHandle
  size: number
  /** Where what is read begins in the file. */
  start: number
  patches: Patch[]
}

/** With which an MP4 or QuickTime file begins. */
const firstBoxes = ['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot', 'styp']
const mostIndexBytes = 64 * 1024 * 1024
/** Tags may hold pictures; what else is in front of a sound is short. */
const mostJunkBytes = 1024 * 1024

/**
 * A file as the library of containers can read it, which stumbles over what other programs step over: bytes in front of an
 * MP3, the name of 64-bit WAVE, boxes that are a byte too short.
 */
export function fileSource(path: string): Source {
  let reading: Reading | undefined
  return new CustomSource({
    async getSize() {
      reading = await prepare(await open(path, 'r'))
      return reading.size - reading.start
    },
    async read(start, end) {
      const { handle, start: from } = reading!
      const bytes = Buffer.alloc(end - start)
      await handle.read(bytes, 0, bytes.length, from + start)
      for (const patch of reading!.patches) apply(patch, bytes, from + start)
      return bytes
    },
    dispose() {
      void reading?.handle.close().catch(() => {})
    },
    prefetchProfile: 'fileSystem',
    handleUnhandledError() {},
  })
}

async function prepare(handle: FileHandle): Promise<Reading> {
  try {
    const { size } = await handle.stat()
    const head = await readPart(handle, 0, Math.min(size, 4100))
    if (firstBoxes.includes(head.toString('latin1', 4, 8))) {
      return { handle, size, start: 0, patches: await indexPatches(handle, size) }
    }
    const patches = await wavePatches(handle, size, head.toString('latin1', 0, 4))
    const type = await sniff(head)
    const isMp3 = type === undefined || type === 'audio/mpeg'
    return { handle, size, start: (isMp3 && (await findMp3(handle, size))) || 0, patches }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** What a sound in WAVE is played by. */
const waveChunks = ['fmt ', 'fact', 'data', 'ds64']
const mostWaveChunks = 1_000

// Tags between them, whose lengths the library takes at their word, are passed over as junk.
async function wavePatches(handle: FileHandle, size: number, name: string): Promise<Patch[]> {
  if (!['RIFF', 'RF64', 'BW64'].includes(name)) return []
  const patches = name === 'BW64' ? [{ at: 0, bytes: Buffer.from('RF64') }] : []
  for (let at = 12, count = 0; at + 8 <= size && count < mostWaveChunks; count++) {
    const head = await readPart(handle, at, at + 8)
    if (head.length < 8) break
    const type = head.toString('latin1', 0, 4)
    if (!waveChunks.includes(type)) patches.push({ at, bytes: Buffer.from('JUNK') })
    const length = head.readUInt32LE(4)
    // of more than 4 GB the length stands elsewhere; what is behind the sound is not looked for then
    if (length === 0xffffffff) break
    at += 8 + length + (length % 2)
  }
  return patches
}

async function readPart(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, end - start))
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
  return bytes.subarray(0, bytesRead)
}

function apply({ at, bytes }: Patch, into: Buffer, start: number): void {
  for (const [index, byte] of bytes.entries()) {
    const place = at + index - start
    if (place >= 0 && place < into.length) into[place] = byte
  }
}

/** Where the first frame of an MP3 is, behind however many tags, and some junk. */
export async function findMp3(handle: FileHandle, size: number): Promise<number | undefined> {
  let start = 0
  for (let tags = 0; tags < 16; tags += 1) {
    const window = await readPart(handle, start, Math.min(size, start + 32))
    const tag = tagBytes(window)
    if (tag === 0 || start + tag >= size) break
    start += tag
  }
  const found = mp3Start(await readPart(handle, start, Math.min(size, start + mostJunkBytes)))
  return found === undefined ? undefined : start + found
}

/** How long the tag is that begins here: ID3v2 or APEv2. */
function tagBytes(bytes: Buffer): number {
  const name = bytes.toString('latin1', 0, 8)
  if (name.startsWith('ID3') && bytes.length >= 10) {
    const footer = bytes[5]! & 0x10 ? 10 : 0
    // seven bits of each byte
    const size = [6, 7, 8, 9].reduce((sum, at) => sum * 128 + (bytes[at]! & 0x7f), 0)
    return 10 + size + footer
  }
  return name === 'APETAGEX' && bytes.length >= 16 ? 32 + bytes.readUInt32LE(12) : 0
}

/** Of colour boxes that lack their last byte, which the library reads past. */
async function indexPatches(handle: FileHandle, size: number): Promise<Patch[]> {
  const index = await findIndex(handle, size)
  if (index === undefined) return []
  const { start, bytes } = index
  const patches: Patch[] = []
  for (const { type, content, end, start: boxStart } of allBoxes(bytes, 0, bytes.length)) {
    if (type !== 'colr' || !/^ncl[xc]$/.test(bytes.toString('latin1', content, content + 4))) continue
    const isExtended = bytes.toString('latin1', content, content + 4) === 'nclx'
    // the older form has no range, and means the limited one
    if (end - content >= 10 && end - content < 11 && isExtended) {
      patches.push({ at: start + content, bytes: Buffer.from('nclc') })
    } else if (end - content < 10) patches.push({ at: start + boxStart + 4, bytes: Buffer.from('free') })
  }
  return patches
}

/** The moov box of an MP4 file, wherever it is in it. */
export async function findIndex(
  handle: FileHandle,
  size: number,
): Promise<{ start: number; bytes: Buffer } | undefined> {
  for (let at = 0; at + 8 <= size; ) {
    const header = await readPart(handle, at, Math.min(size, at + 16))
    if (header.length < 8) return undefined
    const short = header.readUInt32BE(0)
    const isLong = short === 1 && header.length === 16
    const length = isLong ? Number(header.readBigUInt64BE(8)) : short === 0 ? size - at : short
    if (length < 8) return undefined
    if (header.toString('latin1', 4, 8) === 'moov') {
      const bytes = await readPart(handle, at, Math.min(size, at + Math.min(length, mostIndexBytes)))
      return { start: at, bytes }
    }
    at += length
  }
  return undefined
}
