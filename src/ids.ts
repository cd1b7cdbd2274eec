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
  return `${prefix}_${now.getTime().toString(36).padStart(9, '0')}${randomCharacters(16)}`
}
