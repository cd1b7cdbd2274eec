import { createCanvas } from '@napi-rs/canvas'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { Callback } from './callback.ts'
import { klingError, noSuchPath, parseExactly, success } from './kling-answers.ts'
import { authFault } from './kling-auth.ts'
import { openCallbacks } from './kling-callbacks.ts'
import { customElements, openElements } from './kling-elements.ts'
import { legacyImages } from './kling-legacy.ts'
import { legacyVideos } from './kling-legacy-videos.ts'
import { mediaFault } from './kling-media.ts'
import { newProducts } from './kling-new.ts'
import type { Account, Order, Product } from './kling-product.ts'
import { costs, findLegacyTask, findTasks, listLegacyTasks, listTasks } from './kling-questions.ts'
import {
  type Behaviour,
  newTask,
  type Output,
  receiptOf,
  type Status,
  type Task,
  taskView,
  usualOutputs,
} from './kling-tasks.ts'
import { openLine } from './line.ts'
import { filmFrom } from './media.ts'
import { type Answer, type ProtocolServer, type Question, startProtocolServer } from './protocol-server.ts'

export type { Callback } from './callback.ts'
export { klingError, klingErrors } from './kling-answers.ts'
export type { Behaviour, Billing, Output, Task } from './kling-tasks.ts'
export type { Exchange } from './protocol-server.ts'

export interface KlingOptions {
  /** What films are; a small one that plays if not given. */
  film?: Uint8Array | string
  apiKey?: string
  accessKey?: string
  secretKey?: string
  /** Several while one is being replaced: callbacks are signed by each. Without any they are not signed. */
  webhookSecret?: string | string[]
  /** It is not documented that callbacks of the legacy standard are signed: true unless told otherwise. */
  signsLegacyCallbacks?: boolean
  /** How many places a pack has for each model. */
  places?: { video?: number; image?: number }
  /** Models that are no longer served, by the names of either standard. */
  switchedOff?: string[]
  /** What /account/costs tells besides its code and message. */
  packs?: object
  behave?: (submit: { path: string; body: unknown }) => Behaviour | undefined
  clock?: Clock
}

export interface KlingServer extends ProtocolServer {
  tasks: Map<string, Task>
  /** Those that were sent, with what the receiver answered. */
  callbacks: Callback[]
  apiKey: string
  accessKey: string
  secretKey: string
}

const products = new Map(
  [...newProducts, ...legacyVideos, ...legacyImages, customElements].map((one) => [one.path, one]),
)
const deletions = ['/v1/general/delete-advanced-elements', '/v1/general/delete-elements']

/** Kling's open platform, both generations of its API, by what is written of it. */
export async function startKling(options: KlingOptions = {}): Promise<KlingServer> {
  const { apiKey = 'kling-api-key', accessKey = 'kling-access-key', clock = systemClock } = options
  const { secretKey = 'kling-secret-key-of-32-characters', places = {}, switchedOff = ['kling-v1'] } = options
  const tasks = new Map<string, Task>()
  const elements = openElements()
  const secrets = [options.webhookSecret ?? []].flat()
  const callbacks = openCallbacks(clock, secrets, options.signsLegacyCallbacks ?? true)
  const line = openLine<Task>(clock, Number.POSITIVE_INFINITY, end)
  const nowMs = () => clock.now().getTime()
  let costsAskedAt = Number.NEGATIVE_INFINITY

  const view = (task: Task) => taskView(task, elements, parentOf(task))
  const ofGeneration = (generation: Product['generation']) =>
    [...tasks.values()].filter(({ product }) => product.generation === generation)

  function end(task: Task): void {
    change(task, 'processing')
    const hasFailed = task.behaviour.fail !== undefined
    if (!hasFailed) task.outputs = task.behaviour.outputs ?? usualOutputs(task, server.url)
    if (!hasFailed && task.product.kind === 'element') task.elementId = elements.make(task.body)
    change(task, hasFailed ? 'failed' : 'succeeded')
  }

  function change(task: Task, status: Status): void {
    if (task.status === status) return
    task.status = status
    task.updatedAt = nowMs()
    callbacks.tell(task, view(task))
  }

  function parentOf({ path, body }: Task): Output | undefined {
    const id = path === '/v1/videos/video-extend' ? (body as { video_id: string }).video_id : undefined
    return id === undefined ? undefined : legacyVideo(id)?.output
  }

  function legacyVideo(id: string) {
    for (const task of ofGeneration('legacy')) {
      const output = task.outputs.find((one) => one.id === id)
      if (output !== undefined) return { model: task.order.model, endedAt: task.endedAt ?? 0, output }
    }
    return undefined
  }

  async function submit(product: Product, body: unknown): Promise<Answer | 'cut'> {
    const account: Account = { now: nowMs(), elements: elements.kinds, legacyVideo }
    const order = product.read(body, account)
    if (typeof order === 'string') return klingError(1201, { message: order })
    if (switchedOff.includes(order.model)) {
      return klingError(1203, { message: `model ${order.model} has been discontinued` })
    }
    for (const media of order.media) {
      const message = await mediaFault(media)
      if (message !== undefined) return klingError(1201, { message })
    }
    return refusal(product, order) ?? accept(product, order, body)
  }

  function refusal({ kind }: Product, { externalId, model, slots }: Order): Answer | undefined {
    const all = [...tasks.values()]
    if (externalId !== undefined && all.some((task) => task.externalId === externalId)) {
      return klingError(1201, { message: `External_task_id ${externalId} already exists` })
    }
    const room = kind === 'element' ? undefined : places[kind]
    const rivals = all.filter(({ order, product, endedAt }) => {
      return endedAt === undefined && product.kind === kind && order.model === model
    })
    const taken = rivals.reduce((sum, { order }) => sum + order.slots, 0)
    return room !== undefined && taken + slots > room ? klingError(1303) : undefined
  }

  function accept(product: Product, order: Order, body: unknown): Answer | 'cut' {
    const behaviour = options.behave?.({ path: product.path, body }) ?? {}
    if (behaviour.refuse !== undefined) return klingError(behaviour.refuse.code, behaviour.refuse)
    if (behaviour.lose === 'before') return 'cut'
    const task = newTask(product, order, body, behaviour, nowMs())
    tasks.set(task.id, task)
    const receipt = receiptOf(task)
    // it begins once this is answered (below)
    line.add(task)
    if (behaviour.lose === 'after') return 'cut'
    return behaviour.crash === undefined
      ? success(receipt)
      : klingError(behaviour.crash.code, behaviour.crash)
  }

  async function reply(question: Question): Promise<Answer | 'cut'> {
    const { method, url, headers, raw } = question
    const { pathname } = url
    if (method === 'GET' && pathname.startsWith('/files/')) return await file(pathname)
    line.advance()
    const call = route(pathname)
    if (call === undefined) return noSuchPath(pathname, nowMs())
    const fault = await authFault(
      headers.authorization,
      call.generation,
      { apiKey, accessKey, secretKey },
      clock.now(),
    )
    if (fault !== undefined) return fault
    const handle = call.methods[method]
    if (handle === undefined) return klingError(1202)
    const body = method === 'POST' ? parseExactly(raw) : undefined
    if (method === 'POST' && body === undefined) return klingError(1200, { message: 'body must be JSON' })
    return await handle(body, url.searchParams)
  }

  type Handler = (body: unknown, query: URLSearchParams) => Answer | Promise<Answer | 'cut'>
  interface Call {
    generation: Product['generation']
    methods: Record<string, Handler>
  }

  function route(path: string): Call | undefined {
    if (path === '/tasks') return { generation: 'new', methods: questions }
    if (path === '/account/costs') return { generation: 'legacy', methods: { GET: askCosts } }
    if (deletions.includes(path))
      return { generation: 'legacy', methods: { POST: (body) => elements.delete(body) } }
    const product = products.get(path)
    if (product !== undefined) return callOf(product)
    const [, parent = '', id = ''] = /^(.+)\/([^/]+)$/.exec(path) ?? []
    const maker = products.get(parent)
    if (maker?.generation === 'legacy') return oneOfMaker(maker, decodeURIComponent(id))
    return newProducts.some(({ path: known }) => known.startsWith(`${parent}/`)) ? unknownModel : undefined
  }

  const questions: Record<string, Handler> = {
    GET: (_, query) => findTasks(ofGeneration('new'), query, view),
    POST: (body) => listTasks(ofGeneration('new'), body, nowMs(), view),
  }
  const unknownModel: Call = { generation: 'new', methods: { POST: () => klingError(1203) } }

  function askCosts(_: unknown, query: URLSearchParams): Answer {
    const sinceLast = nowMs() - costsAskedAt
    costsAskedAt = nowMs()
    return costs(query, sinceLast, options.packs ?? {})
  }

  function callOf(product: Product): Call {
    const { generation } = product
    const take: Handler = (body) => submit(product, body)
    const tell: Handler = (_, query) => listLegacyTasks(ofGeneration('legacy'), product, query, view)
    return { generation, methods: { POST: take, ...(generation === 'legacy' && { GET: tell }) } }
  }

  function oneOfMaker(product: Product, id: string): Call {
    const find = () => findLegacyTask(ofGeneration('legacy'), product, id, view)
    return { generation: 'legacy', methods: { GET: find } }
  }

  async function file(path: string): Promise<Answer> {
    if (path.endsWith('.png'))
      return { status: 200, body: drawPicture(), headers: { 'content-type': 'image/png' } }
    film ??= filmFrom(options.film)
    return { status: 200, body: await film, headers: { 'content-type': 'video/mp4' } }
  }
  let film: Promise<Buffer> | undefined

  const server = await startProtocolServer(reply, () => {
    line.advance()
    for (const task of tasks.values())
      if (task.beganAt !== undefined && task.status === 'submitted') change(task, 'processing')
  })
  return {
    ...server,
    tasks,
    callbacks: callbacks.sent,
    apiKey,
    accessKey,
    secretKey,
    async stop() {
      line.close()
      await callbacks.close()
      await server.stop()
    },
  }
}

function drawPicture(): Buffer {
  const canvas = createCanvas(512, 512)
  const context = canvas.getContext('2d')
  context.fillStyle = 'teal'
  context.fillRect(0, 0, 512, 512)
  return canvas.toBuffer('image/png')
}
