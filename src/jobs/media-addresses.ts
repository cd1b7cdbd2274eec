import type { ModelVersion } from '../catalogue/load.ts'
import type { Issue } from '../json-schema.ts'
import type { Outbound } from '../outbound.ts'
import type { Json } from '../providers/provider.ts'

/** Every URL at a dotted path, through whatever arrays are on it, with the name the customer knows it by. */
export function urlsAt(value: Json | undefined, path: string[], name = ''): { name: string; url: string }[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => urlsAt(item, path, `${name}[${index}]`))
  const [field, ...rest] = path
  if (field === undefined) return typeof value === 'string' ? [{ name, url: value }] : []
  if (typeof value !== 'object' || value === null) return []
  return urlsAt(value[field], rest, name === '' ? field : `${name}.${field}`)
}

export interface AddressCheck {
  outbound: Pick<Outbound, 'check'>
  /** The storage key of a file of our own that the URL permits reading at `at`; undefined for foreign URLs. */
  ownFile(url: string, at: Date): { key: string } | 'refused' | undefined
  /** Where the sample file of this server's own URL lies; undefined for other URLs. */
  sampleFile(url: string): string | undefined
}

/**
 * The addresses of an input's files from which none will be fetched, as can be told without the network: said before a job is
 * charged. The input has passed the model's schema. The connection is checked again when it is made.
 */
export function addressIssues(
  check: AddressCheck,
  { mediaFields }: Pick<ModelVersion, 'mediaFields'>,
  input: Record<string, unknown>,
  now: Date,
): Issue[] {
  const urls = mediaFields.flatMap(({ field }) => urlsAt(input as Record<string, Json>, field.split('.')))
  return urls.flatMap(({ name, url }) => {
    const message = addressFault(check, url, now)
    return message === undefined ? [] : [{ path: `input.${name}`, message }]
  })
}

function addressFault({ outbound, ownFile, sampleFile }: AddressCheck, url: string, now: Date) {
  if (sampleFile(url) !== undefined) return undefined
  const own = ownFile(url, now)
  if (own === 'refused')
    return 'is a link of this server that is wrong or has expired: get or presign a new one'
  if (own !== undefined) return undefined
  const checked = outbound.check(url, ['http:', 'https:'])
  return checked.ok ? undefined : `can't be fetched: ${checked.message}`
}
