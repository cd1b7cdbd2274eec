/** What a client may read about one error code. The docs page, the OpenAPI answers and the SDK's union come from here. */
export interface ErrorEntry {
  status: number
  title: string
  /** True when the same request may succeed later without being changed. */
  retryable: boolean
  meaning: string
  remedy: string
}

/** Every code an answer of the API can carry, with its HTTP status (contract: "Every answer"). */
export const apiErrors = {
  UNAUTHORIZED: {
    status: 401,
    title: 'No API key',
    retryable: false,
    meaning: 'The request carries no API key.',
    remedy: 'Send the key as "Authorization: Bearer <key>" or as "x-api-key: <key>".',
  },
  INVALID_API_KEY: {
    status: 401,
    title: 'Unknown API key',
    retryable: false,
    meaning: 'The API key is malformed or unknown.',
    remedy: 'Check that the key was copied whole, or create a new one.',
  },
  API_KEY_INACTIVE: {
    status: 401,
    title: 'API key deactivated',
    retryable: false,
    meaning: 'The API key has been deactivated.',
    remedy: 'Use another key of the account, or ask its owner for a new one.',
  },
  API_KEY_EXPIRED: {
    status: 401,
    title: 'API key expired',
    retryable: false,
    meaning: 'The API key is past its expiry date.',
    remedy: 'Create a new key.',
  },
  INVALID_SESSION: {
    status: 401,
    title: 'Session not good',
    retryable: false,
    meaning: 'The session is malformed, forged or over, or its key is gone.',
    remedy: 'Make a new session with the API key.',
  },
  INVALID_WORKER_SECRET: {
    status: 401,
    title: 'Callback not believed',
    retryable: false,
    meaning: 'The callback carries a token that this server did not make for the upstream.',
    remedy: 'Call the callback URL unchanged, as the upstream got it with the job.',
  },
  IP_NOT_WHITELISTED: {
    status: 403,
    title: 'Address not allowed',
    retryable: false,
    meaning: 'The key may not be used from this IP address.',
    remedy: 'Call from an allowed address, or widen the allowed addresses of the key.',
  },
  OPERATION_NOT_ALLOWED: {
    status: 403,
    title: 'Scope missing',
    retryable: false,
    meaning: 'The key lacks the scope that this operation needs.',
    remedy: 'Use a key with the scope named in the message.',
  },
  FORBIDDEN: {
    status: 403,
    title: "Operator's only",
    retryable: false,
    meaning: 'The operation is for operators; the key lacks the scope "admin".',
    remedy: 'Use a key that was made with --scopes admin.',
  },
  MODEL_ACCESS_DENIED: {
    status: 403,
    title: 'Model not open to you',
    retryable: false,
    meaning: 'The model is there, but not open to this account.',
    remedy: 'Ask the operator to open it, or use another model.',
  },
  UNAUTHORIZED_ACCESS: {
    status: 403,
    title: 'Not yours',
    retryable: false,
    meaning: 'The resource belongs to another account.',
    remedy: 'Use a key of the account that created it.',
  },
  USER_BANNED: {
    status: 403,
    title: 'Account banned',
    retryable: false,
    meaning: 'The account has been banned.',
    remedy: 'Contact the operator.',
  },
  USER_INACTIVE: {
    status: 403,
    title: 'Account inactive',
    retryable: false,
    meaning: 'The account is not active.',
    remedy: 'Ask the operator to activate it.',
  },
  MODEL_NOT_FOUND: {
    status: 404,
    title: 'No such model',
    retryable: false,
    meaning: 'No model has this slug.',
    remedy: 'Check the spelling; the message names the nearest known slug.',
  },
  MODEL_VERSION_NOT_FOUND: {
    status: 404,
    title: 'No such model version',
    retryable: false,
    meaning: 'The model has no version of this name.',
    remedy: 'Leave "version" out to use the current one.',
  },
  JOB_NOT_FOUND: {
    status: 404,
    title: 'No such job',
    retryable: false,
    meaning: 'No job has this id.',
    remedy: 'Use the jobId that the submit answered.',
  },
  USER_NOT_FOUND: {
    status: 404,
    title: 'No such user',
    retryable: false,
    meaning: 'No user has this id or e-mail address.',
    remedy: 'Check the spelling, or list the users on the command line.',
  },
  NOT_FOUND: {
    status: 404,
    title: 'Not found',
    retryable: false,
    meaning: 'There is nothing at this address.',
    remedy: 'Check method and path.',
  },
  INVALID_MODEL_SLUG: {
    status: 400,
    title: 'Malformed model slug',
    retryable: false,
    meaning: 'The model is not written as provider/model/capability.',
    remedy: 'Write it like kling/kling-omni-o1/image-to-video.',
  },
  MODEL_VERSION_NOT_ACTIVE: {
    status: 400,
    title: 'Model version not active',
    retryable: false,
    meaning: 'The version of the model is there, but takes no jobs now.',
    remedy: 'Name a version from the message, or leave "version" out to use the current one.',
  },
  INVALID_INPUT: {
    status: 400,
    title: 'Input does not fit the model',
    retryable: false,
    meaning: "The input breaks the model's schema; details.issues lists every problem.",
    remedy: 'Mend each field listed in details.issues.',
  },
  INVALID_WEBHOOK_URL: {
    status: 400,
    title: 'Webhook URL refused',
    retryable: false,
    meaning: 'The webhook URL is not https, not public, or too long.',
    remedy: 'Give an https URL of at most 2,048 characters that resolves to a public address.',
  },
  JOB_CANNOT_BE_CANCELLED: {
    status: 400,
    title: 'Too late to cancel',
    retryable: false,
    meaning:
      'The job has ended, or a provider has it or may have it. One that its provider can stop, and says so, is cancelled.',
    remedy: 'Wait for the job to end; a failed job is refunded by itself.',
  },
  VALIDATION_ERROR: {
    status: 400,
    title: 'Malformed request',
    retryable: false,
    meaning: 'The request is not of the documented shape.',
    remedy: 'Mend what the message and details.issues name.',
  },
  INVALID_CONTENT_TYPE: {
    status: 400,
    title: 'File type not accepted',
    retryable: false,
    meaning: 'Files of this type cannot be uploaded.',
    remedy: 'Use one of the types listed in the message.',
  },
  COST_LIMIT_EXCEEDED: {
    status: 400,
    title: 'Dearer than allowed',
    retryable: false,
    meaning: 'The price is above maxCostMicroCents; nothing was charged.',
    remedy: 'Raise maxCostMicroCents or choose cheaper options.',
  },
  QUOTE_EXPIRED: {
    status: 400,
    title: 'Quote expired',
    retryable: false,
    meaning: 'The quote is older than 15 minutes.',
    remedy: 'Ask for a new estimate.',
  },
  QUOTE_MISMATCH: {
    status: 400,
    title: 'Quote for something else',
    retryable: false,
    meaning: 'The quote was made for another account, model or input.',
    remedy: 'Ask for an estimate of exactly this model and input.',
  },
  INSUFFICIENT_BALANCE: {
    status: 402,
    title: 'Balance too low',
    retryable: false,
    meaning: 'The balance does not cover the price; nothing was charged.',
    remedy: 'Top the balance up by at least the difference in details.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    title: 'Method not taken here',
    retryable: false,
    meaning: 'There is something at this address, but not for this method.',
    remedy: 'Use one of the methods in the header Allow.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    title: 'Type or encoding not read',
    retryable: false,
    meaning: 'The body is of a content type, charset or encoding that is not read here.',
    remedy: 'Send JSON in UTF-8 with "Content-Type: application/json", and without Content-Encoding.',
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    title: 'Too large',
    retryable: false,
    meaning: 'The body or file is larger than allowed.',
    remedy: 'Send less. Is it a file, upload it: POST /v1/uploads/presign.',
  },
  IDEMPOTENCY_CONFLICT: {
    status: 422,
    title: 'Idempotency-Key used for another request',
    retryable: false,
    meaning: 'The same Idempotency-Key came before with another body.',
    remedy: 'Use a new key for a new request.',
  },
  CONCURRENT_JOBS_EXCEEDED: {
    status: 429,
    title: 'Too many jobs at once',
    retryable: true,
    meaning: 'The account has as many unfinished jobs as it may have.',
    remedy: 'Wait for a job to end, or ask the operator for a higher limit.',
  },
  RATE_LIMIT_EXCEEDED: {
    status: 429,
    title: 'Too many requests',
    retryable: true,
    meaning:
      'The key, or this version of the model, was used more often than the operator allows, the account uploads as much as it may, or too many jobs are being watched.',
    remedy: 'Wait for Retry-After seconds, and spread the requests or end a stream.',
  },
  INTERNAL_ERROR: {
    status: 500,
    title: 'Internal error',
    retryable: true,
    meaning: 'Something unexpected went wrong on our side.',
    remedy: 'Try again; if it stays, report the requestId.',
  },
  SERVICE_UNAVAILABLE: {
    status: 503,
    title: 'Not possible right now',
    retryable: true,
    meaning: 'Database, file storage or free space can not serve this now; nothing was done.',
    remedy: 'Send the same request again after Retry-After.',
  },
  PROVIDER_UNAVAILABLE: {
    status: 503,
    title: 'No upstream takes the model now',
    retryable: true,
    meaning:
      'Every upstream of the model is suspended until the operator has mended something there, or none is set up; nothing was charged.',
    remedy: 'Try again after Retry-After, use another model, or a test key.',
  },
  PUBSUB_PUBLISH_FAILED: {
    status: 503,
    title: 'Job could not be queued',
    retryable: true,
    meaning: 'The job could not be durably queued; nothing was charged.',
    remedy: 'Send the request again after Retry-After, with the same Idempotency-Key if you use one.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ApiErrorCode = keyof typeof apiErrors

/** Why a job failed, as its `error.code` says (contract: "Job failure codes"). */
export const jobFailures = {
  GENERATION_FAILED: 'The generation failed.',
  CONTENT_POLICY_VIOLATION: 'The request was refused by the content policy of the model.',
  INPUT_MEDIA_UNREACHABLE: 'An input file could not be fetched.',
  INPUT_MEDIA_INVALID: 'An input file is not of a usable type, size or form.',
  PROVIDER_UNAVAILABLE: 'The provider of the model could not be reached.',
  PROVIDER_TIMEOUT: 'The provider did not finish in time.',
  OUTPUT_UNAVAILABLE: 'The result could not be fetched from the provider.',
} as const satisfies Record<string, string>

export type JobFailureCode = keyof typeof jobFailures

/**
 * An outcome that ends a request with a documented error. `message` is public; the `cause` is for the log
 * and never sent.
 */
export class ApiError extends Error {
  readonly code: ApiErrorCode
  readonly details: Record<string, unknown> | undefined
  /** Whose request it refuses, where that is known: for the log, no part of an answer. */
  key: { keyId: string; userId: string } | undefined

  constructor(code: ApiErrorCode, message: string, details?: Record<string, unknown>, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ApiError'
    this.code = code
    this.details = details
  }

  get status(): number {
    return apiErrors[this.code].status
  }
}

/** The disk is below its reserve. */
export function noRoom(): ApiError {
  return new ApiError(
    'SERVICE_UNAVAILABLE',
    'There is no space left on this server right now: nothing was done. Send the same request again later.',
    { retryAfter: 60 },
  )
}
