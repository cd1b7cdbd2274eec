import { Type } from 'typebox'
import { listDeliveries } from '../webhooks/deliveries.ts'
import { route } from './route.ts'
import { attemptFields, jobIdParams, moment, orNull } from './schemas.ts'

const answer = Type.Object({
  deliveries: Type.Array(
    Type.Object({
      attempt: Type.Integer({ description: '1, 2, 3 … in the order in which the attempts ended.' }),
      webhookId: Type.String({ description: 'The webhook-id header, the same for every attempt.' }),
      startedAt: moment,
      ...attemptFields,
      isRedelivery: Type.Boolean({ description: 'Asked for by hand, beside the schedule.' }),
    }),
    { description: 'The newest first, at most 100.' },
  ),
  webhookStatus: orNull(
    Type.Enum(['pending', 'sent', 'failed'], {
      description:
        'sent once an attempt was answered with 2xx, and for good; failed when the last of the schedule was not; null for a job without a webhook.',
    }),
  ),
  nextAttemptAt: orNull(
    Type.String({
      description: 'When the next attempt is made, ISO 8601, UTC; it is past while one is under way.',
    }),
  ),
})

export const listWebhookDeliveriesRoute = route({
  method: 'GET',
  path: '/v1/jobs/:jobId/webhook-deliveries',
  name: 'List webhook deliveries',
  summary: "Every attempt to tell a job's webhook, with what the receiver answered.",
  scope: 'check_status',
  params: jobIdParams,
  answer,
  example: {
    deliveries: [
      {
        attempt: 1,
        webhookId: 'msg_mi8q2k0x5h3j9l2n4q6s8u0w',
        startedAt: '2026-11-20T12:01:30.000Z',
        delivered: false,
        httpStatus: 503,
        latencyMs: 84,
        error: 'The receiver answered 503.',
        response: 'Service Unavailable',
        isRedelivery: false,
      },
    ],
    webhookStatus: 'pending',
    nextAttemptAt: '2026-11-20T12:01:31.084Z',
  },
  errors: ['JOB_NOT_FOUND', 'UNAUTHORIZED_ACCESS'],
  async handler({ params, caller }, { pool, getJob }) {
    const { webhookStatus } = await getJob(caller.accountId, params.jobId)
    const { deliveries, nextAttemptAt } = await listDeliveries(pool, params.jobId)
    return {
      deliveries: deliveries.map((delivery) => ({
        ...delivery,
        startedAt: delivery.startedAt.toISOString(),
      })),
      webhookStatus,
      nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
    }
  },
})
