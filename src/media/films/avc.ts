/** What of a sequence parameter set (H.264, 7.3.2.1.1) says how the pictures' colours are stored. */
export interface AvcColour {
  /** 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4. */
  chromaFormat: number
  fullRange: boolean | undefined
  /** As ISO/IEC 23091-2 counts them; 0 is RGB. */
  matrix: number | undefined
}

interface Found extends AvcColour {
  /** Where these stand, in bits. */
  rangeAt: number | undefined
  matrixAt: number | undefined
}

const spsType = 7
const profilesWithFormat = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]
const unspecified = 2

/** The colours of the first parameter set of an avcC box; undefined where that has none, or a broken one. */
export function avcColour(description: Uint8Array): AvcColour | undefined {
  const [first] = parameterSets(Buffer.from(description))
  return first && readSps(withoutGuards(first.nal))
}

/**
 * The box with parameter sets that call the colours limited and their matrix unknown. The decoder has other names for
 * full range and for RGB, under which the codec library does not know 4:2:2 and 4:4:4: it hands out pictures with a quarter
 * of their colours.
 */
export function withPlainColours(description: Uint8Array): Uint8Array {
  const box = Buffer.from(description)
  const parts: Buffer[] = []
  let from = 0
  for (const { start, nal } of parameterSets(box)) {
    const plain = plainSps(nal)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(plain.length)
    parts.push(box.subarray(from, start), length, plain)
    from = start + 2 + nal.length
  }
  return Buffer.concat([...parts, box.subarray(from)])
}

/** `start` is where the length of a parameter set stands. */
function parameterSets(box: Buffer): { start: number; nal: Buffer }[] {
  const found: { start: number; nal: Buffer }[] = []
  const count = box.length > 6 ? box[5]! & 0x1f : 0
  for (let at = 6; found.length < count && at + 2 <= box.length; ) {
    const end = at + 2 + box.readUInt16BE(at)
    if (end > box.length || (box[at + 2]! & 0x1f) !== spsType) break
    found.push({ start: at, nal: box.subarray(at + 2, end) })
    at = end
  }
  return found
}

function plainSps(nal: Buffer): Buffer {
  const bytes = withoutGuards(nal)
  const { rangeAt, matrixAt } = readSps(bytes) ?? {}
  if (rangeAt !== undefined) setBits(bytes, rangeAt, 1, 0)
  if (matrixAt !== undefined) setBits(bytes, matrixAt, 8, unspecified)
  return withGuards(bytes)
}

function setBits(bytes: Buffer, at: number, count: number, value: number): void {
  for (let index = 0; index < count; index += 1) {
    const place = at + index
    const mask = 0x80 >> (place & 7)
    const isSet = (value >> (count - 1 - index)) & 1
    bytes[place >> 3] = isSet ? bytes[place >> 3]! | mask : bytes[place >> 3]! & ~mask
  }
}

/** Without the bytes that keep a start code out of the data. */
function withoutGuards(nal: Buffer): Buffer {
  const bytes: number[] = []
  let zeros = 0
  for (const byte of nal) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0
      continue
    }
    zeros = byte === 0 ? zeros + 1 : 0
    bytes.push(byte)
  }
  return Buffer.from(bytes)
}

function withGuards(data: Buffer): Buffer {
  const bytes: number[] = []
  let zeros = 0
  for (const byte of data) {
    if (zeros >= 2 && byte <= 3) {
      bytes.push(3)
      zeros = 0
    }
    zeros = byte === 0 ? zeros + 1 : 0
    bytes.push(byte)
  }
  return Buffer.from(bytes)
}

class BitReader {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  bits(count: number): number {
    let value = 0
    for (let index = 0; index < count; index += 1, this.at += 1) {
      const byte = this.#bytes[this.at >> 3]
      if (byte === undefined) throw new RangeError('the parameter set ends early')
      value = value * 2 + ((byte >> (7 - (this.at & 7))) & 1)
    }
    return value
  }

  /** Exp-Golomb: as many bits as there are zeros in front. */
  number(): number {
    let zeros = 0
    while (this.bits(1) === 0) zeros += 1
    return 2 ** zeros - 1 + this.bits(zeros)
  }
}

function readSps(bytes: Buffer): Found | undefined {
  try {
    const reader = new BitReader(bytes)
    reader.bits(8)
    const profile = reader.bits(8)
    reader.bits(16)
    reader.number()
    const chromaFormat = profilesWithFormat.includes(profile) ? readFormat(reader) : 1
    skipToUsability(reader)
    return { chromaFormat, ...readSignal(reader) }
  } catch {
    return undefined
  }
}

function readFormat(reader: BitReader): number {
  const format = reader.number()
  if (format === 3) reader.bits(1)
  reader.number()
  reader.number()
  reader.bits(1)
  if (reader.bits(1) === 1) {
    for (let list = 0; list < (format === 3 ? 12 : 8); list += 1) {
      if (reader.bits(1) === 1) skipScalingList(reader, list < 6 ? 16 : 64)
    }
  }
  return format
}

function skipScalingList(reader: BitReader, size: number): void {
  let [last, next] = [8, 8]
  for (let index = 0; index < size; index += 1) {
    if (next !== 0) {
      const code = reader.number()
      const delta = code % 2 === 1 ? (code + 1) / 2 : -code / 2
      next = (last + delta + 256) % 256
    }
    if (next !== 0) last = next
  }
}

/** From the lengths of counters up to whether there is usability information. */
function skipToUsability(reader: BitReader): void {
  reader.number()
  const order = reader.number()
  if (order === 0) reader.number()
  if (order === 1) {
    reader.bits(1)
    reader.number()
    reader.number()
    for (let left = reader.number(); left > 0; left -= 1) reader.number()
  }
  reader.number()
  reader.bits(1)
  reader.number()
  reader.number()
  if (reader.bits(1) === 0) reader.bits(1)
  reader.bits(1)
  if (reader.bits(1) === 1) for (let side = 0; side < 4; side += 1) reader.number()
}

function readSignal(reader: BitReader): Omit<Found, 'chromaFormat'> {
  const none = { fullRange: undefined, matrix: undefined, rangeAt: undefined, matrixAt: undefined }
  if (reader.bits(1) === 0) return none
  if (reader.bits(1) === 1 && reader.bits(8) === 255) reader.bits(32)
  if (reader.bits(1) === 1) reader.bits(1)
  if (reader.bits(1) === 0) return none
  reader.bits(3)
  const rangeAt = reader.at
  const fullRange = reader.bits(1) === 1
  if (reader.bits(1) === 0) return { ...none, fullRange, rangeAt }
  reader.bits(16)
  const matrixAt = reader.at
  return { fullRange, rangeAt, matrixAt, matrix: reader.bits(8) }
}
