import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { Body } from './body-schema.ts'
import { type Callback, callBack } from './callback.ts'
import { falEndpoints } from './fal-endpoints.ts'
import {
  type FalErrorType,
  type FalFailure,
  failureAnswer,
  invalidBody,
  mediaFailure,
  refusals,
  textOf,
} from './fal-errors.ts'
import { type FalPlatform, openPlatform, unitsOf } from './fal-platform.ts'
import { type FalKey, newFalKey, signFalWebhook } from './fal-webhook.ts'
import { openLine, type Work } from './line.ts'
import { filmFrom, isLoopback, look, type MediaReference } from './media.ts'
import { type Answer, type Exchange, type Question, startProtocolServer } from './protocol-server.ts'

/** How one submit goes. Unless said: it is done at the next question, with one film. */
export interface FalBehaviour {
  /** Nothing is made. 401, 403 (balance), 404, 410 and 429 have their text; others name a type. */
  refuse?: { status: number; type?: FalErrorType; text?: string; headers?: Record<string, string> }
  /** The connection is cut before anything is made, or after. */
  lose?: 'before' | 'after'
  /** It is made, and the answer is an error. */
  crash?: { status: number; type?: FalErrorType }
  /** From its turn to its end; Infinity: until `finish`. */
  takesMs?: number
  fail?: FalErrorType | FalFailure
  /** In place of the endpoint's own output. */
  outputs?: object
  /** Billable units, in place of those that follow from input and price. */
  billing?: number
  /** A runner that is at work goes on when it is asked to stop. */
  ignoresCancel?: boolean
  /** How often the webhook comes: 0 never, 2 twice. */
  callbacks?: number
}

export interface FalTask extends Work {
  id: string
  endpoint: string
  path: string
  body: Body
  readonly status: 'IN_QUEUE' | 'IN_PROGRESS' | 'COMPLETED'
  isCancelled: boolean
  webhookUrl?: string
  behaviour: FalBehaviour
}

interface Task extends FalTask {
  startTimeoutMs: number
  /** The end that it comes to, once it does. */
  outcome: Promise<Answer & { failure?: FalFailure }>
}

export interface FalOptions {
  film?: Uint8Array | string
  /** Of the form id:secret. */
  apiKey?: string
  /** How many are at work at a time: 2 for new accounts, up to 40 later. */
  concurrency?: number
  /** An origin that the answers' URLs name in place of this server's, as a hostile answer would. */
  claimedOrigin?: string
  /** Whether what is wrong with an input shows at submit, or only in the result, as with real endpoints it may. */
  validatesAt?: 'submit' | 'run'
  behave?: (submit: { path: string; body: Body }) => FalBehaviour | undefined
  clock?: Clock
}

export interface Fal {
  url: string
  apiKey: string
  transcript: Exchange[]
  tasks: Map<string, FalTask>
  callbacks: Callback[]
  interrupt(match: RegExp, answer: Answer | 'cut', times?: number): void
  finish(id: string): void
  /** From now on another key signs; the list has it alone. */
  rotateKey(): void
  /** The key that signs, to make webhooks of one's own. */
  readonly key: FalKey
  stop(): Promise<void>
}

const userId = 'user_2aGd9fLpQxSvW'
const requestPath = /^\/((?:(?:workflows|comfy)\/)?[^/]+\/[^/]+)\/requests\/([^/]+)(?:\/(status|cancel))?$/

/** fal's queue, its list of keys, its storage and its prices on one origin. */
export async function startFal(options: FalOptions = {}): Promise<Fal> {
  const {
    apiKey = `${randomUUID()}:${'5e'.repeat(16)}`,
    clock = systemClock,
    behave,
    validatesAt = 'submit',
  } = options
  const film = await filmFrom(options.film)
  const tasks = new Map<string, Task>()
  const callbacks: Callback[] = []
  const stopped = new AbortController()
  let key = newFalKey()
  const line = openLine<Task>(clock, options.concurrency ?? Number.POSITIVE_INFINITY, (task) => {
    task.outcome = settle(task)
    void tell(task)
  })
  const server = await startProtocolServer(reply, line.advance)
  const platform: FalPlatform = openPlatform(server.url)
  const origin = options.claimedOrigin ?? server.url

  async function reply(question: Question): Promise<Answer | 'cut'> {
    const { method, url, headers } = question
    const open = platform.answerOpenly(question) ?? openly(method, url)
    if (open !== undefined) return open
    if (headers.authorization !== `Key ${apiKey}`) return refusal(401)
    const found = requestPath.exec(url.pathname)
    if (found !== null) return await about(found[1]!, found[2]!, `${method} ${found[3] ?? 'result'}`, url)
    return platform.answer(question) ?? submit(question)
  }

  function openly(method: string, { pathname }: URL): Answer | undefined {
    if (method === 'GET' && pathname === '/.well-known/jwks.json')
      return { status: 200, body: { keys: [key.jwk] } }
    if (!pathname.startsWith('/files/')) return undefined
    const isThere = tasks.has(pathname.split('/')[2] ?? '')
    return isThere ? { status: 200, body: film, headers: { 'content-type': 'video/mp4' } } : refusal(404)
  }

  function submit(question: Question): Answer | 'cut' {
    const endpoint = question.url.pathname.slice(1)
    const known = falEndpoints.get(endpoint)
    if (known === undefined) return refusal(404)
    if (question.method !== 'POST') return { status: 405, body: { detail: 'Method Not Allowed' } }
    const fault = faultOfSubmit(question)
    if (fault !== undefined) return failureAnswer({ type: 'bad_request', text: fault })
    const checked = known.check(question.body)
    const isWrong = 'errors' in checked
    if (isWrong && validatesAt === 'submit') return invalidBody(checked.errors)
    const body = isWrong ? (question.body as Body) : checked.body
    const behaviour = behave?.({ path: question.url.pathname, body }) ?? {}
    const { refuse, lose, crash } = behaviour
    if (refuse !== undefined) return refusal(refuse.status, refuse)
    if (lose === 'before') return 'cut'
    const task = create(question, endpoint, body, behaviour)
    task.outcome = isWrong ? Promise.resolve(invalidBody(checked.errors)) : work(task, checked.media)
    if (lose === 'after') return 'cut'
    return crash === undefined ? accepted(task) : refusal(crash.status, crash)
  }

  function create({ url, headers }: Question, endpoint: string, body: Body, behaviour: FalBehaviour): Task {
    const webhookUrl = url.searchParams.get('fal_webhook')
    const task: Task = {
      id: randomUUID(),
      endpoint,
      path: url.pathname,
      body,
      get status() {
        if (this.endedAt !== undefined) return 'COMPLETED'
        return this.beganAt === undefined ? 'IN_QUEUE' : 'IN_PROGRESS'
      },
      isCancelled: false,
      submittedAt: clock.now().getTime(),
      takesMs: behaviour.takesMs ?? 0,
      startTimeoutMs: Number(headers['x-fal-request-timeout'] ?? Number.POSITIVE_INFINITY) * 1000,
      ...(webhookUrl !== null && { webhookUrl }),
      behaviour,
      outcome: Promise.resolve({ status: 500 }),
    }
    tasks.set(task.id, task)
    line.add(task)
    return task
  }

  function urlsOf({ id, endpoint }: Task) {
    const base = `${origin}/${appOf(endpoint)}/requests/${id}`
    return { response_url: base, status_url: `${base}/status`, cancel_url: `${base}/cancel` }
  }

  function accepted(task: Task): Answer {
    const position = { status: 'IN_QUEUE', queue_position: line.positionOf(task) }
    const body = { ...position, request_id: task.id, gateway_request_id: task.id, ...urlsOf(task) }
    return { status: 200, body, headers: { 'x-fal-request-id': task.id } }
  }

  async function about(app: string, id: string, asked: string, url: URL): Promise<Answer> {
    const task = tasks.get(id)
    const isKnown = task !== undefined && appOf(task.endpoint) === app
    if (!isKnown) return { status: 404, body: { detail: 'Request not found', status: 'NOT_FOUND' } }
    line.advance()
    expire(task)
    const answer = await answerAbout(task, asked, url)
    return { ...answer, headers: { 'x-fal-request-id': id, ...answer.headers } }
  }

  async function answerAbout(task: Task, asked: string, url: URL): Promise<Answer> {
    if (asked === 'GET status') return await statusOf(task, url.searchParams.get('logs') === '1')
    if (asked === 'PUT cancel') return cancel(task)
    if (asked !== 'GET result') return { status: 405, body: { detail: 'Method Not Allowed' } }
    if (task.status !== 'COMPLETED') return { status: 400, body: { detail: 'Request is still in progress' } }
    const { failure: _, ...answer } = await task.outcome
    return answer
  }

  async function statusOf(task: Task, withLogs: boolean): Promise<Answer> {
    const { id, status } = task
    const body = { status, request_id: id, ...urlsOf(task), ...(withLogs && { logs: [] }) }
    if (status === 'IN_QUEUE')
      return { status: 202, body: { ...body, queue_position: line.positionOf(task) } }
    if (status === 'IN_PROGRESS') return { status: 202, body }
    const metrics = { inference_time: (task.endedAt! - (task.beganAt ?? task.endedAt!)) / 1000 }
    const { status: code, failure } = await task.outcome
    const error = failure === undefined ? `HTTP ${code}` : textOf(failure)
    const failed = code >= 300 && { error, error_type: failure?.type ?? 'value_error' }
    return { status: 200, body: { ...body, metrics, ...failed } }
  }

  function cancel(task: Task): Answer {
    if (task.status === 'COMPLETED') return { status: 400, body: { status: 'ALREADY_COMPLETED' } }
    if (task.status === 'IN_QUEUE' || task.behaviour.ignoresCancel !== true) {
      task.isCancelled = true
      line.end(task)
    }
    return { status: 202, body: { status: 'CANCELLATION_REQUESTED' } }
  }

  // what has not had its turn in the time that its sender allows is given up
  function expire(task: Task): void {
    const isLate = clock.now().getTime() - task.submittedAt > task.startTimeoutMs
    if (isLate && task.status === 'IN_QUEUE') line.end(task)
  }

  async function settle(task: Task): Promise<Answer & { failure?: FalFailure }> {
    if (task.isCancelled)
      return failed({ type: 'client_cancelled', text: 'Request was cancelled by the client' })
    if (task.beganAt !== undefined) return await task.outcome
    const timedOut = failed({ type: 'request_timeout' })
    return { ...timedOut, headers: { ...timedOut.headers, 'x-fal-request-timeout-type': 'user' } }
  }

  async function work(task: Task, media: MediaReference[]): Promise<Answer & { failure?: FalFailure }> {
    const { behaviour, endpoint, body, id } = task
    let givenSeconds = 0
    for (const reference of media) {
      const { fault, seconds = 0 } = await look(reference)
      if (fault !== undefined) return failed(mediaFailure(fault, reference.kind, reference.field))
      if (reference.field === 'video_url') givenSeconds = seconds
    }
    const { fail } = behaviour
    if (fail !== undefined) return failed(typeof fail === 'string' ? { type: fail } : fail)
    const units = behaviour.billing ?? unitsOf(endpoint, body, givenSeconds)
    const url = `${server.url}/files/${id}/output.mp4`
    const video = { url, content_type: 'video/mp4', file_name: 'output.mp4', file_size: film.length }
    return {
      status: 200,
      body: behaviour.outputs ?? { video },
      headers: { 'x-fal-billable-units': String(units) },
    }
  }

  async function tell({ id, webhookUrl, behaviour, outcome }: Task): Promise<void> {
    if (webhookUrl === undefined) return
    const { status, body: payload, failure } = await outcome
    const state =
      status < 300
        ? { status: 'OK' }
        : { status: 'ERROR', error: failure ? textOf(failure) : `HTTP ${status}` }
    const text = JSON.stringify({ request_id: id, gateway_request_id: id, ...state, payload })
    const sign = (body: string) =>
      signFalWebhook(key, id, userId, Math.floor(clock.now().getTime() / 1000), body)
    const persistence = { attempts: 10, timeoutMs: 15_000, gapMs: 100 }
    for (let time = 0; time < (behaviour.callbacks ?? 1); time++) {
      await callBack(webhookUrl, text, sign, persistence, (one) => callbacks.push(one), stopped.signal)
    }
  }

  return {
    ...server,
    apiKey,
    tasks,
    callbacks,
    finish(id) {
      const task = tasks.get(id)!
      task.beganAt ??= clock.now().getTime()
      line.end(task)
    },
    rotateKey() {
      key = newFalKey()
    },
    get key() {
      return key
    },
    async stop() {
      stopped.abort()
      line.close()
      await server.stop()
    },
  }
}

function failed(failure: FalFailure): Answer & { failure: FalFailure } {
  return { ...failureAnswer(failure), failure }
}

function refusal(
  status: number,
  { type, text, headers }: Omit<FalBehaviour['refuse'] & object, 'status'> = {},
): Answer {
  if (type !== undefined) {
    const answer = failureAnswer({ type, status, ...(text !== undefined && { text }) })
    return { ...answer, headers: { ...answer.headers, ...headers } }
  }
  return {
    status,
    body: { detail: text ?? refusals[status] ?? 'Internal Server Error' },
    ...(headers && { headers }),
  }
}

/** The first two segments, behind the prefix that some have. */
function appOf(endpoint: string): string {
  const segments = endpoint.split('/')
  return segments.slice(0, ['workflows', 'comfy'].includes(segments[0]!) ? 3 : 2).join('/')
}

const headerForms: Record<string, RegExp> = {
  'content-type': /^application\/json(;|$)/,
  'x-fal-queue-priority': /^(normal|low)$/,
  'x-fal-request-timeout': /^\d+(\.\d+)?$/,
  'x-fal-store-io': /^[01]$/,
  'x-fal-object-lifecycle-preference': /^\{"expiration_duration_seconds":\s*(\d+|null)\}$/,
}

/** What is wrong with a submit apart from the model's input: a header or a query that would be passed over in silence. */
function faultOfSubmit({ url, headers }: Question): string | undefined {
  if (headers['content-type'] === undefined) return 'content-type is missing'
  for (const [name, form] of Object.entries(headerForms)) {
    if (headers[name] !== undefined && !form.test(String(headers[name]))) return `${name} is not valid`
  }
  for (const [name, value] of url.searchParams) {
    if (name !== 'fal_webhook') return `${name} is not a known parameter`
    if (!isLoopback(value) && URL.parse(value)?.protocol !== 'https:') return 'fal_webhook is no https URL'
  }
  return undefined
}
