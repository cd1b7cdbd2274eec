import { type Clock, systemClock } from '../../clock.ts'
import { ConfigError } from '../../config.ts'
import { accountOf } from '../account.ts'
import { submitFailure } from '../call.ts'
import type {
  CallContext,
  FindOutcome,
  JobDescription,
  Provider,
  ProviderRequest,
  SubmitContext,
  SubmitOutcome,
  Upstream,
  UpstreamSettings,
} from '../provider.ts'
import { type Answer, createApi, isOk, type KlingApi } from './api.ts'
import { type BodyParts, legacyBody, newBody } from './bodies.ts'
import { readCallback } from './callback.ts'
import { check } from './check.ts'
import { forgetElements, prepareElements, readyElements } from './elements.ts'
import { standardOf, unfitOf } from './fits.ts'
import { mediaRefusal, sayMedia } from './media.ts'
import { type LegacyPath, models } from './models.ts'
import { elementsOf, type Order, toOrder } from './order.ts'
import { refusalOf, saysTaken, unwanted } from './outcomes.ts'
import { createdId, findTask, pollTasks, readOperation } from './tasks.ts'

/**
 * Kling's own platform. Facts: kling.ai/document-api (read as of September 2026).
 *
 * - Two API generations on one host. The new standard has the model in the path and says `succeeded`; the legacy one (/v1) has
 *   it in the body, says `succeed`, and alone knows negative_prompt, cfg_scale, Kling 2.1 and elements. A static key reaches
 *   both, access key and secret only the legacy one. Which of them a job takes depends on its route, its input and the
 *   credentials alone, so that it is looked for where it was sent.
 * - HTTP 429 stands for arrears as well as for haste: only `code` tells.
 * - `external_task_id` must be unique: a second submit is refused with 1201, as are wrong parameters. That is our guard
 *   against a second job, so 1201 is never believed without asking.
 * - It can't stop a job.
 * - In image-to-video the first frame decides on the shape: aspect_ratio is not sent, but a picture that does not have the
 *   shape that was asked for (other than the default) is refused.
 * - multi_shot is true by default; ours is false. A reference film wants it true, and no sound.
 * - A task that fails after acceptance has a text and no code.
 */
export const kling: Upstream = {
  name: 'kling',
  title: 'Kling',
  defaultBaseUrl: 'https://api-singapore.klingai.com',
  models: [...models.keys()],
  open,
}

function open(settings: UpstreamSettings, clock: Clock = systemClock): Provider {
  if (
    !/^(whsec_)?(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(
      settings.webhookSecret ?? 'whsec_AAAA',
    )
  ) {
    throw new ConfigError(
      'KLING_WEBHOOK_SECRET is not a secret of Standard Webhooks: give it as the console shows it, whsec_ and base64',
    )
  }
  const api = createApi(settings, clock)
  const legacyPathOf = (order: Order): LegacyPath | undefined =>
    standardOf(order, api.hasApiKey) === 'legacy' ? order.model.legacyPath : undefined

  return {
    name: 'kling',
    account: accountOf('kling', settings.apiKey ?? settings.accessKey ?? ''),
    // the vendor keeps jobs in a line of its own
    timeLimitMs: () => 60 * 60_000,
    takes: { video: ['video/mp4', 'video/quicktime'] },
    pollBatch: 20,
    settleMs: 2 * 60_000,
    fits(job) {
      const order = toOrder(job)
      return unfitOf(order, job.input, standardOf(order, api.hasApiKey))
    },
    async prepare(request, context) {
      if (elementsOf(request.input).length === 0) return { outcome: 'ready', prepared: null }
      return prepareElements(api, request, context)
    },
    async submit(request, context) {
      const order = toOrder(request)
      const path = legacyPathOf(order)
      const refused = mediaRefusal(order, request, path === undefined ? 'new' : 'legacy')
      if (refused !== undefined) return refused
      const parts = await partsOf(order, request, context)
      if ('outcome' in parts) return parts
      return send(api, parts, path, context)
    },
    poll: (operations, context) => pollTasks(api, operations.map(readOperation), context),
    async find(job, context) {
      const found = await find(api, toOrder(job), job.jobId, context)
      if (found.outcome === 'absent') return found
      return { outcome: 'found', operation: { ...readOperation(found.operation), ...madeFor(job) } }
    },
    async forget(operation, context) {
      const { elementsOf: jobId } = readOperation(operation)
      if (jobId !== undefined) await forgetElements(api, jobId, context)
    },
    async readCallback(callback, { jobId, route }) {
      return readCallback(callback, {
        jobId,
        model: models.get(route.model),
        secret: settings.webhookSecret,
        now: clock.now(),
      })
    },
    check: (context) => check(api, context),
  }
}

async function partsOf(
  order: Order,
  { jobId, media, prepared }: ProviderRequest,
  context: SubmitContext,
): Promise<BodyParts | SubmitOutcome> {
  try {
    const said = await sayMedia(order, media, context)
    if (said !== undefined) {
      return {
        order,
        media: said,
        elements: readyElements(prepared),
        jobId,
        callbackUrl: context.callbackUrl,
      }
    }
  } catch (cause) {
    // nothing was sent
    return { outcome: 'unavailable', cause }
  }
  return {
    outcome: 'refused',
    code: 'INPUT_MEDIA_UNREACHABLE',
    message: `${order.film}: The upstream must fetch the video itself, and there is no address where it could.`,
    elsewhere: true,
  }
}

async function send(
  api: KlingApi,
  parts: BodyParts,
  path: LegacyPath | undefined,
  context: SubmitContext,
): Promise<SubmitOutcome> {
  const body = path === undefined ? newBody(parts) : legacyBody(parts)
  try {
    const answer = await api.call('POST', path ?? parts.order.model.path!, context, body)
    return await answered(api, answer, { parts, path, context })
  } catch (error) {
    return submitFailure(error)
  }
}

async function answered(
  api: KlingApi,
  answer: Answer,
  { parts, path, context }: { parts: BodyParts; path: LegacyPath | undefined; context: SubmitContext },
): Promise<SubmitOutcome> {
  const { jobId, elements } = parts
  if (isOk(answer)) {
    const id = createdId(answer.data, path)
    if (id === undefined) return { outcome: 'unknown', cause: new Error('Kling accepted, but gave no id') }
    const made = elements.length > 0 && { elementsOf: jobId }
    return { outcome: 'accepted', operation: { id, ...(path !== undefined && { path }), ...made } }
  }
  const outcome = refusalOf(api, answer)
  if (outcome !== 'look up') return outcome
  // a job of this id is there: reconciliation finds out which
  if (saysTaken(answer)) return { outcome: 'unknown', cause: api.told(answer) }
  return lookUp(api, { jobId, path, elements: elements.length }, context)
}

/** Where it would be sent now; with a key that reaches both standards also where a job was sent with one that did not. */
async function find(api: KlingApi, order: Order, jobId: string, context: CallContext): Promise<FindOutcome> {
  const path = standardOf(order, api.hasApiKey) === 'legacy' ? order.model.legacyPath : undefined
  const found = await findTask(api, jobId, path, context)
  if (found.outcome === 'found' || path !== undefined) return found
  return findTask(api, jobId, order.model.legacyPath, context)
}

/** Wrong parameters and a taken id have one code. Asked once; a job that is there is the one that was sent before. */
async function lookUp(
  api: KlingApi,
  { jobId, path, elements }: { jobId: string; path: LegacyPath | undefined; elements: number },
  context: SubmitContext,
): Promise<SubmitOutcome> {
  try {
    const found = await findTask(api, jobId, path, context)
    if (found.outcome === 'absent') return unwanted
    const operation = readOperation(found.operation)
    return { outcome: 'accepted', operation: { ...operation, ...(elements > 0 && { elementsOf: jobId }) } }
  } catch (cause) {
    return { outcome: 'unknown', cause }
  }
}

function madeFor({ jobId, input }: JobDescription): { elementsOf?: string } {
  return elementsOf(input).length > 0 ? { elementsOf: jobId } : {}
}
