import type { Suspension } from '../refusal.ts'

/** What an answer other than `0` means for a submit. */
export type Treatment =
  | Suspension
  /** This job is not wanted here; perhaps elsewhere. */
  | 'refused'
  /** Bad parameters, or an external id that is taken: which of them is asked. */
  | 'looked up'
  | 'content'
  | 'busy'
  | 'unavailable'
  /** The task may exist. */
  | 'unknown'

interface ErrorRow {
  code: number
  status: number
  meaning: string
  treatment: Treatment
}

const row = (code: number, status: number, treatment: Treatment, meaning: string): ErrorRow => ({
  code,
  status,
  treatment,
  meaning,
})

/** Kling's own error table (document-api, "Error codes"). docs/upstreams.md shows it; a test compares them. */
export const errors: readonly ErrorRow[] = [
  row(1000, 401, 'suspended: upstream (key)', 'authentication failed'),
  row(1001, 401, 'suspended: upstream (key)', 'no credentials were sent'),
  row(1002, 401, 'suspended: upstream (key)', 'the credentials are not valid'),
  row(1003, 401, 'suspended: upstream (key)', 'the token is not valid yet: the clocks differ'),
  row(1004, 401, 'suspended: upstream (key)', 'the token has expired'),
  row(1100, 429, 'suspended: upstream (permission)', 'something is wrong with the account'),
  row(1101, 429, 'suspended: upstream (credit)', 'the account is in arrears'),
  row(1102, 429, 'suspended: model (credit)', 'the resource pack is used up or has expired'),
  row(1103, 403, 'suspended: model (permission)', 'the account may not use the model'),
  row(1200, 400, 'refused', 'a parameter is wrong'),
  row(1201, 400, 'looked up', 'a parameter is wrong, or the external id is taken'),
  row(1202, 404, 'refused', 'there is no such method'),
  row(1203, 404, 'suspended: model (switched off)', 'the model does not exist, or is switched off'),
  row(1300, 400, 'content', 'against the rules of the platform'),
  row(1301, 400, 'content', 'against the content policy'),
  row(1302, 429, 'busy', 'requests came too fast'),
  row(1303, 429, 'busy', 'more at once than the resource pack allows'),
  row(1304, 429, 'suspended: upstream (permission)', 'the address of this server is not on the allow list'),
  row(5000, 500, 'unknown', 'an error inside'),
  row(5001, 503, 'unavailable', 'under maintenance'),
  row(5002, 504, 'unknown', 'timed out inside'),
]

/** Tokens that a new one may replace: it was signed too early or too long ago. */
export const staleTokenCodes: readonly (number | undefined)[] = [1003, 1004]

/**
 * The code decides, as HTTP 429 stands for a rate limit and for arrears alike. A server error that says otherwise is not
 * believed: the task may exist.
 */
export function treatmentOf({ status, code }: { status: number; code: number | undefined }): Treatment {
  const known = errors.find((error) => error.code === code)
  if (known !== undefined && (status < 500 || known.status >= 500)) return known.treatment
  // 408 and 499 may come after the request was read
  if (status >= 500 || status < 300 || status === 408 || status === 499) return 'unknown'
  return withoutCode(status, code !== undefined)
}

/** The frame that the API runs in answers with another shape, and so may whatever stands before it. */
function withoutCode(status: number, isNewCode: boolean): Treatment {
  // another host, or one that has moved: nothing has a key to lose there, and nothing is made
  if (status < 400 || status === 401 || status === 403) return 'suspended: upstream (key)'
  if (status === 402) return 'suspended: upstream (credit)'
  // of what stands between us: a proxy that wants to be told who we are, or that may not let us through
  if (status === 407 || status === 451) return 'suspended: upstream (permission)'
  if ((status === 404 && !isNewCode) || status === 410) return 'suspended: model (switched off)'
  return status === 429 && !isNewCode ? 'busy' : 'refused'
}
