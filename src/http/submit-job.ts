import { Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { acceptJob } from '../jobs/accept.ts'
import { hasEnded } from '../jobs/timeline.ts'
import { storablePattern } from '../json-schema.ts'
import { describeJob, jobAnswer } from './get-job.ts'
import { readModelNames } from './model-names.ts'
import { applied, readPreferences } from './prefer.ts'
import { route } from './route.ts'
import { jobStatus, metadata, microCents, moment } from './schemas.ts'
import { joinWatch, waitForEnd } from './watcher.ts'

const body = Type.Object(
  {
    model: Type.Optional(
      Type.String({
        description:
          'Required, here or as modelSlug: provider/model/capability, or provider/model where it has one capability.',
      }),
    ),
    modelSlug: Type.Optional(Type.String({ description: 'Another name for model.' })),
    version: Type.Optional(
      Type.String({ description: 'A version of the model; the newest active one by default.' }),
    ),
    modelVersion: Type.Optional(Type.String({ description: 'Another name for version.' })),
    input: Type.Record(Type.String(), Type.Unknown(), {
      description: "What the model's input schema asks for.",
    }),
    webhookUrl: Type.Optional(
      Type.String({
        pattern: storablePattern,
        description:
          'A public https URL that is told when the job has completed or failed, or was cancelled by the operator.',
      }),
    ),
    metadata: Type.Optional(metadata),
    maxCostMicroCents: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Refuse the job, uncharged, if it costs more than this.' }),
    ),
    quoteId: Type.Optional(
      Type.String({ description: 'A quote from an estimate: the job costs exactly what it says.' }),
    ),
  },
  { additionalProperties: false },
)

const headers = Type.Object({
  'Idempotency-Key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'Makes it safe to send the request again: the same key is one job, for 24 hours.',
    }),
  ),
  Prefer: Type.Optional(
    Type.String({
      description:
        '`wait=60` has the answer wait until the job has ended, up to so many seconds, 60 at most.',
    }),
  ),
})

const submitted = {
  jobId: Type.String({ description: 'What get, cancel and the webhook know the job by.' }),
  requestId: Type.String({ description: 'As in the header x-request-id; the webhook repeats it.' }),
  status: { ...jobStatus, description: '`pending`; what it is by then where the answer has waited.' },
  estimatedCompletionTime: moment,
  costMicroCents: microCents,
}
const ended = Type.Partial(Type.Omit(jobAnswer, ['jobId', 'status', 'costMicroCents']))
const answer = Type.Object({ ...submitted, ...ended.properties })

export const submitJobRoute = route({
  method: 'POST',
  path: '/v1/jobs/submit',
  name: 'Submit a job',
  summary: 'Checks, prices, charges and queues a job. It is durable once this is answered.',
  description:
    'The answer comes before the job is rendered: [get the job](/docs/endpoints/get-a-job) until it has ended, or name a `webhookUrl`. With an [`Idempotency-Key`](/docs/idempotency), a request that was sent before is answered as the first time, with the header `idempotent-replayed: true`. With [`Prefer: wait=60`](/docs/jobs#wait-for-it) the answer waits for the end of the job; if that comes, it has the fields of a [job](/docs/endpoints/get-a-job) as well.',
  scope: 'submit_job',
  headers,
  body,
  exampleBody: {
    model: 'kling/kling-omni-o1/image-to-video',
    input: {
      prompt: 'The cat slowly turns its head and blinks',
      image_url: 'https://example.com/image.jpg',
      quality: 'std',
      duration: '5',
      aspect_ratio: '16:9',
    },
  },
  answer,
  example: {
    jobId: 'job_mi8q2k0x1f7d2m9c4p6t8w0z',
    requestId: 'req_mi8q2k0x0a1s5d7f9g3h5j7k',
    status: 'pending',
    estimatedCompletionTime: '2026-11-20T12:04:00.000Z',
    costMicroCents: 350_000,
  },
  errors: [
    'VALIDATION_ERROR',
    'INVALID_MODEL_SLUG',
    'MODEL_NOT_FOUND',
    'MODEL_ACCESS_DENIED',
    'MODEL_VERSION_NOT_FOUND',
    'MODEL_VERSION_NOT_ACTIVE',
    'INVALID_INPUT',
    'INVALID_WEBHOOK_URL',
    'INSUFFICIENT_BALANCE',
    'COST_LIMIT_EXCEEDED',
    'QUOTE_EXPIRED',
    'QUOTE_MISMATCH',
    'IDEMPOTENCY_CONFLICT',
    'CONCURRENT_JOBS_EXCEEDED',
    'PAYLOAD_TOO_LARGE',
    'PROVIDER_UNAVAILABLE',
    'PUBSUB_PUBLISH_FAILED',
  ],
  whenAway: 'PUBSUB_PUBLISH_FAILED',
  judgesBody: true,
  async handler({ body, refusal, caller, requestId, headers }, services, reply) {
    const idempotencyKey = readIdempotencyKey(headers['idempotency-key'])
    const read = () => {
      if (refusal !== undefined) throw refusal
      const { modelSlug, modelVersion, ...rest } = body
      return { ...rest, ...readModelNames(body) }
    }
    const accepted = await acceptJob(services, caller, { body, read }, { requestId, idempotencyKey })
    if (accepted.replayed) reply.header('idempotent-replayed', 'true')
    const submitted = {
      jobId: accepted.jobId,
      requestId: accepted.requestId,
      status: 'pending' as const,
      estimatedCompletionTime: accepted.estimatedCompletionAt.toISOString(),
      costMicroCents: Number(accepted.costMicroCents),
    }
    const preferences = readPreferences(headers.prefer)
    const { waitSeconds } = preferences
    const watcher = waitSeconds === undefined ? undefined : joinWatch(services.watch, caller.accountId, reply)
    // a preference that can't be followed is none
    if (watcher instanceof ApiError) return submitted
    const header = applied(preferences)
    if (header !== undefined) reply.header('preference-applied', header)
    if (watcher === undefined || waitSeconds === undefined) return submitted
    const job = await waitForEnd(services, caller.accountId, accepted.jobId, watcher, waitSeconds * 1000)
    if (job === undefined) return submitted
    if (!hasEnded(job.status)) return { ...submitted, status: job.status }
    return { ...submitted, ...describeJob(job, services.fileUrl) }
  },
})

function readIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return header
  const message = 'must be 1 to 255 visible ASCII characters, sent once'
  throw new ApiError('VALIDATION_ERROR', `Idempotency-Key ${message}.`, {
    issues: [{ path: 'Idempotency-Key', message }],
  })
}
