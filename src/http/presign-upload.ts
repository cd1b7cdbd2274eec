import { Type } from 'typebox'
import { noRoom } from '../errors.ts'
import { storablePattern } from '../json-schema.ts'
import { uploadTypes } from '../uploads/types.ts'
import { createUpload } from '../uploads/uploads.ts'
import { route } from './route.ts'
import { moment } from './schemas.ts'

export const presignUploadRoute = route({
  method: 'POST',
  path: '/v1/uploads/presign',
  name: 'Presign an upload',
  summary: 'Makes a URL to PUT one file to, and the URL to name it by in a job.',
  scope: 'submit_job',
  body: Type.Object(
    {
      filename: Type.String({ minLength: 1, maxLength: 255, pattern: storablePattern }),
      contentType: Type.String({
        description: `One of ${Object.keys(uploadTypes).join(', ')}. Case and parameters don't count, and usual other names are taken: image/jpg, audio/mp3, audio/x-wav.`,
      }),
    },
    { additionalProperties: false },
  ),
  exampleBody: { filename: 'cat.png', contentType: 'image/png' },
  answer: Type.Object({
    success: Type.Literal(true),
    data: Type.Object({
      uploadUrl: Type.String({
        description: 'PUT the bytes here within 15 minutes, with a Content-Type of the same meaning.',
      }),
      fileUrl: Type.String({ description: 'Use this in a job; good for 60 minutes.' }),
      fileId: Type.String(),
      expiresAt: moment,
      maxSize: Type.Integer({ description: 'In bytes.' }),
    }),
    requestId: Type.String(),
  }),
  example: {
    success: true,
    data: {
      uploadUrl:
        'https://films.example.com/v1/uploads/0b0e7c1e-8f43-4f4e-9f1b-2a6d3c4e5f60?expires=1&signature=…',
      fileUrl:
        'https://films.example.com/files/uploads/0b0e7c1e-8f43-4f4e-9f1b-2a6d3c4e5f60.png?expires=1&signature=…',
      fileId: '0b0e7c1e-8f43-4f4e-9f1b-2a6d3c4e5f60',
      expiresAt: '2026-11-20T13:00:00.000Z',
      maxSize: 10_485_760,
    },
    requestId: 'req_mi8q2k0x0a1s5d7f9g3h5j7k',
  },
  errors: ['VALIDATION_ERROR', 'INVALID_CONTENT_TYPE'],
  async handler({ body, caller, requestId }, { pool, clock, signUrl, hasRoom }) {
    if (hasRoom?.('live') === false) throw noRoom()
    const upload = await createUpload(pool, { ...body, userId: caller.userId }, clock.now())
    return {
      success: true as const,
      data: {
        uploadUrl: signUrl(`/v1/uploads/${upload.id}`, upload.putExpiresAt, 'PUT'),
        fileUrl: signUrl(`/files/${upload.key}`, upload.expiresAt),
        fileId: upload.id,
        expiresAt: upload.expiresAt.toISOString(),
        maxSize: uploadTypes[upload.contentType]!.maxBytes,
      },
      requestId,
    }
  },
})
