import { Type } from 'typebox'
import { type JobDetails, progressOf } from '../jobs/read.ts'
import { type FileUrl, toPublicOutput } from '../jobs/settle.ts'
import { route } from './route.ts'
import { jobIdParams, jobStatus, metadata, microCents, moment, orNull, progress } from './schemas.ts'

/** A job as get shows it. */
export const jobAnswer = Type.Object({
  jobId: Type.String(),
  status: jobStatus,
  progress,
  output: orNull(
    Type.String({
      description:
        'The first output; its link is good for 7 days, each get gives a new one. Null once the files are deleted.',
    }),
  ),
  outputs: orNull(
    Type.Array(
      Type.Object({
        url: Type.String(),
        type: Type.Enum(['video', 'image', 'audio', 'text']),
        thumbnail: orNull(Type.String()),
        posterImage: orNull(Type.String()),
      }),
    ),
  ),
  outputsDeletedAt: orNull(
    Type.String({
      description:
        'ISO 8601, UTC. Since when the files of a completed job are gone; null while they are there.',
    }),
  ),
  error: orNull(
    Type.Object({
      code: Type.String({ description: 'Why the job failed.' }),
      message: Type.String({ description: 'The same for people; it says that the charge was given back.' }),
    }),
  ),
  cancelReason: orNull(
    Type.Enum(['operator', 'start_timeout'], {
      description: 'Why the job was cancelled, where that was not asked for by its customer.',
    }),
  ),
  createdAt: moment,
  completedAt: orNull(moment),
  model: Type.String(),
  costMicroCents: microCents,
  refundedMicroCents: microCents,
  webhookStatus: orNull(Type.Enum(['pending', 'sent', 'failed'])),
  metadata: Type.Optional(metadata),
})

export const getJobRoute = route({
  method: 'GET',
  path: '/v1/jobs/:jobId',
  name: 'Get a job',
  summary: 'How a job stands, and its files once it has completed.',
  scope: 'check_status',
  params: jobIdParams,
  answer: jobAnswer,
  example: {
    jobId: 'job_mi8q2k0x1f7d2m9c4p6t8w0z',
    status: 'completed',
    progress: 100,
    output: 'https://films.example.com/files/outputs/film.mp4?expires=1&signature=…',
    outputs: [
      {
        url: 'https://films.example.com/files/outputs/film.mp4?expires=1&signature=…',
        type: 'video',
        thumbnail: 'https://films.example.com/files/outputs/thumbnail.jpg?expires=1&signature=…',
        posterImage: 'https://films.example.com/files/outputs/poster.jpg?expires=1&signature=…',
      },
    ],
    outputsDeletedAt: null,
    error: null,
    cancelReason: null,
    createdAt: '2026-11-20T12:00:00.000Z',
    completedAt: '2026-11-20T12:03:41.000Z',
    model: 'kling/kling-omni-o1/image-to-video',
    costMicroCents: 350_000,
    refundedMicroCents: 0,
    webhookStatus: null,
  },
  errors: ['JOB_NOT_FOUND', 'UNAUTHORIZED_ACCESS'],
  async handler({ params, caller }, services) {
    return describeJob(await services.getJob(caller.accountId, params.jobId), services.fileUrl)
  },
})

/** A job as get shows it, with new links to its files. */
export function describeJob(job: JobDetails, fileUrl: FileUrl) {
  const outputs = job.outputs.map((output) => ({ ...toPublicOutput(output, fileUrl), type: output.type }))
  return {
    jobId: job.jobId,
    status: job.status,
    progress: progressOf[job.status],
    output: outputs[0]?.url ?? null,
    outputs: outputs.length === 0 ? null : outputs,
    outputsDeletedAt: job.outputsDeletedAt?.toISOString() ?? null,
    error: job.error,
    cancelReason: job.cancelReason,
    createdAt: job.createdAt.toISOString(),
    completedAt: job.completedAt?.toISOString() ?? null,
    model: job.modelSlug,
    costMicroCents: job.costMicroCents,
    refundedMicroCents: job.refundedMicroCents,
    webhookStatus: job.webhookStatus,
    ...(job.metadata && { metadata: job.metadata }),
  }
}
