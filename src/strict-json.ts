import { isUtf8 } from 'node:buffer'
import type { Issue } from './json-schema.ts'

/** More than any body needs, and less than what recursive code can bear. */
const mostNesting = 64

export type Parsed = { value: unknown } | { issue: Issue }

/** Reads JSON literally, or says why that can't be done. */
export function parseStrictly(bytes: Buffer): Parsed {
  const text = isUtf8(bytes) ? bytes.toString() : undefined
  if (text === undefined) return refuse('is not valid UTF-8')
  // what JSON may not begin with, and some readers skip
  if (text.startsWith('\ufeff')) return refuse('begins with a byte order mark: send it without')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return refuse('is not valid JSON')
  }
  const issue = findUnfaithful(text)
  return issue === undefined ? { value } : { issue }
}

function refuse(message: string): Parsed {
  return { issue: { path: '', message } }
}

/** An object or list that is being read: what its next value is called. */
interface Place {
  /** Undefined in a list. */
  names: Set<string> | undefined
  name: string
  index: number
}

/**
 * What JSON.parse would change or choose among without a word, in a text that it takes: a name that stands twice in an
 * object, a number that a double does not hold. And what is nested deeper than the code behind can bear.
 */
export function findUnfaithful(text: string): Issue | undefined {
  const places: Place[] = []
  let place: Place | undefined
  let isName = false
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at)
    if (character === quote) {
      const end = endOfString(text, at)
      if (isName && place?.names !== undefined) {
        place.name = readName(text, at, end)
        if (place.names.has(place.name)) return { path: pathOf(places), message: twice }
        place.names.add(place.name)
        isName = false
      }
      at = end
    } else if (character === comma && place !== undefined) {
      place.index++
      isName = place.names !== undefined
    } else if (character === openBrace || character === openBracket) {
      if (places.length === mostNesting) {
        return { path: places[0]!.name, message: `is nested more than ${mostNesting} levels deep` }
      }
      isName = character === openBrace
      place = { names: isName ? new Set() : undefined, name: '', index: 0 }
      places.push(place)
    } else if (character === closeBrace || character === closeBracket) {
      places.pop()
      place = places.at(-1)
      isName = false
    } else if (character === minus || isDigit(character)) {
      const end = endOfNumber(text, at)
      if (!isKept(text, at, end)) {
        return { path: pathOf(places), message: tooLarge }
      }
      at = end - 1
    }
  }
  return undefined
}

/** The message of an issue whose name is in its object already. */
export const twice = 'stands twice: send it once'

const tooLarge = `must be a number from -${Number.MAX_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}: a greater one can't be kept exactly`

const [quote, comma, minus, backslash] = [0x22, 0x2c, 0x2d, 0x5c]
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]

const isDigit = (character: number) => character >= 0x30 && character <= 0x39

/** Where the string ends that begins at `start`: at its closing quote. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++
    if (slashes % 2 === 0) return end
  }
}

const [plus, point, upperE, lowerE] = [0x2b, 0x2e, 0x45, 0x65]

function endOfNumber(text: string, start: number): number {
  let end = start + 1
  for (let next = text.charCodeAt(end); isOfNumber(next); next = text.charCodeAt(end)) end++
  return end
}

const isOfNumber = (character: number) =>
  isDigit(character) ||
  character === point ||
  character === minus ||
  character === plus ||
  character === lowerE ||
  character === upperE

/** The greatest number of so few characters without an exponent is below MAX_SAFE_INTEGER. */
const keptLength = 15

function isKept(text: string, start: number, end: number): boolean {
  const number = text.slice(start, end)
  if (number.length <= keptLength && !/e/i.test(number)) return true
  return Math.abs(Number(number)) <= Number.MAX_SAFE_INTEGER
}

function readName(text: string, start: number, end: number): string {
  const name = text.slice(start + 1, end)
  return name.includes('\\') ? (JSON.parse(`"${name}"`) as string) : name
}

function pathOf(places: Place[]): string {
  return places.reduce((path, { names, name, index }) => {
    if (names === undefined) return `${path}[${index}]`
    return path === '' ? name : `${path}.${name}`
  }, '')
}
