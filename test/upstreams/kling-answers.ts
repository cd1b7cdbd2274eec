import { randomUUID } from 'node:crypto'
import type { Answer } from './protocol-server.ts'

declare global {
  interface JSON {
    rawJSON(text: string): object
  }
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown
const parse: (text: string, reviver: Reviver) => unknown = JSON.parse

/** Every error of the vendor's table, with the status it comes with. */
export const klingErrors: Record<number, { status: number; message: string }> = {
  1000: { status: 401, message: 'Authentication failed' },
  1001: { status: 401, message: 'Authorization is empty' },
  1002: { status: 401, message: 'Authorization is invalid' },
  1003: { status: 401, message: 'Authorization is not yet valid' },
  1004: { status: 401, message: 'Authorization has expired' },
  1100: { status: 429, message: 'Account abnormal' },
  1101: { status: 429, message: 'Account in arrears' },
  1102: { status: 429, message: 'Account balance not enough' },
  1103: { status: 403, message: 'No permission for this API or model' },
  1200: { status: 400, message: 'Invalid request' },
  1201: { status: 400, message: 'Invalid request parameters' },
  1202: { status: 404, message: 'Invalid method' },
  1203: { status: 404, message: 'The requested resource does not exist' },
  1300: { status: 400, message: 'Request triggers a policy of the platform' },
  1301: { status: 400, message: 'Request triggers the content security policy' },
  1302: { status: 429, message: 'Requests too fast' },
  1303: { status: 429, message: 'parallel task over resource pack limit' },
  1304: { status: 429, message: 'IP address is not in the whitelist' },
  5000: { status: 500, message: 'Internal error' },
  5001: { status: 503, message: 'Under maintenance' },
  5002: { status: 504, message: 'Timed out' },
}

/** What a refused request gets: no `data`. Also for `interrupt`. */
export function klingError(
  code: number,
  { message, status, headers }: { message?: string; status?: number; headers?: Record<string, string> } = {},
): Answer {
  const known = klingErrors[code]
  return {
    status: status ?? known?.status ?? 500,
    body: { code, message: message ?? known?.message ?? 'Unknown error', request_id: randomUUID() },
    ...(headers && { headers }),
  }
}

/** The envelope around what a good request gets. */
export function success(data?: unknown): Answer {
  return { status: 200, body: { code: 0, message: 'SUCCEED', request_id: randomUUID(), data } }
}

/** A path that nobody serves is answered by the framework, in another shape. */
export function noSuchPath(path: string, now: number): Answer {
  const timestamp = new Date(now).toISOString()
  return { status: 404, body: { timestamp, status: 404, error: 'Not Found', message: 'Not Found', path } }
}

/** JSON whose integers beyond 2^53 become bigint, so that no digit is lost; undefined if it is no JSON. */
export function parseExactly(raw: Buffer): unknown {
  try {
    return parse(raw.toString(), (_, value, { source }) =>
      typeof value === 'number' && source !== undefined && isBeyondNumbers(source) ? BigInt(source) : value,
    )
  } catch {
    return undefined
  }
}

function isBeyondNumbers(source: string): boolean {
  return /^-?\d+$/.test(source) && !Number.isSafeInteger(Number(source))
}

/** The digits of an id, as a string or as a number; undefined for what is neither. */
export function digitsOf(id: unknown): string | undefined {
  if (typeof id === 'bigint' || Number.isSafeInteger(id)) return String(id)
  return typeof id === 'string' && /^\d+$/.test(id) ? id : undefined
}

/** An id as the bare number that the vendor writes, too long for a careless reader. */
export function bareNumber(digits: string): object {
  return JSON.rawJSON(digits)
}
