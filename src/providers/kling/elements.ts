import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { CallFailed } from '../call.ts'
import type {
  CallContext,
  InputMedia,
  JobDescription,
  Json,
  PrepareContext,
  PrepareOutcome,
  ProviderRequest,
} from '../provider.ts'
import { isOk, type KlingApi } from './api.ts'
import type { ReadyElement } from './bodies.ts'
import { pictureFlaw, refusal, sayPicture } from './media.ts'
import { type ElementOrder, elementsOf } from './order.ts'
import { refusalOf, saysTaken } from './outcomes.ts'
import { alias, elementName } from './prompt.ts'
import { askLegacy, failureOf, isNamedOtherwise } from './tasks.ts'

const resource = '/v1/general/advanced-custom-elements'
const pollDelayMs = 3_000
/** More than any model of ours takes. */
const mostElements = 7

const digits = Type.String({ pattern: '^\\d{1,20}$' })
const elementTask = Type.Object({
  task_status: Type.String(),
  task_status_msg: Type.Optional(Type.Unknown()),
  task_info: Type.Optional(Type.Unknown()),
  task_result: Type.Optional(
    Type.Object({
      elements: Type.Optional(
        Type.Array(
          Type.Object({
            element_id: Type.Union([digits, Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })]),
            status: Type.Optional(Type.Unknown()),
          }),
        ),
      ),
    }),
  ),
})
const prepared = Type.Object({ elements: Type.Array(Type.Object({ id: digits, alias: Type.String() })) })

type Standing =
  | { state: 'absent' | 'pending' }
  | { state: 'ready'; id: string }
  | { state: 'failed'; reason: string }

/** Elements are made under ids of ours, so that each is made once however often this is asked. They cost nothing. */
export async function prepareElements(
  api: KlingApi,
  request: JobDescription | ProviderRequest,
  context: PrepareContext,
): Promise<PrepareOutcome> {
  const elements = elementsOf(request.input)
  const standings = await Promise.all(
    elements.map((_, index) => lookUp(api, externalId(request.jobId, index), context)),
  )
  const failed = standings.findIndex(({ state }) => state === 'failed')
  if (failed !== -1) return elementRefusal(failed, standings[failed])
  const absent = elements.flatMap((element, index) =>
    standings[index]?.state === 'absent' ? [{ element, index }] : [],
  )
  if (absent.length > 0 && !('media' in request)) return { outcome: 'files' }
  for (const { element, index } of absent) {
    const media = 'media' in request ? picturesOf(request.media, elements, index) : []
    const trouble = await create(api, { jobId: request.jobId, element, index, pictures: media }, context)
    if (trouble !== undefined) return trouble
  }
  const ready = standings.flatMap((standing, index) =>
    standing.state === 'ready' ? [{ id: standing.id, alias: alias('element', index) }] : [],
  )
  if (ready.length < elements.length) return { outcome: 'pending', delayMs: pollDelayMs }
  return { outcome: 'ready', prepared: { elements: ready } }
}

export function readyElements(value: Json | undefined): ReadyElement[] {
  return Value.Check(prepared, value) ? value.elements : []
}

/** Deletes what was made for a job. Elements that are not there any more are none to delete. */
export async function forgetElements(api: KlingApi, jobId: string, context: CallContext): Promise<void> {
  for (let index = 0; index < mostElements; index += 1) {
    const standing = await lookUp(api, externalId(jobId, index), context)
    if (standing.state === 'absent') return
    if (standing.state !== 'ready') continue
    const body = { element_id: standing.id }
    const answer = await api.call('POST', '/v1/general/delete-advanced-elements', context, body)
    if (!isOk(answer)) throw api.told(answer)
  }
}

function externalId(jobId: string, index: number): string {
  return `${jobId}-e${index + 1}`
}

async function lookUp(api: KlingApi, id: string, context: CallContext): Promise<Standing> {
  const data = await askLegacy(api, `${resource}/${id}`, context)
  if (data === undefined) return { state: 'absent' }
  if (!Value.Check(elementTask, data) || isNamedOtherwise(data.task_info, id)) {
    throw new Error('Kling answered nothing that can be used')
  }
  if (data.task_status === 'failed') {
    const { task_status_msg: reason } = data
    return { state: 'failed', reason: typeof reason === 'string' ? api.hide(reason) : '' }
  }
  const [made] = data.task_result?.elements ?? []
  // its id can't be used again: no job comes back once it has ended
  if (made?.status === 'deleted') return { state: 'failed', reason: '' }
  const isReady = ['succeed', 'succeeded'].includes(data.task_status) && made !== undefined
  return isReady ? { state: 'ready', id: String(made.element_id) } : { state: 'pending' }
}

function elementRefusal(index: number, standing: Standing | undefined): PrepareOutcome {
  const { code, message } = failureOf(standing?.state === 'failed' ? standing.reason : '')
  if (code === 'CONTENT_POLICY_VIOLATION') return { outcome: 'refused', code, message }
  return refusal(
    `elements[${index}].characterImages: The model could not make an element of these pictures.`,
  )!
}

interface Wanted {
  jobId: string
  element: ElementOrder
  index: number
  pictures: InputMedia[]
}

/** Undefined: it is being made. The vendor wants one picture at least beside the first; the same one is good enough for it. */
async function create(
  api: KlingApi,
  { jobId, element, index, pictures }: Wanted,
  context: PrepareContext,
): Promise<PrepareOutcome | undefined> {
  const flaw = pictures
    .map((picture, n) => pictureFlaw(`elements[${index}].characterImages[${n}]`, picture))
    .find((found) => found !== undefined)
  if (flaw !== undefined) return refusal(flaw)
  const said = []
  for (const picture of pictures) said.push(await sayPicture(picture, context))
  const [frontal = '', ...others] = said
  const name = elementName(element, index)
  try {
    const answer = await api.call('POST', resource, context, {
      element_name: name,
      element_description: name,
      reference_type: 'image_refer',
      element_image_list: {
        frontal_image: frontal,
        refer_images: (others.length === 0 ? [frontal] : others).map((image_url) => ({ image_url })),
      },
      external_task_id: externalId(jobId, index),
    })
    return isOk(answer) ? undefined : creationTrouble(api, answer)
  } catch (cause) {
    if (cause instanceof CallFailed) return { outcome: 'unavailable', cause }
    throw cause
  }
}

/** Nothing is paid for, and what was made twice over is refused by its id: all that is not clear may simply be asked again. */
function creationTrouble(api: KlingApi, answer: Parameters<KlingApi['told']>[0]): PrepareOutcome | undefined {
  const outcome = refusalOf(api, answer)
  if (outcome === 'look up') {
    const isTaken = saysTaken(answer)
    return isTaken
      ? undefined
      : { outcome: 'refused', code: 'GENERATION_FAILED', message: unwanted, elsewhere: true }
  }
  return outcome.outcome === 'unknown' ? { outcome: 'unavailable', cause: outcome.cause } : outcome
}

const unwanted = 'The model does not take an element of these pictures.'

/** The pictures of the elements come in one list. */
function picturesOf(media: ProviderRequest['media'], elements: ElementOrder[], index: number): InputMedia[] {
  const before = elements.slice(0, index).reduce((sum, { pictures }) => sum + pictures, 0)
  return (media['elements.characterImages'] ?? []).slice(before, before + (elements[index]?.pictures ?? 0))
}
