import { Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { deleteOutputs } from '../jobs/retention.ts'
import { route } from './route.ts'
import { jobIdParams, moment, orNull } from './schemas.ts'

export const deleteOutputsRoute = route({
  method: 'DELETE',
  path: '/v1/jobs/:jobId/outputs',
  name: 'Delete the files of a job',
  summary:
    'Deletes what a job that has ended made: files, posters and thumbnails. When it answers they are gone, for good; links to them answer 404. Doing it again changes nothing.',
  description:
    'The job itself stays in your list, with its price and its input. There is no refund for a deleted file.',
  scope: 'submit_job',
  params: jobIdParams,
  answer: Type.Object({
    jobId: Type.String(),
    outputsDeletedAt: orNull({
      ...moment,
      description: 'Since when the files are gone; null for a job that did not complete and has had none.',
    }),
  }),
  example: { jobId: 'job_mi8q2k0x1f7d2m9c4p6t8w0z', outputsDeletedAt: '2026-11-20T14:30:00.000Z' },
  errors: ['VALIDATION_ERROR', 'JOB_NOT_FOUND', 'UNAUTHORIZED_ACCESS'],
  async handler({ params, caller }, services) {
    const { jobId, status, completedAt } = await services.getJob(caller.accountId, params.jobId)
    if (completedAt === null)
      throw new ApiError(
        'VALIDATION_ERROR',
        `The job is ${status}: its files can be deleted once it has ended.`,
      )
    const deletedAt = await deleteOutputs(services, jobId).catch((error) => {
      const message = 'Not all files of the job could be deleted. Send the request again.'
      throw new ApiError('INTERNAL_ERROR', message, undefined, error)
    })
    return { jobId, outputsDeletedAt: deletedAt?.toISOString() ?? null }
  },
})
