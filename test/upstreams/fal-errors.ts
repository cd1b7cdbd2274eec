import type { ErrorObject } from 'ajv/dist/2020.js'
import type { MediaFault, MediaKind } from './media.ts'
import type { Answer } from './protocol-server.ts'

// What a model says of its input or of itself: a list of problems, and whether the same request may do better again.
const modelErrors = {
  content_policy_violation: { status: 422, retryable: false },
  no_media_generated: { status: 422, retryable: true },
  image_too_small: { status: 422, retryable: false },
  image_too_large: { status: 422, retryable: false },
  image_load_error: { status: 422, retryable: false },
  file_download_error: { status: 422, retryable: false },
  file_too_large: { status: 422, retryable: false },
  face_detection_error: { status: 422, retryable: false },
  unsupported_image_format: { status: 422, retryable: false },
  unsupported_video_format: { status: 422, retryable: false },
  unsupported_audio_format: { status: 422, retryable: false },
  video_duration_too_short: { status: 422, retryable: false },
  video_duration_too_long: { status: 422, retryable: false },
  feature_not_supported: { status: 422, retryable: false },
  value_error: { status: 422, retryable: false },
  generation_timeout: { status: 504, retryable: true },
  downstream_service_error: { status: 500, retryable: true },
  downstream_service_unavailable: { status: 500, retryable: true },
  internal_server_error: { status: 500, retryable: true },
}

// What goes wrong around a model: one text.
const requestErrors = {
  request_timeout: 504,
  startup_timeout: 504,
  runner_scheduling_failure: 503,
  runner_connection_timeout: 503,
  runner_disconnected: 503,
  runner_connection_refused: 503,
  runner_connection_error: 503,
  runner_incomplete_response: 502,
  runner_server_error: 500,
  client_disconnected: 499,
  client_cancelled: 499,
  bad_request: 400,
  internal_error: 500,
}

export type FalErrorType = keyof typeof modelErrors | keyof typeof requestErrors

/** How a request ended badly, or why it was not taken. */
export interface FalFailure {
  type: FalErrorType
  text?: string
  /** Where in the body; of the model's errors. */
  loc?: (string | number)[]
  status?: number
  retryable?: boolean
}

/** A failure as the result tells it. */
export function failureAnswer(failure: FalFailure): Answer {
  const { type, loc = ['body'] } = failure
  const text = textOf(failure)
  if (isRequestError(type)) {
    const status = failure.status ?? requestErrors[type]
    return { status, body: { detail: text, error_type: type }, headers: { 'x-fal-error-type': type } }
  }
  const known = modelErrors[type]
  const detail = [{ loc, msg: text, type, url: `https://docs.fal.ai/errors#${type}`, input: null }]
  const headers = { 'x-fal-retryable': String(failure.retryable ?? known.retryable) }
  return { status: failure.status ?? known.status, body: { detail }, headers }
}

/** The failure's own words, or some. */
export function textOf({ type, text }: FalFailure): string {
  return text ?? type.replaceAll('_', ' ')
}

function isRequestError(type: FalErrorType): type is keyof typeof requestErrors {
  return Object.hasOwn(requestErrors, type)
}

/** What the runner says of a file that it could not use. */
export function mediaFailure(fault: MediaFault, kind: MediaKind, field: string): FalFailure {
  const types: Record<MediaFault, FalErrorType> = {
    unreachable: 'file_download_error',
    'not of its kind': kind === 'image' ? 'image_load_error' : `unsupported_${kind}_format`,
    'too many bytes': 'file_too_large',
    'too small': 'image_too_small',
    ratio: 'value_error',
    'too short': 'video_duration_too_short',
    'too long': 'video_duration_too_long',
  }
  return { type: types[fault], loc: ['body', ...steps(field)], text: `The file is ${fault}.` }
}

/** A refused account, application or rate: the status says which. */
export const refusals: Record<number, string> = {
  401: 'Authentication is required to access this application',
  403: 'User is locked. Reason: Exhausted balance. Top up your balance.',
  404: 'Application not found',
  410: 'This model is no longer available',
  429: 'Too many requests',
}

/** Every problem of a body, in the form of pydantic. */
export function invalidBody(errors: ErrorObject[]): Answer {
  const detail = errors.filter(isOwn).map(toProblem)
  return { status: 422, body: { detail }, headers: { 'x-fal-retryable': 'false' } }
}

// the parts of a choice repeat what the choice says
function isOwn({ schemaPath, keyword }: ErrorObject): boolean {
  return !/\/(oneOf|anyOf)\/\d/.test(schemaPath) && keyword !== 'if'
}

const types: Record<string, string> = {
  additionalProperties: 'extra_forbidden',
  required: 'missing',
  enum: 'literal_error',
  minimum: 'greater_than_equal',
  maximum: 'less_than_equal',
  minLength: 'string_too_short',
  maxLength: 'string_too_long',
  minItems: 'too_short',
  maxItems: 'too_long',
}
const typeTypes: Record<string, string> = {
  string: 'string_type',
  boolean: 'bool_type',
  number: 'float_type',
  array: 'list_type',
  object: 'model_attributes_type',
}

function toProblem({ instancePath, keyword, params, message, data }: ErrorObject) {
  const field: string | undefined = params.missingProperty ?? params.additionalProperty
  const loc = [
    'body',
    ...steps(instancePath.slice(1).replaceAll('/', '.')),
    ...(field === undefined ? [] : [field]),
  ]
  const type = keyword === 'type' ? typeTypes[String(params.type)] : types[keyword]
  return { loc, msg: message ?? 'Value error', type: type ?? 'value_error', input: data }
}

function steps(field: string): (string | number)[] {
  return field === '' ? [] : field.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step))
}
