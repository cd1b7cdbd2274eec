import { createHash } from 'node:crypto'

/** Tells accounts apart by their key, which can't be read out of it; to which account a key belongs can't be asked. */
export function accountOf(upstream: string, key: string): string {
  return createHash('sha256').update(`${upstream} ${key}`).digest('hex').slice(0, 16)
}
