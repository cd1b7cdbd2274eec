/** A box of an MP4 file, in a buffer that holds the whole of it. */
export interface Box {
  type: string
  /** Where its header and its content begin, and where it ends. */
  start: number
  content: number
  end: number
}

/** Those that hold nothing but other boxes, in the way from a film to the description of its tracks. */
const containers = ['moov', 'trak', 'mdia', 'minf', 'stbl', 'sinf', 'schi', 'edts', 'moof', 'traf']
const [videoEntryBytes, audioEntryBytes] = [78, 28]
const mostDepth = 12

/** The boxes between two places, as far as they are whole. */
export function* boxesIn(bytes: Buffer, start: number, end: number): Generator<Box> {
  for (let at = start; at + 8 <= end; ) {
    const short = bytes.readUInt32BE(at)
    const isLong = short === 1 && at + 16 <= end
    const size = isLong ? Number(bytes.readBigUInt64BE(at + 8)) : short === 0 ? end - at : short
    const content = at + (isLong ? 16 : 8)
    if (at + size > end || content > at + size) return
    yield { type: bytes.toString('latin1', at + 4, at + 8), start: at, content, end: at + size }
    at += size
  }
}

/** All boxes within, those of the sample descriptions too, each after the one that it is in. */
export function* allBoxes(
  bytes: Buffer,
  start: number,
  end: number,
  depth = 0,
): Generator<Box & { parent?: string }> {
  if (depth > mostDepth) return
  for (const box of boxesIn(bytes, start, end)) {
    yield box
    if (containers.includes(box.type)) yield* allBoxes(bytes, box.content, box.end, depth + 1)
    if (box.type !== 'stsd') continue
    for (const entry of boxesIn(bytes, box.content + 8, box.end)) {
      yield { ...entry, parent: 'stsd' }
      for (const skipped of [videoEntryBytes, audioEntryBytes]) {
        yield* allBoxes(bytes, entry.content + skipped, entry.end, depth + 1)
      }
    }
  }
}
