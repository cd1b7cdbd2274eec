import { Type } from 'typebox'
import { getUpload } from '../uploads/uploads.ts'
import { route } from './route.ts'
import { moment } from './schemas.ts'

export const getUploadRoute = route({
  method: 'GET',
  path: '/v1/uploads/:id',
  name: 'Get an upload',
  summary: 'What is known of an uploaded file.',
  scope: 'submit_job',
  params: Type.Object({
    id: Type.String({ format: 'uuid', description: 'The fileId that the presign answered.' }),
  }),
  answer: Type.Object({
    success: Type.Literal(true),
    data: Type.Object({
      id: Type.String(),
      filename: Type.String(),
      contentType: Type.String(),
      fileUrl: Type.String(),
      status: Type.Enum(['pending', 'expired'], { description: 'pending until its 60 minutes are over.' }),
      createdAt: moment,
      expiresAt: moment,
    }),
    requestId: Type.String(),
  }),
  example: {
    success: true,
    data: {
      id: '0b0e7c1e-8f43-4f4e-9f1b-2a6d3c4e5f60',
      filename: 'cat.png',
      contentType: 'image/png',
      fileUrl:
        'https://films.example.com/files/uploads/0b0e7c1e-8f43-4f4e-9f1b-2a6d3c4e5f60.png?expires=1&signature=…',
      status: 'pending',
      createdAt: '2026-11-20T12:00:00.000Z',
      expiresAt: '2026-11-20T13:00:00.000Z',
    },
    requestId: 'req_mi8q2k0x0a1s5d7f9g3h5j7k',
  },
  errors: ['VALIDATION_ERROR', 'NOT_FOUND'],
  async handler({ params, caller, requestId }, { pool, clock, signUrl }) {
    const upload = await getUpload(pool, caller.userId, params.id)
    return {
      success: true as const,
      data: {
        id: upload.id,
        filename: upload.filename,
        contentType: upload.contentType,
        fileUrl: signUrl(`/files/${upload.key}`, upload.expiresAt),
        status: upload.expiresAt > clock.now() ? ('pending' as const) : ('expired' as const),
        createdAt: upload.createdAt.toISOString(),
        expiresAt: upload.expiresAt.toISOString(),
      },
      requestId,
    }
  },
})
