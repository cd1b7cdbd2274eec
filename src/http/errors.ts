import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { CommitUnknown, isUnavailable, isUnstorableText } from '../db.ts'
import { ApiError } from '../errors.ts'
import type { Issue } from '../json-schema.ts'
import { isStorageAway } from '../storage/storage.ts'
import { uploadIt } from '../url-fault.ts'
import { notJson } from './body.ts'

/** Answers any thrown thing in the documented form; what is not meant for clients is only logged. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // the request log tells of it
  if (isHangUp(error, request)) return reply.status(400).send()
  const apiError = toApiError(error, request)
  request.server.bodies.leave(request, reply, apiError.status === 408)
  const { code, details } = apiError
  const message = brief(apiError.message)
  request.refusal = { code, message, key: apiError.key }
  // the operator was told by the log when the upstream was suspended, and not for each submit
  if (apiError.status >= 500 && apiError.code !== 'PROVIDER_UNAVAILABLE')
    request.log.error({ err: apiError.cause ?? error }, apiError.code)
  if (apiError.status === 429 || apiError.status === 503) {
    reply.header('retry-after', String(apiError.details?.retryAfter ?? 5))
  }
  return reply.status(apiError.status).send({
    success: false,
    error: { code, message, ...(details && { details: briefly(details) }) },
    requestId: request.id,
  })
}

/** The longest word of a client that is repeated to it; no name or id is as long. */
const longestWord = 200
const longestMessage = 2_000

/** A message that repeats what the client has sent, as far as one wants to read it. */
function brief(text: string): string {
  const words = text.replace(/\S{201,}/g, (word) => `${word.slice(0, longestWord / 2)}…`)
  return words.length > longestMessage ? `${words.slice(0, longestMessage)}…` : words
}

function briefly(details: Record<string, unknown>): Record<string, unknown> {
  if (!Array.isArray(details.issues)) return details
  const issues = (details.issues as Issue[]).map(({ path, message }) => ({
    path: brief(path),
    message: brief(message),
  }))
  return { ...details, issues }
}

// What Fastify itself refuses, by its error codes.
const refusals: Record<string, ConstructorParameters<typeof ApiError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    'PAYLOAD_TOO_LARGE',
    `The body is too large: at most 1 MB of JSON, or the maxSize of an upload. Is it a file, ${uploadIt}.`,
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'VALIDATION_ERROR',
    'The body is not as long as its Content-Length says.',
  ],
}

function toApiError(error: unknown, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error
  const { code, statusCode, message } = error as FastifyError
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return notJson(request)
  const refusal = refusals[code]
  if (refusal !== undefined) {
    const [name, text] = refusal
    return new ApiError(name, text, { issues: [{ path: 'body', message: text }] })
  }
  if (isUnstorableText(error)) {
    return new ApiError('VALIDATION_ERROR', 'The request contains U+0000 or text that is not valid Unicode.')
  }
  const away = whatIsAway(error)
  if (away !== undefined) {
    const name = request.routeOptions.config.whenAway ?? 'SERVICE_UNAVAILABLE'
    return new ApiError(name, away, { retryAfter: 5 }, error)
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('VALIDATION_ERROR', message)
  }
  return new ApiError(
    'INTERNAL_ERROR',
    `Something went wrong on our side. Report the requestId ${request.id}.`,
    undefined,
    error,
  )
}

/** In words for the client; undefined where the error is of another kind. */
function whatIsAway(error: unknown): string | undefined {
  if (error instanceof CommitUnknown) {
    return 'The answer of the database was lost: look whether this was done before you send it again.'
  }
  if (isUnavailable(error)) {
    return 'The database can not serve this right now. Send the same request again shortly.'
  }
  if (!isStorageAway(error)) return undefined
  return error.code === 'NO_SPACE'
    ? 'There is no space left for files right now. Nothing was stored: send the same request again later.'
    : 'The file storage can not serve this right now. Send the same request again shortly.'
}

/** True for the error of the client's own connection: nobody is there to be answered, and nothing of ours failed. */
function isHangUp(error: unknown, { raw }: FastifyRequest): boolean {
  if (!(error instanceof Error) || !raw.destroyed || raw.complete) return false
  const isPremature = (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE'
  return isPremature || error === raw.errored || error.cause === raw.errored
}
