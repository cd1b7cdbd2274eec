import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { createEventBuffer } from 'better-sse'
import type { FastifyReply } from 'fastify'

/** One server-sent event. Its id is what a client that comes back names as the last it has seen. */
export interface ServerEvent<Data> {
  id: string
  event: string
  data: Data
}

/** An answer that is a stream of server-sent events. */
export class EventStream<Data> {
  /** Undefined in it is silence that has lasted for long. None at all: nothing will come any more. */
  readonly events: AsyncIterable<ServerEvent<Data> | undefined> | undefined
  /** Aborted when the server lets the stream go; `events` must end by itself then. */
  readonly signal: AbortSignal | undefined

  constructor(events: EventStream<Data>['events'], signal?: AbortSignal) {
    this.events = events
    this.signal = signal
  }
}

export interface StreamLimits {
  /** How long a client should wait before it comes back. */
  reconnectMs: number
  /** How often it is asked whether the client may still read, also where nothing happens. */
  checkEveryMs: number
  /** After so long without taking anything a client is cut off. */
  stalledMs: number
  /** So long it may take over the end, once the server lets go. */
  partingMs: number
}

const usualLimits: StreamLimits = {
  reconnectMs: 2_000,
  checkEveryMs: 3_000,
  stalledMs: 60_000,
  partingMs: 1_000,
}

/**
 * Sends the events one by one, each only once the client has taken those before it: what it has not taken yet is not read.
 * A client that comes back where there is nothing more gets 204, which tells it to stay away.
 */
export function sendEvents<Data>(
  reply: FastifyReply,
  { events, signal }: EventStream<Data>,
  mayRead: () => Promise<boolean>,
  limits = usualLimits,
): FastifyReply {
  if (events === undefined) return reply.status(204).send()
  const { raw } = reply
  const cutOff = () => void (raw.closed || raw.destroy())
  raw.setTimeout(limits.stalledMs, cutOff)
  signal?.addEventListener('abort', () => setTimeout(cutOff, limits.partingMs).unref())
  raw.socket?.once('end', () => askWhetherThere(raw))
  return (
    reply
      .header('content-type', 'text/event-stream; charset=utf-8')
      .header('cache-control', 'no-store, no-transform')
      // nginx would keep events back until it has a buffer full of them
      .header('x-accel-buffering', 'no')
      .send(Readable.from(toText(events, mayRead, limits)))
  )
}

/** Far enough apart for the answer to one to have come before the next. */
const askAfterMs = [0, 250, 1_000]

// A client that has said all may be listening still, or be gone. The kernel of one that is gone answers a few bytes with a
// reset, which shows at the next write.
function askWhetherThere(raw: ServerResponse): void {
  for (const ms of askAfterMs) {
    setTimeout(() => raw.writableEnded || raw.destroyed || raw.write(':\n\n'), ms).unref()
  }
}

async function* toText<Data>(
  events: AsyncIterable<ServerEvent<Data> | undefined>,
  mayRead: () => Promise<boolean>,
  { reconnectMs, checkEveryMs }: StreamLimits,
): AsyncGenerator<string> {
  yield createEventBuffer().retry(reconnectMs).dispatch().read()
  const all = events[Symbol.asyncIterator]()
  let next = all.next()
  try {
    for (let checkedAt = performance.now(); ; ) {
      const found = await within(next, checkEveryMs)
      if (performance.now() - checkedAt >= checkEveryMs) {
        if (!(await mayRead())) return
        checkedAt = performance.now()
      }
      if (found === undefined) continue
      if (found.done) return
      yield textOf(found.value)
      next = all.next()
    }
  } finally {
    // not waited for: where nothing happens it comes to its end only once the client's connection does
    next.catch(() => {})
    void all.return?.()?.catch(() => {})
  }
}

/** Undefined where nothing has come by then. */
async function within<Value>(coming: Promise<Value>, ms: number): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined)
  })
  return Promise.race([coming, over]).finally(() => clearTimeout(timer))
}

function textOf<Data>(event: ServerEvent<Data> | undefined): string {
  const text = createEventBuffer()
  if (event === undefined) text.comment('still here').dispatch()
  else text.push(event.data, event.event, event.id)
  return text.read()
}
