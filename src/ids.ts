import { randomBytes } from 'node:crypto'

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz'

// Fetched in large pieces: a call to the kernel for each id cost 3 % of a busy server's time.
let random = Buffer.alloc(0)
let used = 0

function randomByte(): number {
  if (used === random.length) {
    random = randomBytes(4096)
    used = 0
  }
  return random[used++]!
}

// Bytes from 252 up are skipped: 252 = 7 × 36, so that every character is equally likely.
function randomCharacters(length: number): string {
  let text = ''
  while (text.length < length) {
    const byte = randomByte()
    if (byte < 252) text += alphabet[byte % 36]
  }
  return text
}

/**
 * A new id like `job_mi8q2k…`: nine characters of the time in ms, which keep rows that are made together
 * together in an index, and sixteen random ones (82 bits). Lower case only, since ids become file names.
 */
export function newId(prefix: string, now: Date): string {
  return `${prefix}_${timeCharacters(now.getTime())}${randomCharacters(16)}`
}

function timeCharacters(ms: number): string {
  return ms.toString(36).padStart(9, '0')
}

/** When an id was made, by the clock of who made it; undefined if it is not of the form of ours. */
export function timeOfId(id: string): Date | undefined {
  const time = /^[a-z]+_([0-9a-z]{9})[0-9a-z]{16}$/.exec(id)?.[1]
  return time === undefined ? undefined : new Date(Number.parseInt(time, 36))
}

/** Between which ids those lie that are made between two moments, in the order of an index. */
export function idsBetween(prefix: string, from: Date, to: Date): [first: string, last: string] {
  return [
    `${prefix}_${timeCharacters(from.getTime())}`,
    `${prefix}_${timeCharacters(to.getTime())}${'z'.repeat(16)}`,
  ]
}

/** Whether a client's own id of its request is taken for one; else it is given one of ours. */
export function isRequestId(id: string): boolean {
  return /^[\w.:-]{8,128}$/.test(id)
}
