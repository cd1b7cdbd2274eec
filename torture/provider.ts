import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import { callUpstream, submitFailure, type UpstreamAnswer } from '../src/providers/call.ts'
import {
  type CallContext,
  type Json,
  type PollOutcome,
  type Provider,
  UpstreamBusy,
} from '../src/providers/provider.ts'

// What is used of the upstream's answers; they may hold more.
const accepted = Type.Object({ id: Type.String() })
const refused = Type.Object({ error: Type.String(), message: Type.Optional(Type.String()) })
const confirmation = Type.Object({ cancelled: Type.Boolean() })
const listed = Type.Object({
  jobs: Type.Array(
    Type.Object({
      id: Type.String(),
      status: Type.Enum(['queued', 'processing', 'succeeded', 'failed', 'cancelled']),
      outputs: Type.Optional(
        Type.Array(Type.Object({ type: Type.Enum(['image', 'video']), url: Type.String() })),
      ),
      error: Type.Optional(Type.String()),
    }),
  ),
})
type Listed = Static<typeof listed>['jobs'][number]

export interface UpstreamSettings {
  url: string
  apiKey: string
  /** Of jobs whose model's slug is given; of others two minutes. */
  timeLimitsMs: Record<string, number>
}

/**
 * The scripted upstream. It knows a job by its own id and by ours, and refuses an id of ours that it has (409): a lost
 * submit is looked up. 429, 503 and 400 say that a job was not taken; 500 says nothing.
 */
export function createScripted({ url, apiKey, timeLimitsMs }: UpstreamSettings): Provider {
  const call = (method: 'GET' | 'POST', path: string, { signal }: CallContext, body?: Json) =>
    callUpstream({
      url: url + path,
      method,
      signal,
      headers: { authorization: `Bearer ${apiKey}` },
      ...(body !== undefined && { body }),
    })
  const list = async (query: string, context: CallContext) =>
    read(listed, await call('GET', `/jobs?${query}`, context)).jobs

  return {
    name: 'scripted',
    expectedMs: () => 1_500,
    timeLimitMs: ({ model }) => timeLimitsMs[model.slug] ?? 120_000,
    pollBatch: 20,
    settleMs: 2_000,
    async submit({ jobId, input }, context) {
      try {
        const answer = await call('POST', '/jobs', context, {
          client_id: jobId,
          prompt: input.prompt ?? '',
          callback_url: context.callbackUrl ?? null,
        })
        const { status, json, retryAfterMs } = answer
        if (status === 201 && Value.Check(accepted, json)) {
          return { outcome: 'accepted', operation: { id: json.id } }
        }
        const told = {
          cause: new Error(`answered ${status}`),
          ...(retryAfterMs !== undefined && { retryAfterMs }),
        }
        if (status === 429) return { outcome: 'busy', ...told }
        if (status === 503) return { outcome: 'unavailable', ...told }
        if (status === 400 && Value.Check(refused, json)) {
          const message = json.message ?? 'The upstream refused the job.'
          return { outcome: 'refused', code: codeOf(json.error), message }
        }
        return { outcome: 'unknown', cause: told.cause }
      } catch (error) {
        return submitFailure(error)
      }
    },
    async poll(operations, context) {
      const ids = operations.map(idOf)
      const jobs = new Map((await list(`ids=${ids.join(',')}`, context)).map((job) => [job.id, job]))
      return ids.map((id) => outcomeOf(jobs.get(id)))
    },
    async find({ jobId }, context) {
      const [job] = await list(`client_ids=${jobId}`, context)
      return job === undefined ? { outcome: 'absent' } : { outcome: 'found', operation: { id: job.id } }
    },
    async cancel(operation, context) {
      return read(confirmation, await call('POST', `/jobs/${idOf(operation)}/cancel`, context)).cancelled
    },
  }
}

/** The answer to a question, or thrown: no answer this time. */
function read<T extends TSchema>(schema: T, { status, json, retryAfterMs }: UpstreamAnswer): Static<T> {
  if (status === 429) throw new UpstreamBusy(retryAfterMs)
  if (status < 500 && Value.Check(schema, json)) return json
  throw new Error(`the upstream answered ${status} and nothing that can be used`)
}

function idOf(operation: Json): string {
  return Value.Parse(accepted, operation).id
}

function outcomeOf(job: Listed | undefined): PollOutcome {
  if (job === undefined) return { status: 'absent' }
  if (job.status === 'succeeded' && job.outputs !== undefined) {
    return { status: 'succeeded', outputs: job.outputs.map(({ type, url }) => ({ type, source: { url } })) }
  }
  if (job.status === 'failed') {
    return { status: 'failed', code: codeOf(job.error), message: 'The upstream could not make it.' }
  }
  if (job.status === 'cancelled') {
    return { status: 'failed', code: 'GENERATION_FAILED', message: 'The upstream stopped the job.' }
  }
  return { status: 'running' }
}

function codeOf(error: string | undefined) {
  return error === 'content_policy' ? 'CONTENT_POLICY_VIOLATION' : 'GENERATION_FAILED'
}
