/** Of a customer's URL. */
const maxUrlLength = 2048

/** Where a file goes that was sent in place of its address. */
export const uploadIt = 'upload it: POST /v1/uploads/presign'

/**
 * Why a customer's text is no http or https URL that is taken as it stands; undefined if it is. The checks are of the text:
 * a parser of URLs mends much without a word, and another parser something else.
 */
export function urlFault(text: string): string | undefined {
  if (/^\s*data:/i.test(text)) return `is a data: URI, not an address of a file: ${uploadIt}`
  if (looksLikeBase64(text)) return `looks like the bytes of a file in base64: ${uploadIt}`
  if (text.length > maxUrlLength) return `is longer than ${maxUrlLength} characters`
  if (/[\s\p{Cc}\\]/u.test(text))
    return 'must be a URL without spaces, control characters and backslashes: encode them'
  const scheme = /^([a-z][a-z\d+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined || !/^https?$/.test(scheme)) return 'must be an http or https URL'
  const authority = /^\w+:\/\/([^/?#]+)/.exec(text)?.[1]
  if (authority?.includes('@')) return 'must not contain a user name or password'
  if (authority === undefined || URL.parse(text) === null) return 'must be an http or https URL with a host'
  return undefined
}

const shortestBase64 = 64

// A path that long without a dot is no file's name.
function looksLikeBase64(text: string): boolean {
  return text.length >= shortestBase64 && /^[\w+/\-\s]+={0,2}$/.test(text.trimEnd())
}
