import { InvalidArgumentError } from 'commander'
import leven from 'leven'
import { isRequestId } from '../ids.ts'

/**
 * Reads one word of the command line, or refuses it with an example of what is right. `kind` is what the word is; the
 * test of all commands knows for each kind what must be refused.
 */
export interface Parser<T> {
  (text: string, before?: T): T
  kind: string
  /** May be given more than once. */
  repeats: boolean
}

/** Makes a parser. Every option with a value and every argument of every command has one, or a list of choices. */
export function parser<T>(
  kind: string,
  read: (text: string, before?: T) => T,
  { repeats = false } = {},
): Parser<T> {
  return Object.assign((text: string, before?: T) => read(text, before), { kind, repeats })
}

export function refuse(message: string): never {
  throw new InvalidArgumentError(message)
}

/** A plain whole number: no sign, space, leading zero, exponent or other base. Undefined for anything else. */
function plain(text: string, least: number, most: number): number | undefined {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) return undefined
  const value = Number(text)
  return value >= least && value <= most ? value : undefined
}

const mostOfLimit = 999_999_999

/** A whole number from 1 up. */
export const wholeNumber = parser(
  'whole number',
  (text) => plain(text, 1, mostOfLimit) ?? refuse('give a whole number from 1 up, like 60'),
)

/** A whole number from 1 up, or "unlimited", which is Infinity: commander takes null for a value not given. */
export const limit = parser('limit', (text) => {
  if (text === 'unlimited') return Number.POSITIVE_INFINITY
  return plain(text, 1, mostOfLimit) ?? refuse('give a whole number from 1 up, or "unlimited", like 10')
})

/** A limit as it is stored: null for none. */
export function finite(limit: number): number | null {
  return Number.isFinite(limit) ? limit : null
}

/** How many rows to list. */
export const count = parser(
  'count',
  (text) => plain(text, 1, 1000) ?? refuse('give a whole number from 1 to 1000, like 20'),
)

export const days = parser(
  'days',
  (text) => plain(text, 1, 36_500) ?? refuse('give a whole number from 1 to 36500, like 30'),
)

/** A share of the price, as text: it is exact to nine places. */
export const percent = parser('percent', (text) => {
  const isPlain = /^(0|[1-9]\d{0,2})(\.\d{1,9})?$/.test(text)
  if (isPlain && Number(text) > 0 && Number(text) <= 100) return text
  return refuse('must be a plain decimal above 0 and at most 100, like 12.5')
})

/** What is put on a price, as text. */
export const markupPercent = parser('markup', (text) => {
  const isPlain = /^(0|[1-9]\d{0,3})(\.\d{1,9})?$/.test(text)
  return isPlain && Number(text) <= 1000 ? text : refuse('must be a plain decimal from 0 to 1000, like 12.5')
})

/** A share of the price that is left, or lost. */
export const marginPercent = parser('margin', (text) => {
  const isPlain = /^-?(0|[1-9]\d{0,3})(\.\d{1,6})?$/.test(text)
  return isPlain ? Number(text) : refuse('give per cent as a plain decimal, like 20 or -12.5')
})

const momentForm = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/
const momentExample = '2027-01-31T00:00:00Z or 2027-01-31T09:00:00+09:00'

/** A moment of the calendar, with its zone. What `new Date` would guess or roll over is refused. */
export const moment = parser('moment', (text) => {
  const [, year, month, day, hour, minute, second, zone] = momentForm.exec(text) ?? []
  if (zone === undefined) {
    const hasZone = /(Z|[+-]\d\d:?\d\d)$/i.test(text.replace(/^\d{4}-\d\d-\d\d/, ''))
    return refuse(
      `"${text}" is not a date with time${hasZone ? '' : ' and zone'}: write it like ${momentExample}`,
    )
  }
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  const isDay = date.toISOString().startsWith(`${year}-${month}-${day}`)
  const isTime = Number(hour) < 24 && Number(minute) < 60 && Number(second ?? 0) < 60
  // +14:00 and -12:00 are the outermost zones; RFC 3339 has -00:00 for a zone that is not known
  const isZone = zone === 'Z' || /^(\+(0\d|1[0-3]):[0-5]\d|\+14:00|-(0\d|1[01]):[0-5]\d|-12:00)$/.test(zone)
  if (isDay && isTime && isZone && zone !== '-00:00') return new Date(text)
  return refuse(
    `"${text}" is not in the calendar${isDay && isTime ? ': it has no zone that there is' : ''}: write it like ${momentExample}`,
  )
})

/** An address to which mail can be sent. */
export const email = parser('e-mail', (text) => {
  const isAddress =
    text.length <= 254 &&
    /^[^\s\p{C}@<>()[\]\\,;:"]{1,64}@[\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?(\.[\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?)*$/u.test(
      text,
    ) &&
    !/^\.|\.\.|\.@/.test(text)
  return isAddress ? text : refuse('write it like someone@example.com')
})

/** A web address, without a password in it. */
export const url = parser('url', (text) => {
  const parsed = /^https?:\/\/[^\s\p{C}]+$/u.test(text) ? URL.parse(text) : null
  if (parsed !== null && parsed.username + parsed.password === '' && text.length <= 2048) return text
  return refuse('write it like https://example.com/hook, without user name and password')
})

export const port = parser(
  'port',
  (text) => plain(text, 0, 65_535)?.toString() ?? refuse('give a port number from 0 to 65535, like 8787'),
)

/** The address of a machine, or its name. */
export const host = parser('host', (text) =>
  /^[A-Za-z0-9_.:%-]{1,253}$/.test(text) ? text : refuse('give an address or a host name, like 127.0.0.1'),
)

/** An id, slug, name or e-mail address of something that is there: what is not known is said by who looks it up. */
export const word = parser('word', (text) =>
  /^[^\s\p{C}]{1,255}$/u.test(text) ? text : refuse('give one word, without spaces, like kling'),
)

/** As servers take it from a client, or make it. */
export const requestId = parser('request id', (id) =>
  isRequestId(id) ? id : refuse('give the requestId of an answer, like req_mi8q2k0x1f7d2m9c4p6t8w0z1'),
)

/** One line for people. */
export const text = parser('text', (line) => {
  if (line.trim() === '') return refuse('give some text, like "contract 7", or leave it out')
  if (line.length > 1000 || /\p{Cc}|\p{Cs}/u.test(line)) {
    return refuse('give one line of at most 1000 characters, like "contract 7"')
  }
  return line
})

export const path = parser('path', (name) =>
  name.trim() === '' || name.includes('\0') ? refuse('give the name of a file, like cat.jpg') : name,
)

export const version = parser('version', (name) =>
  /^[A-Za-z0-9][\w.-]{0,63}$/.test(name) ? name : refuse('give a version of the model, like v1.0'),
)

export const idempotencyKey = parser('idempotency key', (key) =>
  /^[\x21-\x7e]{1,255}$/.test(key) ? key : refuse('give 1 to 255 visible ASCII characters, like order-4711'),
)

export const segmentName = parser('segment', (name) =>
  isSegmentName(name)
    ? name
    : refuse('give 1 to 63 lower-case letters, digits and hyphens, not a hyphen first, like studios'),
)

function isSegmentName(name: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,62}$/.test(name)
}

/** Several with commas between them; an empty one and one that is there twice are slips. */
export function list<T>(kind: string, example: string, readItem: (item: string) => T): Parser<T[]> {
  return parser(kind, (text) => {
    const items = text.split(',').map((item) => item.trim())
    if (items.includes('')) return refuse(`a part of the list is empty: write it like ${example}`)
    const twice = items.find((item, index) => items.indexOf(item) !== index)
    if (twice !== undefined) return refuse(`"${twice}" is there twice: write it like ${example}`)
    return items.map(readItem)
  })
}

export const segmentList = list('segments', 'studios,partners', (item) =>
  isSegmentName(item)
    ? item
    : refuse(`"${item}" is not the name of a segment: write them like studios,partners`),
)

/** Of words that are all known; the nearest is named for one that is not. */
export function listOf<T extends string>(kind: string, known: readonly T[]): Parser<T[]> {
  return list(kind, known.slice(0, 2).join(','), (item) => {
    const found = known.find((each) => each === item)
    if (found !== undefined) return found
    const [nearest] = known
      .map((each) => ({ each, typos: leven(item.toLowerCase(), each) }))
      .sort((a, b) => a.typos - b.typos)
    const guess =
      nearest !== undefined && nearest.typos <= nearest.each.length / 3
        ? `; did you mean "${nearest.each}"?`
        : ''
    return refuse(`"${item}" is not one of ${known.join(', ')}${guess}`)
  })
}
