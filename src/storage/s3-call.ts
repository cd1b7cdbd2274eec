import { S3ServiceException } from '@aws-sdk/client-s3'
import { StorageError } from './storage.ts'

/** What went wrong, in words that may be logged: codes only, and status 0 where no answer came. */
export interface StoreFault {
  code: string
  status: number
  requestId?: string | undefined
}

/**
 * One call of the store's API with all its retries, ended when its time is over. What fails is told by the store's
 * code and status alone: the library's exceptions carry the access key and what was signed, and would be logged whole.
 */
export async function callStore<T>(
  verb: string,
  limitMs: number,
  ask: (options: { abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const limit = new AbortController()
  // not AbortSignal.timeout: it would also end the body of an answer that came in time
  const timer = setTimeout(() => limit.abort(), limitMs)
  try {
    return await ask({ abortSignal: limit.signal })
  } catch (error) {
    throw error instanceof StorageError ? error : storageError(verb, faultOf(error))
  } finally {
    clearTimeout(timer)
  }
}

/** The store broke its own rules, or went away. */
export function unavailable(verb: string, reason: string): StorageError {
  return new StorageError('UNAVAILABLE', `the S3 store could not ${verb}: ${reason}`)
}

/** What is safe to tell of an exception of the library. */
export function faultOf(error: unknown): StoreFault {
  if (!(error instanceof Error)) return { code: 'unknown', status: 0 }
  // also of an answer that was no XML
  const { httpStatusCode: status = 0, requestId } = (error as Partial<S3ServiceException>).$metadata ?? {}
  if (status > 0) return { code: codeOf(error), status, requestId }
  const isLate = error.name === 'AbortError' || error.name === 'TimeoutError'
  return {
    code: isLate ? 'no answer in time' : ((error as NodeJS.ErrnoException).code ?? error.name),
    status,
  }
}

function codeOf(error: Error): string {
  return error instanceof S3ServiceException && /^[\w.]{1,64}$/.test(error.name) ? error.name : 'no S3 answer'
}

const full = /^(QuotaExceeded|StorageQuotaExceeded|InsufficientStorage|XMinioStorageFull)$/
const refused = /^(NoSuchBucket|AuthorizationHeaderMalformed|PermanentRedirect)$/

function storageError(verb: string, { code, status, requestId }: StoreFault): StorageError {
  const reason = status === 0 ? code : `${code}, status ${status}, request ${requestId ?? 'without an id'}`
  if (code === 'NoSuchKey' || code === 'NotFound')
    return new StorageError('NOT_FOUND', 'there is no such object')
  if (status === 507 || full.test(code))
    return new StorageError('NO_SPACE', `the S3 store is full: ${reason}`)
  if (status === 401 || status === 403 || refused.test(code)) {
    return new StorageError('REFUSED', `the S3 store refused to ${verb}: ${reason}`)
  }
  return unavailable(verb, reason)
}
