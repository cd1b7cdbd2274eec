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

const checkState = { enum: ['ok', 'failed'] }

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
      'Links are complete as answered: use them unchanged, without a key. Single byte ranges work, so players can seek. A link to an output is good for 7 days; getting the job again makes a new one.',
    params: object({ path: text('Part of the signed link.') }),
    query: signed,
    sample: 'curl "$FILE_URL" --output file',
    answer: { type: 'string', format: 'binary' },
    answerType: 'video/mp4, image/png or another media type',
    example: '',
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
    summary: 'Asks database, queue and storage; answers 503 with the same body where one of them fails.',
    answer: object({
      status: { enum: ['ok', 'unavailable'] },
      checks: object({ database: checkState, queue: checkState, storage: checkState }),
    }),
    example: { status: 'ok', checks: { database: 'ok', queue: 'ok', storage: 'ok' } },
    errors: [],
  },
]
