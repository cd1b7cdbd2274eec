import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { UpstreamAnswer } from '../call.ts'
import type { SubmitOutcome } from '../provider.ts'
import { byMeaning, type Failure, type Meaning, refusedFor } from '../refusal.ts'

/** What fal calls a failure: why the job failed, and what the customer is told. One that is not here is GENERATION_FAILED. */
export const failures: Record<string, Failure> = {
  content_policy_violation: {
    code: 'CONTENT_POLICY_VIOLATION',
    message: 'The upstream refused prompt, input files or result by its content policy.',
  },
  no_media_generated: { code: 'GENERATION_FAILED', message: 'The upstream made nothing of this input.' },
  image_too_small: { code: 'INPUT_MEDIA_INVALID', message: 'A picture is too small for the upstream.' },
  image_too_large: { code: 'INPUT_MEDIA_INVALID', message: 'A picture is too large for the upstream.' },
  image_load_error: { code: 'INPUT_MEDIA_INVALID', message: 'The upstream could not read a picture.' },
  file_download_error: {
    code: 'INPUT_MEDIA_UNREACHABLE',
    message: 'The upstream could not fetch an input file.',
  },
  file_too_large: { code: 'INPUT_MEDIA_INVALID', message: 'An input file is too large for the upstream.' },
  face_detection_error: {
    code: 'INPUT_MEDIA_INVALID',
    message: 'The upstream found no face that it can use in an input file.',
  },
  unsupported_image_format: {
    code: 'INPUT_MEDIA_INVALID',
    message: "A picture's format is none of the upstream's.",
  },
  unsupported_video_format: {
    code: 'INPUT_MEDIA_INVALID',
    message: "A video's format is none of the upstream's.",
  },
  unsupported_audio_format: {
    code: 'INPUT_MEDIA_INVALID',
    message: "A recording's format is none of the upstream's.",
  },
  video_duration_too_long: { code: 'INPUT_MEDIA_INVALID', message: 'A video is too long for the upstream.' },
  video_duration_too_short: {
    code: 'INPUT_MEDIA_INVALID',
    message: 'A video is too short for the upstream.',
  },
  feature_not_supported: {
    code: 'GENERATION_FAILED',
    message: 'The upstream does not do what the input asks for.',
  },
  generation_timeout: {
    code: 'PROVIDER_TIMEOUT',
    message: 'The generation took longer than the upstream allows.',
  },
  request_timeout: { code: 'PROVIDER_TIMEOUT', message: 'The job waited longer than the upstream allows.' },
  startup_timeout: { code: 'PROVIDER_TIMEOUT', message: 'The upstream could not start the model in time.' },
  downstream_service_error: {
    code: 'GENERATION_FAILED',
    message: 'The maker of the model answered the upstream with an error.',
  },
  downstream_service_unavailable: {
    code: 'PROVIDER_UNAVAILABLE',
    message: 'The maker of the model did not answer the upstream.',
  },
  runner_scheduling_failure: {
    code: 'PROVIDER_UNAVAILABLE',
    message: 'The upstream had no room for the job.',
  },
  runner_connection_timeout: {
    code: 'PROVIDER_UNAVAILABLE',
    message: 'The upstream lost the job on its way.',
  },
  runner_disconnected: { code: 'PROVIDER_UNAVAILABLE', message: 'The upstream lost the job on its way.' },
  runner_connection_refused: {
    code: 'PROVIDER_UNAVAILABLE',
    message: 'The upstream lost the job on its way.',
  },
  runner_connection_error: { code: 'PROVIDER_UNAVAILABLE', message: 'The upstream lost the job on its way.' },
  runner_incomplete_response: {
    code: 'GENERATION_FAILED',
    message: 'The upstream lost the result on its way.',
  },
  runner_server_error: { code: 'GENERATION_FAILED', message: 'The model broke down at the upstream.' },
  client_disconnected: { code: 'GENERATION_FAILED', message: 'The job was stopped at the upstream.' },
  client_cancelled: { code: 'GENERATION_FAILED', message: 'The job was stopped at the upstream.' },
  bad_request: { code: 'GENERATION_FAILED', message: 'The upstream could not use the input.' },
  internal_server_error: { code: 'GENERATION_FAILED', message: 'The upstream broke down over the job.' },
  internal_error: { code: 'GENERATION_FAILED', message: 'The upstream broke down over the job.' },
}
const unnamed: Failure = { code: 'GENERATION_FAILED', message: 'The upstream could not use the input.' }

/** What a status says of a submit by itself; 2xx without an id, and all 5xx: unknown. */
export const submitStatuses: Record<number, Meaning> = {
  401: 'suspended: upstream (key)',
  402: 'suspended: upstream (credit)',
  403: 'suspended: upstream (permission)',
  404: 'suspended: model (switched off)',
  // of what stands between us: a proxy that wants to be told who we are, or that may not let us through
  407: 'suspended: upstream (permission)',
  // may come from something between fal and us, or after the request was read
  408: 'unknown',
  410: 'suspended: model (switched off)',
  429: 'busy',
  451: 'suspended: upstream (permission)',
  499: 'unknown',
}

// A complaint about the model's input is a list, all other trouble a text.
const complaint = Type.Object({
  detail: Type.Union([
    Type.String(),
    Type.Array(Type.Object({ type: Type.String(), msg: Type.Optional(Type.String()) }), { minItems: 1 }),
  ]),
  error_type: Type.Optional(Type.String()),
})
type Complaint = Static<typeof complaint>

/** What an error is called: by its type, never by its words. Undefined where the answer tells of no error in fal's form. */
export function errorTypes({
  headers,
  json,
}: Pick<UpstreamAnswer, 'headers' | 'json'>): string[] | undefined {
  const header = headers['x-fal-error-type']
  const named = typeof header === 'string' ? [header] : []
  if (!Value.Check(complaint, json)) return named.length === 0 ? undefined : named
  const listed = Array.isArray(json.detail) ? json.detail.map(({ type }) => type) : []
  return [...listed, ...(json.error_type === undefined ? [] : [json.error_type]), ...named]
}

/** The failure that says most to the customer: content, then input files, then what is named at all. */
export function failureOf(types: string[]): Failure {
  const known = types.flatMap((type) => (Object.hasOwn(failures, type) ? [failures[type]!] : []))
  const first = (prefix: string) => known.find(({ code }) => code.startsWith(prefix))
  return first('CONTENT_') ?? first('INPUT_MEDIA_') ?? known[0] ?? unnamed
}

/** A submit that was answered with anything but an id. `hide` takes secrets out of what fal says. */
export function refusal(answer: UpstreamAnswer, hide: (text: string) => string): SubmitOutcome {
  const { status, json, retryAfterMs } = answer
  // cut only then: the half of a key is none that could be found
  const cause = new Error(hide(`fal answered ${status}${words(json)}`).slice(0, 320))
  const meaning = submitStatuses[status] ?? (status < 400 || status >= 500 ? 'unknown' : undefined)
  if (meaning !== undefined) return byMeaning(meaning, { cause, retryAfterMs })
  return refusedFor(failureOf(errorTypes(answer) ?? []))
}

function words(json: unknown): string {
  if (!Value.Check(complaint, json)) return ''
  const { detail }: Complaint = json
  const text = Array.isArray(detail)
    ? detail.map(({ type, msg = '' }) => `${type} ${msg}`).join('; ')
    : detail
  return `: ${text}`
}
