import { type Static, Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { progressOf } from '../jobs/read.ts'
import { eventNames, hasEnded, type JobEvent, presentEvent } from '../jobs/timeline.ts'
import type { Watcher } from '../jobs/watch.ts'
import { EventStream, type ServerEvent } from './event-stream.ts'
import { route } from './route.ts'
import { jobIdParams, jobStatus, metadata, moment, progress } from './schemas.ts'
import { joinWatch } from './watcher.ts'

const description = 'The id of the last event that you have: only those after it come. 0 for all of them.'

const event = Type.Object({
  jobId: Type.String(),
  event: Type.Enum(eventNames, { description: 'What happened; also the name of the event.' }),
  status: jobStatus,
  progress,
  message: Type.String({ description: 'The same for people.' }),
  at: { ...moment, description: 'ISO 8601, UTC. When it happened.' },
  metadata: Type.Optional(metadata),
})

/** What is so for all events of a job. */
interface Told {
  jobId: string
  metadata: Record<string, string> | null
}

export const jobEventsRoute = route({
  method: 'GET',
  path: '/v1/jobs/:jobId/events',
  name: 'Watch a job',
  summary: 'What has happened to a job from its beginning, and what happens to it, as it happens.',
  description:
    'A client that lost the connection goes on where it was by naming the last event in `Last-Event-ID`; libraries for server-sent events do that by themselves. After the end of the job the stream ends. Who comes back then gets `204 No Content`, unless the provider has delivered late. More in the [guide](/docs/jobs#watch-a-job).',
  scope: 'check_status',
  params: jobIdParams,
  query: Type.Object(
    { lastEventId: Type.Optional(Type.String({ description: `${description} Where there is no header.` })) },
    { additionalProperties: false },
  ),
  headers: Type.Object({ 'Last-Event-ID': Type.Optional(Type.String({ description })) }),
  isStream: true,
  answer: event,
  example: {
    jobId: 'job_mi8q2k0x1f7d2m9c4p6t8w0z',
    event: 'completed',
    status: 'completed',
    progress: 100,
    message: 'The job has completed: get it for its files.',
    at: '2026-11-20T12:03:41.000Z',
  },
  errors: ['VALIDATION_ERROR', 'JOB_NOT_FOUND', 'UNAUTHORIZED_ACCESS'],
  async handler({ params, query, headers, caller }, services, reply) {
    // a client that comes back by itself names the newer one in the header, and the address is what it was
    const last = readLastEventId(headers['last-event-id']) ?? readLastEventId(query.lastEventId)
    const job = await services.getJob(caller.accountId, params.jobId)
    const after = last ?? 0n
    const read = await services.readEvents(job.jobId, after)
    const isOlder = read.length === 0 && last === undefined
    const found = isOlder ? [presentEvent(job, services.clock.now())] : read
    if (found.length === 0 && hasEnded(job.status)) return new EventStream(undefined)
    const watcher = joinWatch(services.watch, caller.accountId, reply)
    if (watcher instanceof ApiError) throw watcher
    return new EventStream(follow(job, { found, after }, watcher), watcher.signal)
  },
})

function readLastEventId(text: string | string[] | undefined): bigint | undefined {
  if (text === undefined || text === '') return undefined
  if (typeof text === 'string' && /^\d{1,18}$/.test(text)) return BigInt(text)
  const message = 'must be the id of an event that this server has sent, unchanged'
  throw new ApiError('VALIDATION_ERROR', `Last-Event-ID ${message}.`, {
    issues: [{ path: 'Last-Event-ID', message }],
  })
}

// Proxies close what has been silent for long: most of them after 60 seconds, some after 30.
const silenceMs = 15_000

/** What was found, then what comes, until the job has ended; undefined where it was silent for long. */
async function* follow(
  job: Told,
  { found, after }: { found: JobEvent[]; after: bigint },
  watcher: Watcher,
): AsyncGenerator<ServerEvent<Static<typeof event>> | undefined> {
  for (let events = found; ; events = await watcher.next(job.jobId, after, silenceMs)) {
    if (watcher.signal.aborted) return
    if (events.length === 0) yield undefined
    for (const event of events) yield toServerEvent(job, event)
    const last = events.at(-1)
    if (last !== undefined && hasEnded(last.status)) return
    after = last?.id ?? after
  }
}

function toServerEvent({ jobId, metadata }: Told, { id, event, status, message, at }: JobEvent) {
  const data = { jobId, event, status, progress: progressOf[status], message, at: at.toISOString() }
  return { id: String(id), event, data: { ...data, ...(metadata && { metadata }) } }
}
