import { randomBytes } from 'node:crypto'

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz'

// Bytes from 252 up are skipped: 252 = 7 × 36, so that every character is equally likely.
function randomCharacters(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length + 4)) {
      if (byte < 252 && text.length < length) text += alphabet[byte % 36]
    }
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
