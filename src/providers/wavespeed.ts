import { createHmac, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import { FormData } from 'undici'
import { type Clock, systemClock } from '../clock.ts'
import { ConfigError } from '../config.ts'
import { accountOf } from './account.ts'
import { callUpstream, parseJson, submitFailure, type UpstreamAnswer, type UpstreamCall } from './call.ts'
import { hiding } from './hide.ts'
import { pollEach } from './poll-each.ts'
import {
  type CallContext,
  type InputMedia,
  type Json,
  type PollOutcome,
  type PrepareContext,
  type Provider,
  type ProviderRequest,
  type Refused,
  type Route,
  type SubmitOutcome,
  type Unfit,
  type Upstream,
  UpstreamBusy,
  type UpstreamCallback,
  type UpstreamSettings,
} from './provider.ts'
import { byMeaning, type Failure, type Meaning, refusedFor } from './refusal.ts'
import { shapeRefusal } from './shape.ts'
import { type Shot, shotSeconds } from './shots.ts'

// WaveSpeedAI, in front of other makers' models. Its oddities:
// - An answer has a `code` of its own beside the HTTP status, and either may tell of trouble.
// - It has no list of tasks and knows none by an id of ours: a lost submit shows again only in its callback. Its client
//   for Node repeats submits after a broken connection; we never do.
// - Statuses are being added; what we do not know is still running.
// - A task that its own eyes found unfit comes as completed, with has_nsfw_contents true: that is no output.
// - Callbacks look like Standard Webhooks and are not: `v3,<hex>`, keyed with the secret's text, not what it stands for.
// - DELETE of a waiting task ends it. Of a running one it gives back a part of the money at most, and of a finished one it
//   takes away the result: so only waiting tasks are stopped.
// - No data URIs: files go by URL alone, pictures also by an upload to WaveSpeed where this server can't be reached. Without aspect_ratio (models with a picture) the picture's shape decides.
// Sources: wavespeed.ai/docs (submit, result, delete, webhooks, errors), model pages, wavespeed-javascript 0.2.0.

const edit = 'prompt! video images:4 keep_original_sound'
const motion = 'prompt negative_prompt image video character_orientation keep_original_sound'
const early = 'prompt! negative_prompt guidance_scale duration'
const v3 = 'negative_prompt duration cfg_scale sound'
const o3 = 'duration sound multi_prompt'

/** What each model takes. `!`: it must be given; `:n`: so many at most. */
const models: Record<string, string> = {
  'kwaivgi/kling-v2.1-t2v-master': `${early} aspect_ratio`,
  'kwaivgi/kling-v2.1-i2v-master': `${early} image`,
  'kwaivgi/kling-v2.1-i2v-pro': `${early} image`,
  'kwaivgi/kling-v2.1-i2v-pro/start-end-frame': `${early} image end_image`,
  'kwaivgi/kling-v2.5-turbo-pro/text-to-video': `${early} aspect_ratio`,
  'kwaivgi/kling-v2.5-turbo-pro/image-to-video': `${early} image last_image`,
  'kwaivgi/kling-v2.5-turbo-std/image-to-video': `${early} image`,
  'kwaivgi/kling-v2.6-pro/text-to-video': `prompt! ${v3} aspect_ratio`,
  'kwaivgi/kling-v2.6-pro/image-to-video': `prompt! ${v3} image end_image`,
  'kwaivgi/kling-v2.6-std/text-to-video': 'prompt! negative_prompt duration aspect_ratio',
  'kwaivgi/kling-v2.6-std/image-to-video': 'prompt! negative_prompt duration image',
  'kwaivgi/kling-video-o1/text-to-video': 'prompt! duration aspect_ratio',
  'kwaivgi/kling-video-o1/image-to-video': 'prompt! duration image last_image',
  'kwaivgi/kling-video-o1/reference-to-video':
    'prompt! video images:7 keep_original_sound aspect_ratio duration',
  'kwaivgi/kling-video-o1/video-edit': edit,
  'kwaivgi/kling-video-o1/video-edit-fast': `${edit} aspect_ratio`,
  'kwaivgi/kling-video-o1-std/text-to-video': 'prompt! duration aspect_ratio',
  'kwaivgi/kling-video-o1-std/image-to-video': 'prompt! duration image last_image',
  'kwaivgi/kling-video-o1-std/reference-to-video': 'prompt! video images:10 keep_original_sound duration',
  'kwaivgi/kling-video-o1-std/video-edit': 'prompt! video images:10 keep_original_sound',
  ...Object.fromEntries(
    ['std', 'pro'].flatMap((tier) => [
      [`kwaivgi/kling-v2.6-${tier}/motion-control`, motion],
      [`kwaivgi/kling-v3.0-${tier}/text-to-video`, `prompt! ${v3} aspect_ratio`],
      [`kwaivgi/kling-v3.0-${tier}/image-to-video`, `prompt ${v3} image end_image`],
      [`kwaivgi/kling-v3.0-${tier}/motion-control`, motion],
      [`kwaivgi/kling-video-o3-${tier}/text-to-video`, `prompt! ${o3} aspect_ratio`],
      [`kwaivgi/kling-video-o3-${tier}/image-to-video`, `prompt ${o3} image end_image`],
      [
        `kwaivgi/kling-video-o3-${tier}/reference-to-video`,
        'prompt! video images:7 sound keep_original_sound aspect_ratio duration',
      ],
      [`kwaivgi/kling-video-o3-${tier}/video-edit`, edit],
    ]),
  ),
}

/** What WaveSpeed calls our fields, where that is something else. */
const counterparts: Record<string, string[]> = {
  image_url: ['image'],
  start_frame_url: ['image'],
  end_image_url: ['end_image', 'last_image'],
  end_frame_url: ['end_image', 'last_image'],
  end_image: ['end_image', 'last_image'],
  video_url: ['video'],
  motion_video_url: ['video'],
  cfg_scale: ['cfg_scale', 'guidance_scale'],
  guidance_scale: ['guidance_scale', 'cfg_scale'],
  has_sound: ['sound'],
  multishot: ['multi_prompt'],
}
/** What asks for nothing that would not be so anyway; the second value of shot_type is not certain, so the first alone is said. */
const asksNothing: Record<string, (value: Json) => boolean> = {
  cfg_scale: (value) => value === 0.5,
  guidance_scale: (value) => value === 0.5,
  has_sound: (value) => value === 'false',
  shot_type: (value) => value === 'customize',
  aspect_ratio: () => true,
  quality: () => true,
}

/** What a task's failure is called. */
export const failures: Record<number, Failure> = {
  1200: {
    code: 'CONTENT_POLICY_VIOLATION',
    message: 'The upstream refused prompt, input files or result by its content policy.',
  },
  1400: { code: 'GENERATION_FAILED', message: 'The upstream missed something in the input.' },
  1401: { code: 'GENERATION_FAILED', message: 'The upstream could not use the input.' },
  1402: { code: 'INPUT_MEDIA_UNREACHABLE', message: 'The upstream could not fetch an input file.' },
  1403: { code: 'GENERATION_FAILED', message: 'The upstream could not make the video.' },
  1405: { code: 'GENERATION_FAILED', message: 'The upstream could not make the video.' },
  5000: { code: 'GENERATION_FAILED', message: 'The upstream broke down over the job.' },
  5003: { code: 'PROVIDER_UNAVAILABLE', message: 'The upstream was out of order.' },
  5004: { code: 'PROVIDER_TIMEOUT', message: 'The generation took longer than the upstream allows.' },
}

/** What a status, or a code in its place, says of a submit; those from 500 on: unknown. */
export const submitStatuses: Record<number, Meaning> = {
  401: 'suspended: upstream (key)',
  402: 'suspended: upstream (credit)',
  403: 'suspended: upstream (permission)',
  404: 'suspended: model (switched off)',
  // of what stands between us: a proxy that wants to be told who we are, or that may not let us through
  407: 'suspended: upstream (permission)',
  // may come from something between WaveSpeed and us, after the request was read
  408: 'unknown',
  410: 'suspended: model (switched off)',
  429: 'busy',
  451: 'suspended: upstream (permission)',
  499: 'unknown',
}

const defaultBaseUrl = 'https://api.wavespeed.ai/api/v3'
const operationForm = Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,128}$' }) })
const envelope = Type.Object({
  code: Type.Integer(),
  message: Type.Optional(Type.String()),
  data: Type.Optional(Type.Unknown()),
})
const prediction = Type.Object({
  status: Type.String(),
  outputs: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Unknown())])),
  code: Type.Optional(Type.Union([Type.Null(), Type.Integer()])),
  has_nsfw_contents: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Boolean())])),
})
const uploaded = Type.Object({ download_url: Type.String({ pattern: '^https?://' }) })
const balance = Type.Object({ balance: Type.Number() })
const toleranceSeconds = 300

export const wavespeed: Upstream = {
  name: 'wavespeed',
  title: 'WaveSpeedAI',
  defaultBaseUrl,
  models: Object.keys(models),
  open: createWaveSpeed,
}

/** WaveSpeed with the operator's settings. */
export function createWaveSpeed(settings: UpstreamSettings, clock: Clock = systemClock): Provider {
  const { baseUrl, apiKey = '', webhookSecret } = settings
  if (webhookSecret === 'whsec_') {
    throw new ConfigError(
      'WAVESPEED_WEBHOOK_SECRET is empty behind whsec_: give it as GET /webhook/secret shows it',
    )
  }
  const call = (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    { signal }: CallContext,
    sent: Pick<UpstreamCall, 'body' | 'form'> = {},
  ) =>
    callUpstream({
      url: `${baseUrl}/${path}`,
      method,
      signal,
      headers: { authorization: `Bearer ${apiKey}` },
      ...sent,
    })
  const hide = hiding([apiKey])
  const pathOf = (operation: Json) => `predictions/${Value.Parse(operationForm, operation).id}`
  const ask = async (operation: Json, context: CallContext) => {
    const answer = await call('GET', `${pathOf(operation)}/result`, context)
    return answer.status === 404 ? undefined : read(prediction, answer)
  }
  // a film is too much for that: where this server can't be reached it is fetched where the customer has it
  const urlOf = async (file: InputMedia, context: PrepareContext): Promise<string> => {
    const url = (await context.publish(file)) ?? (file.kind === 'video' ? file.sourceUrl : undefined)
    if (url !== undefined) return url
    if (file.kind === 'video') throw new Error('a film of unknown origin, and no address to publish it at')
    const form = new FormData()
    const bytes = new Uint8Array(await readFile(file.path))
    form.append('file', new Blob([bytes], { type: file.contentType }), file.contentType.replace('/', '.'))
    return read(uploaded, await call('POST', 'media/upload/binary', context, { form })).download_url
  }

  return {
    name: 'wavespeed',
    account: accountOf('wavespeed', apiKey),
    fits: unfitOf,
    // tasks above the account's concurrency wait
    timeLimitMs: () => 60 * 60_000,
    pollBatch: 8,
    async submit(request, context) {
      const trouble = tooLong(request) ?? otherShape(request)
      if (trouble !== undefined) return trouble
      let body: Json
      try {
        body = bodyOf(request, await urlsOf(request.media, (file) => urlOf(file, context)))
      } catch (cause) {
        return { outcome: 'unavailable', cause }
      }
      const webhook =
        context.callbackUrl === undefined ? '' : `?webhook=${encodeURIComponent(context.callbackUrl)}`
      try {
        return submitted(await call('POST', request.route.model + webhook, context, { body }), hide)
      } catch (error) {
        return submitFailure(error)
      }
    },
    poll: (operations, context) =>
      pollEach(operations, async (operation) => {
        const found = await ask(operation, context)
        return found === undefined ? { status: 'absent' } : outcomeOf(found)
      }),
    async cancel(operation, context) {
      if ((await ask(operation, context))?.status !== 'created') return false
      return read(prediction, await call('DELETE', pathOf(operation), context)).status === 'deleted'
    },
    async readCallback(callback) {
      if (webhookSecret === undefined) return { verdict: 'unsigned' }
      const cause = forgery(callback, webhookSecret, clock.now())
      if (cause !== undefined) return { verdict: 'forged', cause }
      const body = parseJson(callback.body.toString())
      return Value.Check(operationForm, body)
        ? { verdict: 'genuine', operation: { id: body.id } }
        : { verdict: 'genuine' }
    },
    async check(context) {
      const answer = await call('GET', 'balance', context).catch((error: Error) => error)
      const { isWell, words } = standing(answer)
      const asked = 'Asked for the balance, which takes a key and costs nothing:'
      const isReached = !(answer instanceof Error)
      return { isWell, isReached, explanation: `${asked} ${hide(words)}`, proves: ['key', 'credit'] }
    },
  }
}

function takes(model: string) {
  const line = models[model]
  if (line === undefined) throw new Error(`WaveSpeed has no model "${model}"`)
  return line.split(' ').map((field) => {
    const [, name = '', mark = ''] = /^([a-z_]+)(.*)$/.exec(field) ?? []
    return { name, isNeeded: mark === '!', most: mark.startsWith(':') ? Number(mark.slice(1)) : undefined }
  })
}

/** The model's own name for a field of ours. */
function nameOf(field: string, model: string): string | undefined {
  return takes(model).find(({ name }) => (counterparts[field] ?? [field]).includes(name))?.name
}

const isGiven = (value: Json | undefined) =>
  value !== undefined &&
  !(typeof value === 'string' && value.trim() === '') &&
  !(Array.isArray(value) && value.length === 0)
const shotsOf = (input: Record<string, Json>) => (input.multishot ?? []) as unknown as Shot[]

function unfitOf({ route, input }: { route: Route; input: Record<string, Json> }): Unfit | undefined {
  const { quality } = route.settings ?? {}
  if (quality !== undefined && input.quality !== quality) {
    return { path: 'quality', message: `is not possible with this model's upstream: give "${quality}".` }
  }
  const needed = takes(route.model).find(({ name, isNeeded }) => isNeeded && !isGiven(input[name]))
  if (needed !== undefined)
    return { path: needed.name, message: "is needed by this model's upstream: give it." }
  // the length of a motion video, where it is ordered, is checked with the file
  const without = (name: string) => name === 'duration' && nameOf('video', route.model) !== undefined
  const asked = Object.keys(input).find(
    (name) =>
      isGiven(input[name]) &&
      nameOf(name, route.model) === undefined &&
      !without(name) &&
      !asksNothing[name]?.(input[name]!),
  )
  if (asked !== undefined || (input.has_sound === 'true' && input.video_url !== undefined)) {
    return {
      path: asked ?? 'has_sound',
      message: "is not possible with this model's upstream: leave it out.",
    }
  }
  return tooMany(route, input)
}

function tooMany({ model }: Route, input: Record<string, Json>): Unfit | undefined {
  const images = (input.images ?? []) as string[]
  const listed = takes(model).find(({ name }) => name === 'images')?.most ?? 0
  const most = input.video_url !== undefined && !model.includes('-std/') ? Math.min(4, listed) : listed
  if (images.length > most) {
    return { path: 'images', message: `are too many for this model's upstream: give at most ${most}.` }
  }
  if (!isGiven(input.multishot) || shotSeconds(shotsOf(input), Number(input.duration)) !== undefined)
    return undefined
  return { path: 'multishot', message: 'leaves a shot less than a second: give fewer or shorter shots.' }
}

function otherShape(request: ProviderRequest): Refused | undefined {
  return nameOf('aspect_ratio', request.route.model) === undefined ? shapeRefusal(request) : undefined
}

/** A film to take movement from: shorter where the character stays as pictured, and no longer than was ordered. */
function tooLong({ route, input, media }: ProviderRequest): Refused | undefined {
  if (!route.model.endsWith('/motion-control')) return undefined
  const isByPicture = (route.settings?.orientation ?? input.character_orientation) === 'image'
  const most = Math.min(
    isByPicture ? 10 : 30,
    input.duration === undefined ? 30 : Number(input.duration) + 0.5,
  )
  const [field, films] = Object.entries(media).find(([, files]) => files[0]?.kind === 'video') ?? []
  const film = films?.[0]
  if (film?.kind !== 'video' || film.durationSeconds <= most + 0.05) return undefined
  const message = `${field}: The video is ${film.durationSeconds.toFixed(1)} seconds long, but the upstream takes at most ${most} seconds for this job.`
  return { outcome: 'refused', code: 'INPUT_MEDIA_INVALID', message, elsewhere: true }
}

/** Where WaveSpeed can fetch the files, by our names of the fields. */
async function urlsOf(
  media: Record<string, InputMedia[]>,
  urlOf: (file: InputMedia) => Promise<string>,
): Promise<Record<string, string[]>> {
  const fields = Object.entries(media).map(
    async ([field, files]) => [field, await Promise.all(files.map(urlOf))] as const,
  )
  return Object.fromEntries(await Promise.all(fields))
}

function bodyOf({ route, input }: ProviderRequest, urls: Record<string, string[]>): Json {
  const body: Record<string, Json> = {}
  for (const [field, value] of Object.entries(input)) {
    const name = nameOf(field, route.model)
    if (name === undefined || !isGiven(value)) continue
    if (field in urls) body[name] = Array.isArray(value) ? urls[field]! : urls[field]![0]!
    else if (name === 'duration') body.duration = Number(value)
    else if (name === 'sound') body.sound = value === 'true'
    else if (name === 'multi_prompt') {
      const seconds = shotSeconds(shotsOf(input), Number(input.duration)) ?? []
      body.multi_prompt = shotsOf(input).map(({ prompt }, index) => ({ prompt, duration: seconds[index]! }))
      body.shot_type = 'customize'
    } else body[name] = value
  }
  const { sound, orientation } = route.settings ?? {}
  // no default of theirs is trusted where it has a price
  const hasSound = takes(route.model).some(({ name }) => name === 'sound') && input.video_url === undefined
  return {
    ...body,
    ...(hasSound && { sound: input.has_sound === 'true' || sound === 'on' }),
    ...(orientation !== undefined && { character_orientation: orientation }),
  }
}

function submitted(answer: UpstreamAnswer, hide: (text: string) => string): SubmitOutcome {
  const { status, json, retryAfterMs } = answer
  const { code, message = '', data } = Value.Check(envelope, json) ? json : { code: status }
  if (status < 300 && code === 200 && Value.Check(operationForm, data)) {
    return { outcome: 'accepted', operation: { id: data.id } }
  }
  // cut only then: the half of a key is none that could be found
  const cause = new Error(hide(`WaveSpeed answered ${status}, code ${code}: ${message}`).slice(0, 340))
  const said = status < 300 ? code : status
  const meaning = submitStatuses[said]
  if (meaning !== undefined) return byMeaning(meaning, { cause, retryAfterMs })
  // of a task's own codes these come before there is a task
  const isRefusal = (said >= 400 && said < 500) || [1200, 1400, 1401, 1402].includes(said)
  return isRefusal ? refusedFor(failures[code] ?? failures[1401]!) : { outcome: 'unknown', cause }
}

/** The answer to a question, or thrown: no answer this time. */
function read<T extends TSchema>(schema: T, { status, json, retryAfterMs }: UpstreamAnswer): Static<T> {
  const { code, data } = Value.Check(envelope, json) ? json : { code: status }
  if (status === 429 || code === 429) throw new UpstreamBusy(retryAfterMs)
  if (status < 300 && code === 200 && Value.Check(schema, data)) return data
  throw new Error(`WaveSpeed answered ${status}, code ${code}, and nothing that can be used`)
}

function standing(answer: UpstreamAnswer | Error): { isWell: boolean; words: string } {
  const no = (words: string) => ({ isWell: false, words })
  if (answer instanceof Error) {
    return no(
      `${answer.message}. See that this machine can reach WaveSpeed, and what WAVESPEED_BASE_URL says.`,
    )
  }
  const { status, json } = answer
  const data = Value.Check(envelope, json) && json.code === 200 ? json.data : undefined
  if (status === 200 && Value.Check(balance, data)) {
    const words = `the key was taken, and there are ${data.balance} US dollars.`
    return data.balance > 0
      ? { isWell: true, words }
      : no(`${words} Add credit in the dashboard of WaveSpeed.`)
  }
  return status === 401 || status === 403
    ? no(
        `answered ${status}: the key was not taken. Copy WAVESPEED_API_KEY anew from the dashboard of WaveSpeed.`,
      )
    : no(
        `answered ${status}: that is no answer of WaveSpeed. See what WAVESPEED_BASE_URL says, or try again later.`,
      )
}

function outcomeOf({
  status,
  outputs,
  code,
  has_nsfw_contents: flags,
}: Static<typeof prediction>): PollOutcome {
  switch (status) {
    case 'completed': {
      if (flags?.includes(true)) return { status: 'failed', ...failures[1200]! }
      const urls = (outputs ?? []).filter(
        (url) => typeof url === 'string' && /^https?:\/\//.test(url),
      ) as string[]
      return urls.length > 0
        ? { status: 'succeeded', outputs: urls.map((url) => ({ type: 'video', source: { url } })) }
        : { status: 'failed', code: 'OUTPUT_UNAVAILABLE', message: 'The result holds no video.' }
    }
    case 'failed':
      return { status: 'failed', ...(failures[code ?? 0] ?? failures[1405]!) }
    case 'timeout':
      return { status: 'failed', ...failures[5004]! }
    case 'cancelled':
    case 'deleted':
      return { status: 'failed', code: 'GENERATION_FAILED', message: 'The job was stopped at the upstream.' }
    default:
      return { status: 'running' }
  }
}

/** Why a callback is not WaveSpeed's own; undefined: it is. */
function forgery({ headers, body }: UpstreamCallback, secret: string, now: Date): string | undefined {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map(
    (name) => headers[`webhook-${name}`],
  )
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string')
    return 'it is not signed'
  // NaN is within nothing
  if (!(Math.abs(now.getTime() / 1000 - Number(timestamp)) <= toleranceSeconds)) return 'its time is not now'
  const key = secret.replace(/^whsec_/, '')
  const right = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest()
  const isRight = signatures.split(' ').some((signature) => {
    const given = Buffer.from(/^v3,([0-9a-f]{64})$/i.exec(signature)?.[1] ?? '', 'hex')
    return given.length === right.length && timingSafeEqual(given, right)
  })
  return isRight ? undefined : 'its signature is not right'
}
