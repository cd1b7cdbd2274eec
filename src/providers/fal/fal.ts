import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import { type Clock, systemClock } from '../../clock.ts'
import { accountOf } from '../account.ts'
import { callUpstream, parseJson, submitFailure, type UpstreamAnswer } from '../call.ts'
import { hiding } from '../hide.ts'
import { pollEach } from '../poll-each.ts'
import {
  type CallContext,
  type CheckOutcome,
  type Json,
  type PollOutcome,
  type Provider,
  type Upstream,
  UpstreamBusy,
  type UpstreamSettings,
} from '../provider.ts'
import { errorTypes, failureOf, refusal } from './answers.ts'
import { createVerifier } from './callback.ts'
import { endpointOf, models } from './endpoints.ts'
import { bodyOf, unfitOf } from './input.ts'
import { sendMedia, unusable } from './media.ts'

// fal.ai's queue in front of other makers' models. Its oddities:
// - A job is sent to an endpoint of three or more segments, but asked about under the first two alone ("app").
// - COMPLETED says that it is over, not that it is done: a failure shows as the HTTP status of the result.
// - It has no list of jobs and knows none by an id of ours. A lost submit shows again only in its callback, which is
//   signed with Ed25519; so `readCallback` hands out the operation, and there is no `find`.
// - Where its own machines fail it runs a job up to ten times itself and bills one. That costs us time alone, so we let it
//   (no x-fal-no-retry); fal-js, its client, also repeats submits, which we never do.
// - Sound is on, and charged for, unless it is turned off: generate_audio is always said.
// - 403 is also an empty balance. Nothing tells the two apart but words, and both need the operator.
// - Without aspect_ratio (endpoints with a first picture) the picture's shape decides.
// Sources: fal.ai/docs (queue, errors, webhooks), fal-ai/fal-js 1.10.1, each endpoint's own schema.

const defaultBaseUrl = 'https://queue.fal.run'
const id = Type.String({ pattern: '^[A-Za-z0-9_-]{1,128}$' })
const accepted = Type.Object({ request_id: id, response_url: Type.Optional(Type.String()) })
const operationForm = Type.Object({
  requestId: id,
  app: Type.String({ pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,2}$' }),
})
const progress = Type.Object({
  status: Type.String(),
  error: Type.Optional(Type.Unknown()),
  error_type: Type.Optional(Type.String()),
})
const made = Type.Object({ video: Type.Object({ url: Type.String({ pattern: '^https?://' }) }) })
const removed = Type.Object({ status: Type.Literal('OK') })
const told = Type.Object({ request_id: id })
const priced = Type.Object({ prices: Type.Array(Type.Unknown()) })

export const fal: Upstream = {
  name: 'fal',
  title: 'fal',
  defaultBaseUrl,
  models,
  open: createFal,
}

/** fal with the operator's settings. */
export function createFal({ baseUrl, apiKey = '' }: UpstreamSettings, clock: Clock = systemClock): Provider {
  const isDefault = baseUrl === defaultBaseUrl
  const platform = isDefault ? 'https://api.fal.ai/v1' : `${baseUrl}/v1`
  const verify = createVerifier(`${isDefault ? 'https://rest.fal.ai' : baseUrl}/.well-known/jwks.json`, clock)
  const hide = hiding(apiKey.split(':'))
  const call = (method: 'GET' | 'POST' | 'PUT', url: string, { signal }: CallContext, body?: Json) =>
    callUpstream({
      url,
      method,
      signal,
      headers: { authorization: `Key ${apiKey}` },
      ...(body !== undefined && { body }),
    })
  const requestUrl = (operation: Json) => {
    const { app, requestId } = Value.Parse(operationForm, operation)
    return `${baseUrl}/${app}/requests/${requestId}`
  }

  async function ask(operation: Json, context: CallContext): Promise<PollOutcome> {
    const url = requestUrl(operation)
    const answer = await call('GET', `${url}/status`, context)
    if (answer.status === 404) return { status: 'absent' }
    const standing = read(progress, answer)
    if (standing.status !== 'COMPLETED') return { status: 'running' }
    return resultOf(await call('GET', url, context), standing)
  }

  return {
    name: 'fal',
    account: accountOf('fal', apiKey),
    fits: unfitOf,
    // its queue has no end, and new accounts have two jobs run at once
    timeLimitMs: () => 60 * 60_000,
    pollBatch: 8,
    async submit(request, context) {
      const { path } = endpointOf(request.route, request.input)
      if (path === undefined) throw new Error(`fal has no such tier of ${request.route.model}`)
      const trouble = unusable(request)
      if (trouble !== undefined) return trouble
      let body: Json
      try {
        body = bodyOf(request, await sendMedia(request, context))
      } catch (cause) {
        return { outcome: 'unavailable', cause }
      }
      const url = new URL(`${baseUrl}/${path}`)
      if (context.callbackUrl !== undefined) url.searchParams.set('fal_webhook', context.callbackUrl)
      try {
        const answer = await call('POST', url.href, context, body)
        const { status, json } = answer
        return status < 300 && Value.Check(accepted, json)
          ? { outcome: 'accepted', operation: operationOf(json, path, baseUrl) }
          : refusal(answer, hide)
      } catch (error) {
        return submitFailure(error)
      }
    },
    poll: (operations, context) => pollEach(operations, (operation) => ask(operation, context)),
    /**
     * Only from the queue: a job that is being made fal merely asks the model to stop, and may charge for it. 200 says that
     * it is out of the queue; after a 202, which is a request alone, the status must say so.
     */
    async cancel(operation, context) {
      const url = requestUrl(operation)
      if (read(progress, await call('GET', `${url}/status`, context)).status !== 'IN_QUEUE') return false
      const { status, json } = await call('PUT', `${url}/cancel`, context)
      if (status === 200) return Value.Check(removed, json)
      if (status !== 202) return false
      const after = read(progress, await call('GET', `${url}/status`, context))
      return after.status === 'COMPLETED' && after.error_type === 'client_cancelled'
    },
    async readCallback(callback, { route }) {
      const cause = await verify(callback)
      if (cause !== undefined) return { verdict: 'forged', cause }
      const body = parseJson(callback.body.toString())
      if (!Value.Check(told, body)) return { verdict: 'genuine' }
      return { verdict: 'genuine', operation: { requestId: body.request_id, app: appOf(route.model) } }
    },
    async check(context) {
      const url = `${platform}/models/pricing?endpoint_id=fal-ai/kling-video/v3/pro/text-to-video`
      return explain(await call('GET', url, context).catch((error: Error) => error), hide)
    },
  }
}

/** The first two segments of an endpoint, or three where the first is only a kind. */
function appOf(path: string): string {
  const segments = path.split('/')
  return segments.slice(0, ['workflows', 'comfy'].includes(segments[0] ?? '') ? 3 : 2).join('/')
}

/** The answer's own word for where the job is counts before ours, but only on the host that has the key anyway. */
function operationOf(answer: Static<typeof accepted>, path: string, baseUrl: string): Json {
  const requestId = answer.request_id
  const url = URL.parse(answer.response_url ?? '')
  const prefix = `${new URL(baseUrl).pathname.replace(/\/$/, '')}/`
  const suffix = `/requests/${requestId}`
  if (
    url?.origin === new URL(baseUrl).origin &&
    url.pathname.startsWith(prefix) &&
    url.pathname.endsWith(suffix)
  ) {
    const operation = { requestId, app: url.pathname.slice(prefix.length, -suffix.length) }
    if (Value.Check(operationForm, operation)) return operation
  }
  return { requestId, app: appOf(path) }
}

/** The answer to a question, or thrown: no answer this time. */
function read<T extends TSchema>(schema: T, { status, json, retryAfterMs }: UpstreamAnswer): Static<T> {
  if (status === 429) throw new UpstreamBusy(retryAfterMs)
  if (status < 300 && Value.Check(schema, json)) return json
  throw new Error(`fal answered ${status} and nothing that can be used`)
}

/** Of a job that is over. */
function resultOf(answer: UpstreamAnswer, standing: Static<typeof progress>): PollOutcome {
  const { status, json, headers } = answer
  const units = headers['x-fal-billable-units']
  const isNumber = typeof units === 'string' && /^[\d.e+-]{1,30}$/i.test(units)
  const isFree = isNumber && Number(units) === 0
  const billed = isNumber
    ? { billed: { ...(isFree && { microCents: 0 }), statement: { billableUnits: units } } }
    : {}
  if (status === 202) return { status: 'running' }
  if (status < 300 && json !== undefined) {
    return Value.Check(made, json)
      ? { status: 'succeeded', outputs: [{ type: 'video', source: { url: json.video.url } }], ...billed }
      : { status: 'failed', code: 'OUTPUT_UNAVAILABLE', message: 'The result holds no video.', ...billed }
  }
  // these are about the question
  if ([401, 403, 404, 408, 429].includes(status)) return read(Type.Never(), answer)
  const types = [errorTypes(answer), standing.error_type].flatMap((type) => type ?? [])
  // the status of a job that failed says so; a mere 5xx may be trouble of the question, whose job is done and paid for
  const isTold = (standing.error ?? null) !== null || standing.error_type !== undefined
  const isItsOwn = isTold || status === 422 || (status < 500 && types.length > 0)
  if (isItsOwn) return { status: 'failed', ...failureOf(types), ...billed }
  return read(Type.Never(), answer)
}

function explain(answer: UpstreamAnswer | Error, hide: (text: string) => string): CheckOutcome {
  const asked = 'Asked for the price of a model, which takes a key and costs nothing:'
  if (answer instanceof Error) {
    return {
      isWell: false,
      isReached: false,
      explanation: `${asked} ${hide(answer.message)}. See that this machine can reach fal, and what FAL_BASE_URL says.`,
    }
  }
  const { status, json } = answer
  if (status === 200 && Value.Check(priced, json)) {
    return {
      isWell: true,
      isReached: true,
      explanation: `${asked} the key was taken. Whether there is credit only a job can tell.`,
      proves: ['key'],
    }
  }
  const remedies: Record<number, string> = {
    401: 'the key was not taken. Copy FAL_API_KEY anew, with both halves (id:secret), from the dashboard of fal.',
    403: 'the key may not do that, the balance is exhausted, or the account is locked. Look at both in the dashboard of fal.',
    429: 'there were too many calls. Try again in a minute.',
  }
  const remedy =
    remedies[status] ?? 'that is no answer of fal. See what FAL_BASE_URL says, or try again later.'
  return { isWell: false, isReached: true, explanation: `${asked} answered ${status}: ${remedy}` }
}
