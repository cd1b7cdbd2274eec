import { setTimeout as sleep } from 'node:timers/promises'
import { CallFailed, callUpstream } from '../src/providers/call.ts'
import type { Json } from '../src/providers/provider.ts'
import type { Gateway } from './gateways.ts'
import { bodyOf, type Order } from './orders.ts'

export const ends = ['completed', 'failed', 'cancelled']

/** A request without a whole answer, though it may have been received. */
export interface Loss {
  gateway: number
  from: number
  to: number
  what: string
  /** It was sent to a server that was said to be up. */
  isFair: boolean
}

/** What a client has seen of its order. */
export interface Experience {
  order: Order
  jobId?: string
  /** How its submits ended: a status with its code, `lost` or `unsent`. */
  submits: string[]
  /** A submit was answered with an error that does not say that nothing was charged. */
  unconfirmed: boolean
  /** What gets showed in turn. */
  seen: string[]
  cancelled: boolean
  /** Entries of the timeline as they came over the stream. */
  events: { id: string; kind: string }[]
  /** What the contract does not allow. */
  breaches: string[]
  submitMs?: number
}

export interface Clients {
  gateways: Gateway[]
  keys: string[]
  losses: Loss[]
  pictureUrl: string
  webhookUrl(order: Order): string | undefined
  /** From when on clients give up what they wait for. */
  isOver(): boolean
}

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: the checks say what they expect of it
  json: any
}

const answerLimitMs = 90_000
/** Then a stream of events is begun anew, where it stopped. */
const streamMs = 10_000

/** Lives through one order, as a client does who wants to know what became of it. */
export async function live(clients: Clients, order: Order): Promise<Experience> {
  const experience: Experience = {
    order,
    submits: [],
    unconfirmed: false,
    seen: [],
    cancelled: false,
    events: [],
    breaches: [],
  }
  const first = submit(clients, experience)
  await Promise.all(order.isDoubled ? [first, submit(clients, experience)] : [first])
  if (experience.jobId === undefined) return experience
  await Promise.all([cancel(clients, experience), watch(clients, experience)])
  return experience
}

async function submit(clients: Clients, experience: Experience): Promise<void> {
  const { order, breaches, submits } = experience
  const body = bodyOf(order, { picture: clients.pictureUrl, webhook: clients.webhookUrl(order) })
  const headers: Record<string, string> = {
    ...(order.hasKey && { 'idempotency-key': `order-${order.number}` }),
    ...(order.prefersWait && { prefer: 'wait=5' }),
  }
  // one account may have few jobs at once: its clients stand in line for as long as it takes
  for (let attempt = 0; attempt < 600 && !clients.isOver(); ) {
    const began = performance.now()
    const answer = await ask(clients, order, { method: 'POST', path: '/v1/jobs/submit', body, headers })
    submits.push(
      typeof answer === 'string' ? answer : `${answer.status} ${answer.json?.error?.code ?? ''}`.trim(),
    )
    if (typeof answer !== 'string' && answer.status === 200) {
      experience.submitMs = performance.now() - began
      const { jobId } = answer.json
      if (experience.jobId !== undefined && experience.jobId !== jobId)
        breaches.push(`two jobs for one key: ${jobId}`)
      experience.jobId = jobId
      return
    }
    const isInLine = typeof answer !== 'string' && answer.status === 429
    if (!isInLine) attempt++
    if (answer === 'unsent' || isInLine) await sleep(300)
    else if (answer === 'lost' || answer.status === 503) {
      if (
        answer !== 'lost' &&
        !/nothing was charged|cannot be reached/i.test(answer.json?.error?.message ?? '')
      )
        experience.unconfirmed = true
      if (!order.hasKey) return
      await sleep(500)
    } else {
      breaches.push(`a submit was answered ${answer.status} ${JSON.stringify(answer.json)}`)
      return
    }
  }
  breaches.push('no submit was answered')
}

/** As a balancer does: not one that is known to be away. */
function choose(gateways: Gateway[]): Gateway {
  const up = gateways.filter((gateway) => gateway.isUp)
  const choice = up.length > 0 ? up : gateways
  return choice[Math.floor(Math.random() * choice.length)]!
}

/** One request on a connection of its own: on one that was kept, a graceful stop may cross with it. */
async function ask(
  { gateways, keys, losses }: Clients,
  order: Order,
  request: { method: 'GET' | 'POST'; path: string; body?: Json; headers?: Record<string, string> },
): Promise<Answer | 'unsent' | 'lost'> {
  const gateway = gateways.indexOf(choose(gateways))
  const isFair = gateways[gateway]!.isUp
  const from = performance.now()
  try {
    const { status, json } = await callUpstream({
      url: gateways[gateway]!.url + request.path,
      method: request.method,
      signal: AbortSignal.timeout(answerLimitMs),
      headers: { 'x-api-key': keys[order.customer]!, connection: 'close', ...request.headers },
      ...(request.body !== undefined && { body: request.body }),
    })
    return { status, json }
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error
    if (error.neverSent) return 'unsent'
    losses.push({
      gateway,
      isFair,
      from,
      to: performance.now(),
      what: `${request.method} ${request.path}: ${error.message}`,
    })
    return 'lost'
  }
}

async function cancel(clients: Clients, experience: Experience): Promise<void> {
  const { order, jobId, breaches } = experience
  if (order.cancelAfterMs === undefined) return
  await sleep(order.cancelAfterMs)
  const answer = await ask(clients, order, { method: 'POST', path: `/v1/jobs/${jobId}/cancel` })
  if (typeof answer === 'string') return
  if (answer.status === 200) experience.cancelled = true
  else if (![400, 503].includes(answer.status)) {
    breaches.push(`a cancel was answered ${answer.status} ${JSON.stringify(answer.json)}`)
  }
}

function watch(clients: Clients, experience: Experience): Promise<void> | void {
  if (experience.order.watches === 'gets') return get(clients, experience)
  if (experience.order.watches === 'events') return listen(clients, experience)
}

async function get(clients: Clients, experience: Experience): Promise<void> {
  const { order, jobId, seen, breaches } = experience
  while (!clients.isOver()) {
    const answer = await ask(clients, order, { method: 'GET', path: `/v1/jobs/${jobId}` })
    if (typeof answer !== 'string') {
      if (answer.status === 200) {
        if (seen.at(-1) !== answer.json.status) seen.push(answer.json.status)
        if (ends.includes(answer.json.status)) return
      } else if (answer.status !== 503) {
        breaches.push(`a get was answered ${answer.status} ${JSON.stringify(answer.json)}`)
        return
      }
    }
    await sleep(500)
  }
}

/** Follows the job's events over however many connections that takes. */
async function listen(clients: Clients, experience: Experience): Promise<void> {
  const { order, jobId, events } = experience
  while (!clients.isOver()) {
    const gateway = choose(clients.gateways)
    const last = events.at(-1)?.id
    try {
      const answer = await fetch(`${gateway.url}/v1/jobs/${jobId}/events`, {
        headers: {
          'x-api-key': clients.keys[order.customer]!,
          ...(last !== undefined && { 'last-event-id': last }),
        },
        signal: AbortSignal.timeout(streamMs),
      })
      if (answer.status === 200) await readEvents(answer, events)
      else await answer.arrayBuffer()
    } catch {
      // it goes on where it stopped
    }
    if (hasEnded(events)) return
    await sleep(300)
  }
}

/** Only events that came whole count. */
async function readEvents(answer: Response, events: Experience['events']): Promise<void> {
  let text = ''
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      const id = /^id: ?(.+)$/m.exec(block)?.[1]
      const kind = /^event: ?(.+)$/m.exec(block)?.[1]
      if (id !== undefined && kind !== undefined) events.push({ id, kind })
    }
    if (hasEnded(events)) return
  }
}

/** A late result may have come behind the end. */
function hasEnded(events: Experience['events']): boolean {
  return events.some(({ kind }) => ends.includes(kind))
}
