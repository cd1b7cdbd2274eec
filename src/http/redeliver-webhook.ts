import { Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { askRedelivery } from '../webhooks/deliveries.ts'
import { route } from './route.ts'
import { jobIdParams } from './schemas.ts'

export const redeliverWebhookRoute = route({
  method: 'POST',
  path: '/v1/jobs/:jobId/webhook-deliveries',
  name: 'Redeliver a webhook',
  summary:
    'Makes one more attempt at once, with the same webhook-id and body, whether the webhook is pending, sent or failed. The schedule stays as it is. Asking again before the attempt has ended adds none.',
  scope: 'check_status',
  params: jobIdParams,
  answer: Type.Object({
    webhookId: Type.String({ description: 'The webhook-id header, the same for every attempt.' }),
    status: Type.Literal('pending', {
      description: 'The attempt is queued, or under way; the list of deliveries shows what became of it.',
    }),
  }),
  example: { webhookId: 'msg_mi8q2k0x5h3j9l2n4q6s8u0w', status: 'pending' },
  errors: ['VALIDATION_ERROR', 'JOB_NOT_FOUND', 'UNAUTHORIZED_ACCESS'],
  async handler({ params, caller }, { pool, clock, getJob }) {
    const job = await getJob(caller.accountId, params.jobId)
    const webhookId = await askRedelivery(pool, job.jobId, clock.now())
    if (webhookId === undefined) throw nothingToSend(job)
    return { webhookId, status: 'pending' as const }
  },
})

function nothingToSend(job: {
  status: string
  completedAt: Date | null
  webhookStatus: string | null
}): ApiError {
  if (job.completedAt === null) {
    const what =
      job.webhookStatus === null ? 'it was submitted without webhookUrl' : 'its webhook is sent then'
    return new ApiError('VALIDATION_ERROR', `The job is ${job.status} and has not ended: ${what}.`)
  }
  return new ApiError(
    'VALIDATION_ERROR',
    job.status === 'cancelled'
      ? 'The job was cancelled: only completed and failed jobs tell a webhook.'
      : 'The job was submitted without webhookUrl, so there is no webhook to deliver.',
  )
}
