/** Kilobits per second by the index in a frame's header, of MPEG 1 and of 2 and 2.5 (layer III). */
const rates = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const
const frequencies = [44_100, 48_000, 32_000] as const
/** As many frames one behind the other are no accident. */
const framesThatTell = 3

/**
 * Where the first frame of an MP3 is in these bytes: behind zeros, or whatever else recorders and web radios leave in front.
 * Undefined if no frames follow one another.
 */
export function mp3Start(bytes: Uint8Array): number | undefined {
  for (let at = bytes.indexOf(0xff); at !== -1 && at + 4 <= bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    if (isRunOfFrames(bytes, at)) return at
  }
  return undefined
}

function isRunOfFrames(bytes: Uint8Array, start: number): boolean {
  let at = start
  for (let frames = 0; frames < framesThatTell; frames += 1) {
    const length = frameBytes(bytes, at)
    if (length === undefined) return false
    at += length
    // the file may be shorter than that, but not only a header
    if (at + 4 > bytes.length) return frames > 0
  }
  return true
}

function frameBytes(bytes: Uint8Array, at: number): number | undefined {
  const [first, second, third] = [bytes[at], bytes[at + 1] ?? 0, bytes[at + 2] ?? 0]
  const version = (second >> 3) & 3
  const isLayer3 = first === 0xff && (second & 0xe6) === 0xe2 && version !== 1
  const rate = rates[version === 3 ? 0 : 1][third >> 4]
  const frequency = frequencies[(third >> 2) & 3]
  if (!isLayer3 || !rate || frequency === undefined) return undefined
  const divided = frequency / [4, 1, 2, 1][version]!
  return Math.floor(((version === 3 ? 144 : 72) * rate * 1000) / divided) + ((third >> 1) & 1)
}
