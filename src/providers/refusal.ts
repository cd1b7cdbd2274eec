import type { JobFailureCode } from '../errors.ts'
import type { Refused, SubmitOutcome, Suspended } from './provider.ts'

/** What only the operator can mend, as docs/upstreams.md says it. */
export const suspensions = {
  'suspended: upstream (key)': { scope: 'upstream', reason: 'key' },
  'suspended: upstream (credit)': { scope: 'upstream', reason: 'credit' },
  'suspended: upstream (permission)': { scope: 'upstream', reason: 'permission' },
  'suspended: model (credit)': { scope: 'model', reason: 'credit' },
  'suspended: model (permission)': { scope: 'model', reason: 'permission' },
  'suspended: model (switched off)': { scope: 'model', reason: 'model' },
} as const satisfies Record<string, Pick<Suspended, 'scope' | 'reason'>>

export type Suspension = keyof typeof suspensions

/** What a status says of a submit by itself, whatever the words with it. */
export type Meaning = Suspension | 'busy' | 'unknown'

/** Why a job failed or was refused, and what the customer is told. */
export interface Failure {
  code: JobFailureCode
  message: string
}

/** The outcome of a submit whose status says all. */
export function byMeaning(
  meaning: Meaning,
  told: { cause: unknown; retryAfterMs?: number | undefined },
): SubmitOutcome {
  const { cause, retryAfterMs } = told
  if (meaning === 'unknown') return { outcome: 'unknown', cause }
  if (meaning === 'busy') {
    return { outcome: 'busy', cause, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
  return { outcome: 'suspended', ...suspensions[meaning], cause }
}

/** A complaint about content or input files holds everywhere; any other may be due to our mapping, or to this upstream's limits. */
export function refusedFor({ code, message }: Failure): Refused {
  const isCustomers = code === 'CONTENT_POLICY_VIOLATION' || code.startsWith('INPUT_MEDIA_')
  return { outcome: 'refused', code, message, ...(!isCustomers && { elsewhere: true }) }
}
