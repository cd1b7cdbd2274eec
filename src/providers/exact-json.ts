declare global {
  // Node has both; TypeScript does not know them yet
  interface JSON {
    parse(
      text: string,
      reviver: (this: unknown, key: string, value: unknown, context: { source: string }) => unknown,
    ): unknown
    rawJSON(text: string): unknown
  }
}

/** What can be said in JSON, and whole numbers of any size. */
export type ExactJson = null | boolean | number | bigint | string | ExactJson[] | { [key: string]: ExactJson }

/**
 * Reads JSON with whole numbers that a JavaScript number can't hold as the text of their digits: ids of 64 bits would come
 * out as their neighbours.
 */
export function parseExact(text: string): unknown {
  // a look at every value takes eighty times as long, and no shorter number is rounded
  if (!/\d{16}/.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? source : value,
  )
}

/** Writes JSON in which a bigint is a bare number with all its digits. */
export function stringifyExact(value: ExactJson): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? JSON.rawJSON(String(part)) : part,
  )
}
