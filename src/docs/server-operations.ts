import { uploadTypes } from '../uploads/types.ts'
import type { Operation } from './operation.ts'

const text = (description: string) => ({ type: 'string', description })
const object = (properties: Record<string, object>) => ({
  type: 'object',
  required: Object.keys(properties),
  properties,
})

const signed = object({
  expires: { type: 'integer', description: 'Part of the signed link.' },
  signature: text('Part of the signed link.'),
})

const checkState = { enum: ['ok', 'degraded', 'failed'] }

/** The operations that are not registered from a declaration, since their bodies are streams or they need no schema. */
export const serverOperations: Operation[] = [
  {
    method: 'PUT',
    path: '/v1/uploads/:id',
    name: 'Put an upload',
    summary: 'Takes the bytes of an upload, at the `uploadUrl` that the presign answered.',
    description:
      'The link carries its own permission, so no key is sent. `Content-Type` must be the one that was presigned, or another name of it; size and first bytes of the file are checked. Until the link expires the file can be put again.',
    params: object({ id: text('The fileId that the presign answered.') }),
    query: signed,
    bodyType: Object.keys(uploadTypes).join(', '),
    sample: 'curl -X PUT "$UPLOAD_URL" \\\n  -H "Content-Type: image/png" \\\n  --data-binary @cat.png',
    answer: object({
      success: { const: true },
      data: object({
        id: { type: 'string' },
        bytes: { type: 'integer', description: 'How many were stored.' },
      }),
      requestId: { type: 'string' },
    }),
    example: {
      success: true,
      data: { id: '0b0e7c1e-8f43-4f4e-9f1b-2a6d3c4e5f60', bytes: 48_213 },
      requestId: 'req_mi8q2k0x0a1s5d7f9g3h5j7k',
    },
    errors: [
      'UNAUTHORIZED_ACCESS',
      'NOT_FOUND',
      'INVALID_CONTENT_TYPE',
      'PAYLOAD_TOO_LARGE',
      'RATE_LIMIT_EXCEEDED',
      'INTERNAL_ERROR',
      'SERVICE_UNAVAILABLE',
    ],
  },
  {
    method: 'GET',
    path: '/files/:path+',
    name: 'Get a file',
    summary: 'An output, poster, thumbnail or upload, by the signed link that the API answered.',
    description:
      'Links are complete as answered: use them unchanged, without a key; add `&download` to have a browser save the file. Single byte ranges work, so players can seek, with `If-Range`; so do `If-None-Match`, `If-Modified-Since`, `If-Match`, `If-Unmodified-Since` and HEAD. A link to an output is good for 7 days; getting the job again makes a new one.',
    params: object({ path: text('Part of the signed link.') }),
    query: {
      ...signed,
      properties: {
        ...signed.properties,
        download: text('Whatever its value: the file is to be saved, not shown.'),
      },
    },
    sample: 'curl "$FILE_URL" --output file',
    answer: { type: 'string', format: 'binary' },
    answerType: 'video/mp4, image/png or another media type',
    example: '',
    otherAnswers: {
      206: 'The range that was asked for.',
      304: 'The file is the one that the client has.',
      412: 'The file is not the one that the request was for. The body is an error.',
      416: 'The file has no such range; `content-range` says how long it is. The body is an error.',
    },
    errors: ['UNAUTHORIZED_ACCESS', 'NOT_FOUND', 'INTERNAL_ERROR', 'SERVICE_UNAVAILABLE'],
  },
  {
    method: 'GET',
    path: '/health/live',
    name: 'Check liveness',
    summary: 'Answers as long as the process does.',
    answer: object({ status: { const: 'ok' } }),
    example: { status: 'ok' },
    errors: [],
  },
  {
    method: 'GET',
    path: '/health/ready',
    name: 'Check readiness',
    summary: 'Tells whether a request with a key would be served now, and a job be made.',
    description:
      'It is `degraded`, and answers 200, while requests are served and something needs a look: no worker is alive, the disk is filling up, the clock of the process is off by more than 5 seconds. It is `unavailable`, and answers 503 with the same body, where a database pool, the queue or the storage fails or the disk is below its reserve.',
    answer: {
      type: 'object',
      required: ['status', 'checks'],
      properties: {
        status: { enum: ['ok', 'degraded', 'unavailable'] },
        checks: {
          type: 'object',
          description: 'What was looked at, by name.',
          additionalProperties: checkState,
        },
        reasons: {
          type: 'array',
          items: { type: 'string' },
          description: 'What is wrong, in words; left out where nothing is.',
        },
      },
    },
    example: {
      status: 'degraded',
      checks: {
        database: 'ok',
        lookups: 'ok',
        submits: 'ok',
        queue: 'ok',
        storage: 'ok',
        disk: 'ok',
        workers: 'degraded',
        clock: 'ok',
      },
      reasons: ['no worker is alive: jobs are taken and wait for one'],
    },
    otherAnswers: { 503: 'The same body, with the status `unavailable`.' },
    errors: [],
  },
]
