import { type Box, boxesIn } from './boxes.ts'

/** Boxes that describe the film and are not needed to play it. */
const descriptions = ['udta', 'meta', 'uuid', 'emsg']
const containers = ['moov', 'trak', 'mdia', 'minf', 'moof', 'traf', 'mvex']
const mediaHandlers = ['vide', 'soun']
/** The times at which a device made it: two of 32 or 64 bits behind version and flags. */
const dated = ['mvhd', 'tkhd', 'mdhd']

/** A part of the file that is to be overwritten with zeros. */
export interface Zeros {
  at: number
  bytes: number
}

/**
 * Takes out of the index of an MP4 or QuickTime file, in place, what tells of place, device and maker, with the tracks that are
 * neither picture nor sound: phones note positions there from second to second. Every box keeps its place and length, so
 * that nothing else changes. Answers where the data of those tracks are in the file.
 */
export function scrubIndex(bytes: Buffer, start = 0, end = bytes.length): Zeros[] {
  const zeros: Zeros[] = []
  for (const box of boxesIn(bytes, start, end)) {
    if (descriptions.includes(box.type)) empty(bytes, box)
    else if (box.type === 'trak' && !mediaHandlers.includes(handlerOf(bytes, box))) {
      zeros.push(...samplesOf(bytes, box))
      empty(bytes, box)
    } else if (containers.includes(box.type)) zeros.push(...scrubIndex(bytes, box.content, box.end))
    else if (dated.includes(box.type)) {
      const wide = bytes[box.content] === 1
      bytes.fill(0, box.content + 4, Math.min(box.end, box.content + 4 + (wide ? 16 : 8)))
    } else if (box.type === 'hdlr') bytes.fill(0, Math.min(box.end, box.content + 24), box.end)
  }
  return zeros
}

function empty(bytes: Buffer, { start, content, end }: Box): void {
  bytes.write('free', start + 4, 'latin1')
  bytes.fill(0, content, end)
}

function find(bytes: Buffer, box: Box, ...path: string[]): Box | undefined {
  const [type, ...rest] = path
  if (type === undefined) return box
  for (const inner of boxesIn(bytes, box.content, box.end)) {
    const found = inner.type === type ? find(bytes, inner, ...rest) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

function handlerOf(bytes: Buffer, track: Box): string {
  const handler = find(bytes, track, 'mdia', 'hdlr')
  return handler === undefined ? '' : bytes.toString('latin1', handler.content + 8, handler.content + 12)
}

/** Where a track's samples lie: chunk by chunk, each with so many samples, each of its own size. */
function samplesOf(bytes: Buffer, track: Box): Zeros[] {
  const table = (name: string) => find(bytes, track, 'mdia', 'minf', 'stbl', name)
  const [sizes, runs] = [table('stsz'), table('stsc')]
  const chunks = table('stco') ?? table('co64')
  if (sizes === undefined || runs === undefined || chunks === undefined) return []
  const long = (box: Box, at: number) =>
    box.content + at + 4 <= box.end ? bytes.readUInt32BE(box.content + at) : 0
  const common = long(sizes, 4)
  const found: Zeros[] = []
  const isWide = chunks.type === 'co64'
  for (let chunk = 0, sample = 0, run = 0; chunk < long(chunks, 4); chunk += 1) {
    if (chunks.content + 8 + (chunk + 1) * (isWide ? 8 : 4) > chunks.end) break
    while (run + 1 < long(runs, 4) && long(runs, 8 + 12 * (run + 1)) <= chunk + 1) run += 1
    const count = long(runs, 12 + 12 * run)
    const at = isWide
      ? Number(bytes.readBigUInt64BE(chunks.content + 8 + 8 * chunk))
      : long(chunks, 8 + 4 * chunk)
    let length = 0
    for (const last = Math.min(sample + count, long(sizes, 8)); sample < last; sample += 1) {
      length += common === 0 ? long(sizes, 12 + 4 * sample) : common
    }
    found.push({ at, bytes: length })
  }
  return found
}
