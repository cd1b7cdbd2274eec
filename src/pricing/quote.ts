import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** A quote holds for 15 minutes. */
export const quoteLifeMs = 15 * 60_000

export interface Quote {
  accountId: bigint
  modelSlug: string
  modelVersion: string
  /** Of the complete input, defaults filled in. */
  inputHash: Buffer
  costMicroCents: bigint
  expiresAt: Date
}

// A body of 1 MB can nest half a million arrays, more than the call stack holds. No input that is taken is as deep as this.
const mostNesting = 64

/** SHA-256 over a JSON value, the same whatever the order of its fields. */
export function hashJson(value: unknown): Buffer {
  return createHash('sha256').update(canonical(value, 0)).digest()
}

function canonical(value: unknown, depth: number): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  // no JSON text, so that it stands for nothing that is less deep
  if (depth === mostNesting) return '…'
  const inner = (item: unknown) => canonical(item, depth + 1)
  if (Array.isArray(value)) return `[${value.map(inner).join(',')}]`
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${inner(item)}`).join(',')}}`
}

function sign(quote: Omit<Quote, 'costMicroCents' | 'expiresAt'>, terms: string, secret: string): Buffer {
  const subject = [quote.accountId, quote.modelSlug, quote.modelVersion, quote.inputHash.toString('hex')]
  return createHmac('sha256', secret)
    .update(['quote', ...subject, terms].join('\n'))
    .digest()
}

/**
 * The quote as a token, `quote_<expiry, ms>_<price>_<version>_<signature>`: it carries its own terms, so nothing is
 * stored, and is good for its account, model and input alone.
 */
export function issueQuote(quote: Quote, secret: string): string {
  const terms = `${quote.expiresAt.getTime()}_${quote.costMicroCents}`
  return `quote_${terms}_${quote.modelVersion}_${sign(quote, terms, secret).toString('base64url')}`
}

const form = /^quote_(\d{1,15})_(\d{1,18})_(v\d+\.\d+)_([\w-]{43})$/

/** The version that a token says it was made for: to be redeemed before that is believed. */
export function quotedVersion(token: string): string | undefined {
  return form.exec(token)?.[3]
}

/** The quoted price, or why the token is not good for this account, model and input. */
export function redeemQuote(
  token: string,
  subject: Omit<Quote, 'costMicroCents' | 'expiresAt'>,
  now: Date,
  secret: string,
): { costMicroCents: bigint } | 'expired' | 'mismatch' {
  const match = form.exec(token)
  if (match === null) return 'mismatch'
  const [, expiry = '', cost = '', , signature = ''] = match
  const expected = sign(subject, `${expiry}_${cost}`, secret)
  if (!timingSafeEqual(expected, Buffer.from(signature, 'base64url'))) return 'mismatch'
  return Number(expiry) <= now.getTime() ? 'expired' : { costMicroCents: BigInt(cost) }
}
