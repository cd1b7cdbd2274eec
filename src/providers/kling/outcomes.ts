import type { SubmitOutcome } from '../provider.ts'
import { suspensions } from '../refusal.ts'
import type { Answer, KlingApi } from './api.ts'
import { treatmentOf } from './errors.ts'

type NotAccepted = Exclude<SubmitOutcome, { outcome: 'accepted' }>

/** What an answer comes to that is no acceptance; `look up`: whether Kling has the job must be asked. */
export function refusalOf(api: KlingApi, answer: Answer): NotAccepted | 'look up' {
  const cause = api.told(answer)
  const later = answer.retryAfterMs === undefined ? { cause } : { cause, retryAfterMs: answer.retryAfterMs }
  const treatment = treatmentOf(answer)
  switch (treatment) {
    case 'refused':
      return unwanted
    case 'looked up':
      return 'look up'
    case 'content':
      return {
        outcome: 'refused',
        code: 'CONTENT_POLICY_VIOLATION',
        message: 'The content check of the model does not let the prompt or an input file pass.',
      }
    case 'busy':
      return { outcome: 'busy', ...later }
    case 'unavailable':
      return { outcome: 'unavailable', ...later }
    case 'unknown':
      return { outcome: 'unknown', cause }
    default:
      return { outcome: 'suspended', ...suspensions[treatment], cause }
  }
}

/** A complaint about parameters: of our making, or of limits that no page of the vendor's names. */
export const unwanted: NotAccepted = {
  outcome: 'refused',
  code: 'GENERATION_FAILED',
  message: 'The upstream does not take the job with this input.',
  elsewhere: true,
}

/** Of an answer 1201: that our id of the job is taken, which only makes us more careful. */
export function saysTaken({ message }: Answer): boolean {
  return /external.*exist/i.test(message)
}
