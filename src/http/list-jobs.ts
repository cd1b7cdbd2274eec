import { Type } from 'typebox'
import { listJobs, progressOf } from '../jobs/read.ts'
import { storablePattern } from '../json-schema.ts'
import { slugOf } from './model-id.ts'
import { route } from './route.ts'
import { jobStatus, metadata, microCents, moment, orNull, progress } from './schemas.ts'

// Filters on metadata are written metadata[name]=value.
const metadataFilter = '^metadata\\[.{1,40}\\]$'

const query = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'Jobs per page.' }),
    cursor: Type.Optional(Type.String({ description: 'nextCursor of the page before.' })),
    status: Type.Optional(jobStatus),
    modelId: Type.Optional(
      Type.String({ pattern: storablePattern, description: 'Only jobs of this model: its id or slug.' }),
    ),
  },
  {
    additionalProperties: false,
    patternProperties: { [metadataFilter]: Type.String({ pattern: storablePattern }) },
    propertyNames: { type: 'string', pattern: storablePattern },
  },
)

const answer = Type.Object({
  jobs: Type.Array(
    Type.Object({
      jobId: Type.String(),
      status: jobStatus,
      progress,
      model: Type.String(),
      costMicroCents: microCents,
      createdAt: moment,
      completedAt: orNull(moment),
      metadata: Type.Optional(metadata),
    }),
  ),
  nextCursor: orNull(Type.String({ description: 'Send it as cursor for the next page; null on the last.' })),
  hasMore: Type.Boolean(),
})

export const listJobsRoute = route({
  method: 'GET',
  path: '/v1/jobs',
  name: 'List jobs',
  summary:
    "The account's jobs, newest first. Pages neither repeat nor miss a job while others are being added.",
  description:
    'Jobs can be narrowed to those with some `metadata`: `?metadata[project]=spring`, once for each name.',
  scope: 'check_status',
  query,
  answer,
  example: {
    jobs: [
      {
        jobId: 'job_mi8q2k0x1f7d2m9c4p6t8w0z',
        status: 'completed',
        progress: 100,
        model: 'kling/kling-omni-o1/image-to-video',
        costMicroCents: 350_000,
        createdAt: '2026-11-20T12:00:00.000Z',
        completedAt: '2026-11-20T12:03:41.000Z',
        metadata: { project: 'spring' },
      },
    ],
    nextCursor: null,
    hasMore: false,
  },
  errors: ['VALIDATION_ERROR'],
  async handler({ query, caller }, services) {
    const { jobs, nextCursor } = await listJobs(services.pool, caller.accountId, {
      limit: query.limit,
      cursor: query.cursor,
      status: query.status,
      // an id that no model has is no job's either
      modelSlug: query.modelId && (slugOf(services.catalogue, query.modelId) ?? query.modelId),
      metadata: readMetadata(query),
    })
    return {
      jobs: jobs.map((job) => ({
        jobId: job.jobId,
        status: job.status,
        progress: progressOf[job.status],
        model: job.modelSlug,
        costMicroCents: job.costMicroCents,
        createdAt: job.createdAt.toISOString(),
        completedAt: job.completedAt?.toISOString() ?? null,
        ...(job.metadata && { metadata: job.metadata }),
      })),
      nextCursor,
      hasMore: nextCursor !== null,
    }
  },
})

function readMetadata(query: Record<string, unknown>): Record<string, string> | undefined {
  const entries = Object.entries(query).flatMap(([name, value]): [string, string][] => {
    const key = /^metadata\[(.+)\]$/.exec(name)?.[1]
    return key === undefined ? [] : [[key, String(value)]]
  })
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
