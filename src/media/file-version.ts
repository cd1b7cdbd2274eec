import type { Dispatcher } from 'undici'

type Headers = Dispatcher.ResponseData['headers']

/** By what a file at a URL is told from another that may be there a moment later. */
export interface FileVersion {
  /** The whole file's length, where the server told it. */
  totalBytes?: number | undefined
  /** Without one, a transfer that broke off can only start from the beginning. */
  validator?: { name: 'etag' | 'last-modified'; value: string } | undefined
}

/** What an answer with the whole file (status 200) says of it. */
export function versionOf(headers: Headers): FileVersion {
  const length = one(headers, 'content-length')
  return { totalBytes: length === undefined ? undefined : Number(length), validator: validatorOf(headers) }
}

/** The length of a file that came whole as a partial answer (206), as some servers send it unasked; undefined for a part. */
export function wholeOf(headers: Headers): number | undefined {
  const [, first, last, total] =
    /^bytes (\d+)-(\d+)\/(\d+)$/i.exec(one(headers, 'content-range') ?? '')?.map(Number) ?? []
  return first === 0 && total !== undefined && last === total - 1 ? total : undefined
}

/** Asks for the rest of this version; of any other the server then sends the whole. */
export function askForRest(version: FileVersion, fromByte: number): Record<string, string> {
  if (version.validator === undefined || fromByte === 0) return {}
  return { range: `bytes=${fromByte}-`, 'if-range': version.validator.value }
}

/**
 * Up to which byte (exclusive) a partial answer (206) goes, with the version; undefined unless it surely continues this
 * version at this byte. There are servers that heed Range and not If-Range, and send the rest of another file.
 */
export function continuation(
  version: FileVersion,
  headers: Headers,
  fromByte: number,
): { version: FileVersion; endByte: number } | undefined {
  const [, first, last, total] =
    /^bytes (\d+)-(\d+)\/(\d+)$/i.exec(one(headers, 'content-range') ?? '')?.map(Number) ?? []
  if (first !== fromByte || last === undefined || total === undefined) return undefined
  const { validator, totalBytes = total } = version
  const length = one(headers, 'content-length')
  const isSame = validator !== undefined && one(headers, validator.name) === validator.value
  const fits = last >= first && last < total && Number(length ?? last - first + 1) === last - first + 1
  return isSame && fits && total === totalBytes
    ? { version: { validator, totalBytes }, endByte: last + 1 }
    : undefined
}

/**
 * Only what RFC 9110 (13.1.5) lets If-Range carry: a strong ETag, or where there is no ETag at all, a Last-Modified
 * at least a second older than the answer, as two versions of one second would share it.
 */
function validatorOf(headers: Headers): FileVersion['validator'] {
  const etag = one(headers, 'etag')
  if (etag !== undefined) return /^"[^"]*"$/.test(etag) ? { name: 'etag', value: etag } : undefined
  const value = one(headers, 'last-modified')
  const ageMs = Date.parse(one(headers, 'date') ?? '') - Date.parse(value ?? '')
  return value !== undefined && ageMs >= 1_000 ? { name: 'last-modified', value } : undefined
}

/** A header that is there once. */
function one(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}
