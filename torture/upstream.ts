import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { callbacksFor, sendCallback } from './callbacks.ts'
import { answer, answerBadly } from './faults.ts'
import { fileOf } from './film.ts'
import { askFate, type Script, type SubmitFate, scriptOf, type Temper } from './script.ts'
import { isRefused, isTaken, type JobTruth, type Post, type Truth } from './truth.ts'

export interface UpstreamOptions {
  seed: number
  /** Of the jobs' scripts, but for those whose prompt asks for calm. */
  temper: Temper
  apiKey: string
}

export interface Upstream {
  url: string
  /** How it treats calls from now on; it begins calm. */
  set(temper: Temper): void
  truth(): Truth
  close(): void
}

interface Job {
  truth: JobTruth
  script: Script
  callbackUrl: string
  /** It will have the job in a moment. */
  isAccepting: boolean
  /** When it took the job, in ms. */
  beganAt: number
  linksMade: number
  /** Of a file that expires: the link that has. */
  expiredLink?: string
}

interface SubmitBody {
  client_id: string
  prompt: string
  callback_url: string
}

const laterMs = 700
const lookUp = 'client_ids'

/**
 * An upstream as real ones are, which knows jobs by its own ids and by the client's, takes a client's id once, and does
 * to each job and call what the seed says. It keeps the truth of all that it saw.
 */
export async function startUpstream(options: UpstreamOptions): Promise<Upstream> {
  const { seed, apiKey } = options
  let temper: Temper = 'calm'
  const jobs = new Map<string, Job>()
  const byUpstreamId = new Map<string, Job>()
  const faults: Record<string, number> = {}
  const calls: Record<string, number> = {}
  let moment = 0

  const count = (fault: string) => {
    faults[fault] = (faults[fault] ?? 0) + 1
  }
  const note = ({ truth }: Job, text: string) => truth.transcript.push(`${new Date().toISOString()} ${text}`)

  function jobOf(clientId: string): Job {
    const known = jobs.get(clientId)
    if (known !== undefined) return known
    const job: Job = {
      truth: {
        clientId,
        order: -1,
        posts: [],
        lookUps: [],
        cancelled: false,
        asked: 0,
        fileRequests: 0,
        filesServed: 0,
        callbacksSent: 0,
        forgedTaken: 0,
        transcript: [],
      },
      script: scriptOf(seed, -1, 'calm', false),
      callbackUrl: '',
      isAccepting: false,
      beganAt: 0,
      linksMade: 0,
    }
    jobs.set(clientId, job)
    return job
  }

  async function submit(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(request)) as SubmitBody
    const job = jobOf(body.client_id)
    const { truth } = job
    const number = Number(/^order (\d+)/.exec(body.prompt)?.[1] ?? -1)
    truth.order = number
    const isCalm = body.prompt.includes('calm')
    job.script = scriptOf(seed, number, isCalm ? 'calm' : options.temper, body.prompt.includes('late'))
    job.callbackUrl = body.callback_url
    const fate = nextFate(job)
    const post: Post = { at: ++moment, fate }
    truth.posts.push(post)
    note(job, `submit ${truth.posts.length}: ${fate}`)
    count(`submit ${fate}`)
    if (fate === 'duplicate') return answer(response, 409, { error: 'duplicate' })
    if (isTaken(fate)) {
      job.isAccepting = true
      if (fate === 'resets, accepts later') setTimeout(() => accept(job), laterMs)
      else accept(job)
    }
    response.on('finish', () => {
      if (isRefused(fate)) post.refusedAt = ++moment
    })
    if (await answerBadly(fate, request, response)) return
    answer(response, 201, { id: truth.upstreamId, client_id: truth.clientId, status: 'queued' })
  }

  function nextFate({ truth, script, isAccepting }: Job): SubmitFate | 'duplicate' {
    if (isAccepting) return 'duplicate'
    return temper === 'calm' ? 'accepts' : (script.submits[truth.posts.length] ?? 'accepts')
  }

  function accept(job: Job): void {
    job.truth.upstreamId = `up_${byUpstreamId.size + 1}`
    job.truth.createdAt = ++moment
    job.beganAt = Date.now()
    byUpstreamId.set(job.truth.upstreamId, job)
    note(job, `taken as ${job.truth.upstreamId}`)
    for (const share of changes(job.script)) {
      setTimeout(() => callBack(job), share * job.script.workMs + 5)
    }
  }

  async function callBack(job: Job): Promise<void> {
    const status = statusOf(job)
    const change = {
      id: job.truth.upstreamId!,
      clientId: job.truth.clientId,
      status,
      isEnd: status !== 'queued' && status !== 'processing',
    }
    const habit = temper === 'calm' ? 'each change' : job.script.callbacks
    for (const call of callbacksFor(habit, job.callbackUrl, change)) {
      job.truth.callbacksSent++
      count(`callback ${habit}`)
      const isTakenUp = await sendCallback(call)
      if (call.isForged && isTakenUp) job.truth.forgedTaken++
    }
  }

  /** Polls by our ids and look-ups by the client's, many at once. */
  async function ask(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const kind = url.searchParams.has(lookUp) ? 'look-up' : 'poll'
    const fate = await meetAskFate(kind, request, response)
    if (fate === undefined) return
    const ids = (url.searchParams.get(kind === 'poll' ? 'ids' : lookUp) ?? '').split(',')
    const found = ids.flatMap((id) => {
      const job = kind === 'poll' ? byUpstreamId.get(id) : jobOf(id)
      if (job === undefined) return []
      const absent = job.truth.upstreamId === undefined
      if (kind === 'poll') job.truth.asked++
      else job.truth.lookUps.push({ at: ++moment, absent })
      note(job, `${kind}: ${absent ? 'absent' : statusOf(job)}`)
      return absent ? [] : [view(job)]
    })
    answer(response, 200, { jobs: found })
  }

  async function meetAskFate(kind: string, request: IncomingMessage, response: ServerResponse) {
    calls[kind] = (calls[kind] ?? 0) + 1
    const fate = askFate(seed, kind, calls[kind], temper)
    count(`${kind} ${fate}`)
    return (await answerBadly(fate, request, response)) ? undefined : fate
  }

  function view(job: Job) {
    const status = statusOf(job)
    const { clientId, upstreamId } = job.truth
    return {
      id: upstreamId,
      client_id: clientId,
      status,
      ...(status === 'succeeded' && {
        outputs: [{ type: job.script.medium, url: `${origin}/files/${upstreamId}/${++job.linksMade}` }],
      }),
      ...(status === 'failed' && {
        error: job.script.end === 'rejected' ? 'content_policy' : 'generation_failed',
      }),
    }
  }

  async function cancel(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const job = byUpstreamId.get(id)
    const fate = await meetAskFate('cancel', request, response)
    if (fate === undefined) return
    const confirms = job?.script.confirmsCancel === true && isUnderWay(job)
    if (confirms) job.truth.cancelled = true
    if (job !== undefined) note(job, `cancel: ${confirms ? 'confirmed' : 'refused'}`)
    count(`cancel ${confirms ? 'confirmed' : 'refused'}`)
    answer(response, confirms ? 200 : 409, { cancelled: confirms })
  }

  async function file(id: string, link: string, response: ServerResponse): Promise<void> {
    const job = byUpstreamId.get(id)
    if (job === undefined || !isDone(job)) return answer(response, 404, { error: 'not_found' })
    const { truth, script } = job
    const bytes = await fileOf(truth.order, script.medium)
    truth.sha256 = createHash('sha256').update(bytes).digest('hex')
    truth.bytes = bytes.length
    const isFirst = ++truth.fileRequests === 1
    if (script.file === 'expires' && isFirst) job.expiredLink = link
    const fate = script.file === 'expires' ? (job.expiredLink === link ? 'expires' : 'is there') : script.file
    const isBad = fate === 'is missing' || fate === 'expires' || isFirst
    note(job, `file: ${isBad ? fate : 'is there'}`)
    if (isBad && fate !== 'is there') count(`file ${fate}`)
    if (!isBad || fate === 'is there') {
      truth.filesServed++
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
    } else serveBadly(fate, bytes, response)
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://upstream')
    const [, room, id = '', rest = ''] = url.pathname.split('/')
    request.on('error', () => {})
    response.on('error', () => {})
    try {
      if (room === 'files') return await file(id, rest, response)
      if (request.headers.authorization !== `Bearer ${apiKey}`) {
        return answer(response, 401, { error: 'unauthorized' })
      }
      if (request.method === 'GET') return await ask(url, request, response)
      if (rest === 'cancel') return await cancel(id, request, response)
      await submit(request, response)
    } catch (error) {
      // a client that went away in mid-body
      if (!request.socket.destroyed) response.writeHead(400).end(String(error))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: origin,
    set(next) {
      temper = next
    },
    truth: () => ({ jobs: [...jobs.values()].map((job) => job.truth), faults }),
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** When its status changes, as shares of its work. */
function changes({ goesBack }: Script): number[] {
  return goesBack ? [0.3, 0.5, 0.7, 1] : [0.3, 1]
}

function statusOf({ script, beganAt, truth }: Job): string {
  if (truth.cancelled) return 'cancelled'
  const share = (Date.now() - beganAt) / script.workMs
  if (share >= 1) return script.end === 'succeeded' ? 'succeeded' : 'failed'
  const isBack = script.goesBack && share >= 0.5 && share < 0.7
  return share < 0.3 || isBack ? 'queued' : 'processing'
}

function isUnderWay(job: Job): boolean {
  return ['queued', 'processing'].includes(statusOf(job))
}

function isDone(job: Job): boolean {
  return statusOf(job) === 'succeeded'
}

function serveBadly(fate: Script['file'], bytes: Buffer, response: ServerResponse): void {
  const half = bytes.subarray(0, bytes.length / 2)
  const begin = (length: number) => response.writeHead(200, { 'content-length': length })
  if (fate === 'is missing' || fate === 'is missing once') answer(response, 404, { error: 'not_found' })
  else if (fate === 'expires') answer(response, 403, { error: 'expired' })
  else if (fate === 'is too short') begin(half.length).end(half)
  else if (fate === 'stalls') begin(bytes.length).write(half)
  else if (fate === 'is cut off') begin(bytes.length).write(half, () => response.destroy())
  else begin(bytes.length + 1_000).write(bytes, () => response.destroy())
}

// In a process of its own it outlives what is done to the gateways.
if (import.meta.main) {
  const upstream = await startUpstream(JSON.parse(process.argv[2] ?? '{}') as UpstreamOptions)
  process.on('message', (message) => {
    if (message === 'truth') process.send?.(upstream.truth())
    else upstream.set(message as Temper)
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.({ url: upstream.url })
}
