import { type Box, boxesIn } from '../films/boxes.ts'
import { areForeign, type ColourTags, colourTags } from '../hdr.ts'

const mostBoxes = 4096

/**
 * What a HEIC, HEIF or AVIF file says of its primary picture's colours by numbers (`colr` of kind `nclx`), where these are not
 * those of sRGB: the libraries that decode it take no notice of them. Undefined where they are, or nothing is said.
 */
export function foreignColours(bytes: Buffer): ColourTags | undefined {
  const meta = find(bytes, 0, bytes.length, 'meta')
  if (meta === undefined) return undefined
  const start = meta.content + 4
  const primary = primaryId(bytes, find(bytes, start, meta.end, 'pitm'))
  const properties = find(bytes, start, meta.end, 'iprp')
  if (primary === undefined || properties === undefined) return undefined
  const container = find(bytes, properties.content, properties.end, 'ipco')
  const links = find(bytes, properties.content, properties.end, 'ipma')
  if (container === undefined || links === undefined) return undefined
  const all = first(bytes, container.content, container.end)
  for (const index of propertiesOf(bytes, links, primary)) {
    const box = all[index - 1]
    if (box?.type !== 'colr' || box.end - box.content < 8) continue
    if (bytes.toString('latin1', box.content, box.content + 4) !== 'nclx') continue
    const tags = colourTags(bytes.readUInt16BE(box.content + 4), bytes.readUInt16BE(box.content + 6))
    return areForeign(tags) ? tags : undefined
  }
  return undefined
}

function first(bytes: Buffer, start: number, end: number): Box[] {
  return [...boxesIn(bytes, start, end).take(mostBoxes)]
}

function find(bytes: Buffer, start: number, end: number, type: string): Box | undefined {
  return first(bytes, start, end).find((box) => box.type === type)
}

function primaryId(bytes: Buffer, box: Box | undefined): number | undefined {
  if (box === undefined) return undefined
  const isWide = bytes[box.content] !== 0
  if (box.content + (isWide ? 8 : 6) > box.end) return undefined
  return isWide ? bytes.readUInt32BE(box.content + 4) : bytes.readUInt16BE(box.content + 4)
}

/** The numbers, from 1, of the properties that an item has. */
function propertiesOf(bytes: Buffer, { content, end }: Box, item: number): number[] {
  const [idBytes, linkBytes] = [bytes[content] === 0 ? 2 : 4, bytes[content + 3]! & 1 ? 2 : 1]
  for (let at = content + 8; at + idBytes + 1 <= end; ) {
    const id = bytes.readUIntBE(at, idBytes)
    const count = bytes[at + idBytes]!
    const links = at + idBytes + 1
    at = links + count * linkBytes
    if (at > end) return []
    if (id !== item) continue
    // the upper bit says whether the property must be understood
    const mask = linkBytes === 2 ? 0x7fff : 0x7f
    return Array.from(
      { length: count },
      (_, index) => bytes.readUIntBE(links + index * linkBytes, linkBytes) & mask,
    )
  }
  return []
}
