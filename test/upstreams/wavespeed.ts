import { createHmac, randomBytes } from 'node:crypto'
import type { ErrorObject } from 'ajv/dist/2020.js'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { Body } from './body-schema.ts'
import { type Callback, callBack } from './callback.ts'
import { openLine, type Work } from './line.ts'
import { filmFrom, isLoopback, look, type MediaReference } from './media.ts'
import { type Answer, type Exchange, type Question, startProtocolServer } from './protocol-server.ts'
import { wavespeedModels } from './wavespeed-models.ts'

/** How a task ends that does not end well. */
export interface WavespeedFailure {
  /** 1200 content, 1400 and 1401 input, 1402 media, 1403 and 1405 failed, 5000, 5003, 5004; there may be none. */
  code?: number
  error: string
  status?: 'failed' | 'cancelled' | 'timeout'
}

/** How one submit goes. Unless said: it is done at the next question, with one film. */
export interface WavespeedBehaviour {
  /** Nothing is made. The body's code is the status, unless it is said: it can also be an error under a 200. */
  refuse?: { status: number; code?: number; message?: string; headers?: Record<string, string> }
  /** The connection is cut before anything is made, or after. */
  lose?: 'before' | 'after'
  /** It is made, and the answer is an error. */
  crash?: { status: number; code?: number }
  /** From its turn to its end; Infinity: until `finish`. */
  takesMs?: number
  /** A code with its usual text, or all of it. */
  fail?: number | WavespeedFailure
  outputs?: string[]
  /** There is an output, and it is flagged. */
  isFlagged?: boolean
  /** US dollars, in place of the published price. */
  billing?: number
  /** Work that goes on to its end when it is asked to stop. */
  ignoresDelete?: boolean
  /** How often the webhook comes: 0 never, 2 twice. */
  callbacks?: number
}

export interface WavespeedTask extends Work {
  id: string
  model: string
  path: string
  body: Body
  /** Removed: deleted once it had ended, and no longer told of. */
  readonly status: 'created' | 'processing' | 'ended' | 'deleted' | 'removed'
  isDeleted: boolean
  isRemoved: boolean
  webhookUrl?: string
  behaviour: WavespeedBehaviour
  usd: number
}

interface Task extends WavespeedTask {
  outcome: Promise<Outcome>
}

type Outcome = { outputs: string[] } | WavespeedFailure

// Of an account level: how many are at work at a time, how many videos may be begun in a minute.
const levels = {
  bronze: { concurrent: 2, perMinute: 2 },
  silver: { concurrent: 300, perMinute: 500 },
  gold: { concurrent: 3_000, perMinute: 3_000 },
  ultra: { concurrent: 10_000, perMinute: 5_000 },
}

export interface WavespeedOptions {
  film?: Uint8Array | string
  apiKey?: string
  /** With its prefix; null: webhooks come unsigned. */
  webhookSecret?: string | null
  level?: keyof typeof levels
  /** US dollars. */
  balance?: number
  /** The vendor does not say which one it is. */
  outOfCreditStatus?: 402 | 403
  behave?: (submit: { path: string; body: Body }) => WavespeedBehaviour | undefined
  clock?: Clock
}

export interface Wavespeed {
  url: string
  apiKey: string
  webhookSecret: string | null
  transcript: Exchange[]
  tasks: Map<string, WavespeedTask>
  callbacks: Callback[]
  /** What is left, in US dollars. */
  readonly balance: number
  interrupt(match: RegExp, answer: Answer | 'cut', times?: number): void
  finish(id: string): void
  stop(): Promise<void>
}

const prefix = '/api/v3/'
const failures: Record<number, string> = {
  1200: 'Content moderation failed',
  1400: 'Missing parameter',
  1401: 'Invalid parameter',
  1402: 'Media URL is not reachable',
  1403: 'Task execution failed',
  1405: 'Task failed',
  5000: 'Internal error',
  5003: 'Service unavailable',
  5004: 'Task timed out',
}

/** WaveSpeed's predictions with its webhooks, uploads, levels and balance. */
export async function startWavespeed(options: WavespeedOptions = {}): Promise<Wavespeed> {
  const { apiKey = randomBytes(32).toString('hex'), clock = systemClock, behave } = options
  const { webhookSecret = `whsec_${randomBytes(16).toString('hex')}`, level = 'ultra' } = options
  const { concurrent, perMinute } = levels[level]
  const film = await filmFrom(options.film)
  const tasks = new Map<string, Task>()
  const begunAt: number[] = []
  const files = new Map<string, { bytes: Buffer; type: string }>()
  const callbacks: Callback[] = []
  const waiting = new Map<Task, () => void>()
  const stopped = new AbortController()
  let balance = options.balance ?? 100
  const line = openLine<Task>(clock, concurrent, (task) => void settle(task))
  const server = await startProtocolServer(reply, line.advance)

  async function reply(question: Question): Promise<Answer | 'cut'> {
    const { method, url, headers } = question
    const file = files.get(url.pathname)
    if (method === 'GET' && file !== undefined) {
      return { status: 200, body: file.bytes, headers: { 'content-type': file.type } }
    }
    if (!url.pathname.startsWith(prefix)) return refusal(404, 'Not found')
    if (headers.authorization !== `Bearer ${apiKey}`) return refusal(401, 'Invalid API key')
    const path = url.pathname.slice(prefix.length)
    const call = `${method} ${path}`
    if (call === 'GET balance') return envelope({ balance })
    if (call === 'GET webhook/secret') return envelope({ secret: webhookSecret })
    if (call === 'POST media/upload/binary') return await upload(question)
    const found = /^(GET|DELETE) predictions\/([^/]+)(\/result)?$/.exec(call)
    if (found !== null) return await about(found[1]!, found[2]!)
    return method === 'POST' ? await submit(question, path) : refusal(404, 'Not found')
  }

  async function submit(question: Question, model: string): Promise<Answer | 'cut'> {
    const known = wavespeedModels.get(model)
    if (known === undefined) return refusal(404, `Model ${model} is not found`)
    const fault = faultOfSubmit(question)
    if (fault !== undefined) return refusal(400, fault)
    const checked = known.check(question.body)
    if ('errors' in checked) return refusal(400, messageOf(checked.errors))
    const path = question.url.pathname
    const behaviour = behave?.({ path, body: checked.body }) ?? {}
    const { refuse, lose, crash, billing } = behaviour
    if (refuse !== undefined) return refusal(refuse.status, refuse.message, refuse)
    const usd = billing ?? known.usd?.(checked.body) ?? 0
    const limit = limitReached(usd)
    if (limit !== undefined) return limit
    if (lose === 'before') return 'cut'
    const task = create(question, model, checked.body, behaviour, usd)
    task.outcome = work(task, checked.media)
    if (lose === 'after') return 'cut'
    if (crash !== undefined) return refusal(crash.status, undefined, crash)
    if (checked.body.enable_sync_mode === true) await hasEnded(task)
    return envelope(await prediction(task))
  }

  function limitReached(usd: number): Answer | undefined {
    if (balance <= 0 || usd > balance)
      return refusal(options.outOfCreditStatus ?? 402, 'Insufficient credits')
    const minuteAgo = clock.now().getTime() - 60_000
    if (begunAt.filter((at) => at > minuteAgo).length < perMinute) return undefined
    return refusal(429, 'Too many requests', { headers: { 'retry-after': '60' } })
  }

  function create(
    { url }: Question,
    model: string,
    body: Body,
    behaviour: WavespeedBehaviour,
    usd: number,
  ): Task {
    const webhookUrl = url.searchParams.get('webhook')
    const task: Task = {
      id: randomBytes(16).toString('hex'),
      model,
      path: url.pathname,
      body,
      get status() {
        if (this.isRemoved) return 'removed'
        if (this.isDeleted) return 'deleted'
        if (this.endedAt !== undefined) return 'ended'
        return this.beganAt === undefined ? 'created' : 'processing'
      },
      isDeleted: false,
      isRemoved: false,
      submittedAt: clock.now().getTime(),
      takesMs: behaviour.takesMs ?? 0,
      ...(webhookUrl !== null && { webhookUrl }),
      behaviour,
      usd,
      outcome: Promise.resolve({ outputs: [] }),
    }
    balance -= usd
    begunAt.push(task.submittedAt)
    tasks.set(task.id, task)
    line.add(task)
    return task
  }

  async function hasEnded(task: Task): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.set(task, resolve)
    line.advance()
    await promise
  }

  async function about(method: string, id: string): Promise<Answer> {
    line.advance()
    const task = tasks.get(id)
    if (task === undefined || task.isRemoved) return refusal(404, 'Prediction not found')
    if (method === 'GET') return envelope(await prediction(task))
    if (task.endedAt !== undefined) task.isRemoved = true
    else if (task.behaviour.ignoresDelete !== true) {
      task.isDeleted = true
      line.end(task)
    }
    return envelope({ id, status: 'deleted' })
  }

  async function prediction(task: Task) {
    const { id, model, status, submittedAt, behaviour } = task
    const urls = { get: `${server.url}${prefix}predictions/${id}/result` }
    const created_at = new Date(submittedAt).toISOString()
    const base = { id, model, status, urls, created_at, outputs: [], has_nsfw_contents: [], error: '' }
    if (task.endedAt === undefined || task.isDeleted) return base
    const timings = { inference: task.endedAt - task.beganAt! }
    const outcome = await task.outcome
    if ('error' in outcome) return { ...base, status: 'failed', ...outcome, timings }
    const { outputs } = outcome
    const has_nsfw_contents = outputs.map(() => behaviour.isFlagged === true)
    return { ...base, status: 'completed', code: 0, outputs, has_nsfw_contents, timings }
  }

  async function work({ id, body, behaviour }: Task, media: MediaReference[]): Promise<Outcome> {
    for (const reference of media) {
      const { fault } = await look(reference)
      const code = fault === 'unreachable' ? 1402 : 1401
      if (fault !== undefined) return { code, error: `${failures[code]}: ${reference.field}` }
    }
    const { fail } = behaviour
    if (fail !== undefined)
      return typeof fail === 'number' ? { code: fail, error: failures[fail] ?? 'Task failed' } : fail
    if (body.enable_base64_output === true) return { outputs: [film.toString('base64')] }
    const path = `/files/${id}/output.mp4`
    files.set(path, { bytes: film, type: 'video/mp4' })
    return { outputs: behaviour.outputs ?? [server.url + path] }
  }

  async function settle(task: Task): Promise<void> {
    const outcome = await task.outcome
    if (task.isDeleted || 'error' in outcome) balance += task.usd
    waiting.get(task)?.()
    const { webhookUrl, body: input, behaviour, isDeleted } = task
    if (webhookUrl === undefined || isDeleted) return
    const text = JSON.stringify({ ...(await prediction(task)), input })
    const messageId = randomBytes(16).toString('hex')
    const sign = (body: string) => signWavespeedWebhook(webhookSecret, messageId, seconds(clock), body)
    const persistence = { attempts: 4, timeoutMs: 10_000, gapMs: 100 }
    for (let time = 0; time < (behaviour.callbacks ?? 1); time++) {
      await callBack(webhookUrl, text, sign, persistence, (one) => callbacks.push(one), stopped.signal)
    }
  }

  async function upload({ raw, headers }: Question): Promise<Answer> {
    const type = headers['content-type'] ?? ''
    const form = await new Response(new Uint8Array(raw), { headers: { 'content-type': type } })
      .formData()
      .catch(() => undefined)
    const file = form?.get('file')
    if (!(file instanceof File)) return refusal(400, 'file is missing')
    const path = `/uploads/${randomBytes(16).toString('hex')}/${encodeURIComponent(file.name)}`
    files.set(path, { bytes: Buffer.from(await file.arrayBuffer()), type: file.type })
    return envelope({
      type: file.type,
      download_url: server.url + path,
      filename: file.name,
      size: file.size,
    })
  }

  return {
    ...server,
    apiKey,
    webhookSecret,
    tasks,
    callbacks,
    get balance() {
      return balance
    },
    finish(id) {
      const task = tasks.get(id)!
      task.beganAt ??= clock.now().getTime()
      line.end(task)
    },
    async stop() {
      stopped.abort()
      line.close()
      await server.stop()
    },
  }
}

/** The headers of a webhook; the key is the secret's text without its prefix, as it stands. `timestamp` is in seconds. */
export function signWavespeedWebhook(
  secret: string | null,
  id: string,
  timestamp: number,
  body: string,
): Record<string, string> {
  const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp) }
  if (secret === null) return headers
  const signature = createHmac('sha256', secret.replace(/^whsec_/, '')).update(`${id}.${timestamp}.${body}`)
  return { ...headers, 'webhook-signature': `v3,${signature.digest('hex')}` }
}

function seconds(clock: Clock): number {
  return Math.floor(clock.now().getTime() / 1000)
}

function envelope(data: object): Answer {
  return { status: 200, body: { code: 200, message: 'success', data } }
}

function refusal(
  status: number,
  message = 'Request failed',
  { code = status, headers }: { code?: number; headers?: Record<string, string> } = {},
): Answer {
  return { status, body: { code, message }, ...(headers && { headers }) }
}

/** What is wrong with a submit apart from the model's input. */
function faultOfSubmit({ url, headers }: Question): string | undefined {
  if (!/^application\/json(;|$)/.test(headers['content-type'] ?? ''))
    return 'content-type must be application/json'
  for (const [name, value] of url.searchParams) {
    if (name !== 'webhook') return `${name} is not a known parameter`
    if (!isLoopback(value) && URL.parse(value)?.protocol !== 'https:') return 'webhook is no https URL'
  }
  return undefined
}

function messageOf(errors: ErrorObject[]): string {
  const { instancePath, message, params } = errors[0]!
  const field = params.additionalProperty ?? instancePath.slice(1)
  return `Invalid parameter: ${field} ${message}`
}
