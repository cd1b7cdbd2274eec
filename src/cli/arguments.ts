import { InvalidArgumentError } from 'commander'

/** A whole number from 1 up. */
export function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('give a whole number from 1 up')
}

/** A whole number from 1 up, or "unlimited", which is Infinity: commander takes null for a value not given. */
export function limit(text: string): number {
  if (text === 'unlimited') return Number.POSITIVE_INFINITY
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('give a whole number from 1 up, or "unlimited"')
}

/** How many rows to list. */
export function count(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 1000) return Number(text)
  throw new InvalidArgumentError('give a whole number from 1 to 1000')
}

/** A limit as it is stored: null for none. */
export function finite(limit: number): number | null {
  return Number.isFinite(limit) ? limit : null
}
