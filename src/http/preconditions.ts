import type { IncomingHttpHeaders } from 'node:http'

/** By what clients tell one state of a file from another. */
export interface Validators {
  /** Strong, with its quotes. */
  etag: string
  /** In whole seconds: no other bytes of this address were or will be given with it. */
  modifiedMs: number
}

/** What the conditions of a request say of a file (RFC 9110, 13.2.2): in its order, and what is no condition is ignored. */
export function judge(headers: IncomingHttpHeaders, { etag, modifiedMs }: Validators): 'send' | 304 | 412 {
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined) {
    if (!names(ifMatch, (tag) => tag === etag)) return 412
  } else if (modifiedMs > (httpDate(headers['if-unmodified-since']) ?? Number.POSITIVE_INFINITY)) return 412
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) {
    return names(ifNoneMatch, (tag) => tag.replace(/^W\//, '') === etag) ? 304 : 'send'
  }
  return modifiedMs <= (httpDate(headers['if-modified-since']) ?? Number.NEGATIVE_INFINITY) ? 304 : 'send'
}

/** Whether a range may be sent of this state: the client has the rest of the same, or did not ask (13.1.5). */
export function isSameState(ifRange: string | undefined, { etag, modifiedMs }: Validators): boolean {
  return ifRange === undefined || ifRange === etag || httpDate(ifRange) === modifiedMs
}

function names(list: string, matches: (tag: string) => boolean): boolean {
  if (list.trim() === '*') return true
  return (list.match(/(?:W\/)?"[^"]*"/g) ?? []).some(matches)
}

const imfDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
const rfc850Date = /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/
const asctimeDate = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

/** A date of HTTP in ms; undefined for any other text. */
function httpDate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const isKnown = imfDate.test(text) || rfc850Date.test(text)
  if (!isKnown && !asctimeDate.test(text)) return undefined
  const ms = Date.parse(isKnown ? text : `${text} GMT`)
  return Number.isNaN(ms) ? undefined : ms
}

export interface ByteRange {
  start: number
  end: number
}

/** One range of a Range header; several, or what is no range of bytes, are ignored as RFC 9110 (14.2) allows. */
export function readRange(
  header: string | undefined,
  totalBytes: number,
): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '')
  const [, first = '', last = ''] = match ?? []
  if (match === null || (first === '' && last === '')) return undefined
  const start = first === '' ? Math.max(0, totalBytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? totalBytes - 1 : Math.min(Number(last), totalBytes - 1)
  if (first !== '' && last !== '' && BigInt(last) < BigInt(first)) return undefined
  return start < totalBytes && start <= end ? { start, end } : 'unsatisfiable'
}
