import { Type } from 'typebox'
import { cancelJob } from '../jobs/cancel.ts'
import { route } from './route.ts'
import { jobIdParams, microCents } from './schemas.ts'

export const cancelJobRoute = route({
  method: 'POST',
  path: '/v1/jobs/:jobId/cancel',
  name: 'Cancel a job',
  summary:
    'Cancels a job that no provider has yet, or that its provider can stop, and gives its whole charge back.',
  scope: 'submit_job',
  params: jobIdParams,
  answer: Type.Object({
    jobId: Type.String(),
    status: Type.Literal('cancelled'),
    refundedMicroCents: microCents,
  }),
  example: { jobId: 'job_mi8q2k0x1f7d2m9c4p6t8w0z', status: 'cancelled', refundedMicroCents: 350_000 },
  errors: ['JOB_NOT_FOUND', 'UNAUTHORIZED_ACCESS', 'JOB_CANNOT_BE_CANCELLED'],
  async handler({ params, caller }, services) {
    const { refundedMicroCents } = await cancelJob(
      services,
      caller.accountId,
      params.jobId,
      services.clock.now(),
      caller.keyId,
    )
    return { jobId: params.jobId, status: 'cancelled' as const, refundedMicroCents }
  },
})
