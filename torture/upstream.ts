import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { deliver, deliveriesOf } from './callbacks.ts'
import { type Answer, answer, answerBadly } from './faults.ts'
import { fileOf } from './film.ts'
import { type Job, openJournal } from './journal.ts'
import type { FileFate, Temper } from './script.ts'
import type { UpstreamName } from './truth.ts'
import { type Keys, startVendors, type Vendor } from './vendors.ts'

// What lies around the gateways, in a process of its own that outlives them: the protocol servers of the vendors, the lines
// to them, on which what the seed says happens to every call and answer, the files that they make, and the one public
// address of all gateways, where upstreams call back and fetch what they are lent.

export interface UpstreamOptions {
  seed: number
  /** Of the jobs' scripts, but for those whose prompt asks for calm. */
  temper: Temper
  keys: Keys
}

/** What it is told. */
export type News = { temper: Temper } | { hasCredit: boolean } | { gateways: string[] } | 'truth'

interface Call {
  request: IncomingMessage
  response: ServerResponse
  url: URL
  raw: Buffer
}

const laterMs = 700
const ownHeaders = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'transfer-encoding',
  'date',
])

const options = JSON.parse(process.argv[2] ?? '{}') as UpstreamOptions
const journal = openJournal(options, (jobId) => `${origin}/made/${jobId}/0`)
const vendors = await startVendors(options.keys, journal.planOf)
let gateways: string[] = []
let linksMade = 0

const server = createServer(async (request, response) => {
  request.on('error', () => {})
  response.on('error', () => {})
  try {
    const url = new URL(request.url ?? '', 'http://upstream')
    const call: Call = { request, response, url, raw: await buffer(request) }
    const [, room = '', id = '', link = ''] = url.pathname.split('/')
    if (room === 'made') await file(journal.job(id)!, link, response)
    else if (room === 'callbacks') callBack(call)
    else if (room === 'files') answer(response, await toAnyGateway('GET', url.pathname + url.search, {}))
    else
      await toVendor(room as UpstreamName, {
        ...call,
        url: new URL(request.url!.slice(room.length + 1), 'http://upstream'),
      })
  } catch (error) {
    // a client, or the vendor, that went away in the midst of it
    if (!request.socket.destroyed) request.socket.resetAndDestroy()
    if (!(error instanceof TypeError && error.message === 'fetch failed')) throw error
  }
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function toVendor(name: UpstreamName, call: Call): Promise<void> {
  const vendor = vendors[name]
  const method = call.request.method ?? ''
  const jobId = vendor.jobOf(method, call.url, call.raw.toString())
  if (jobId !== undefined) await submit(name, vendor, jobId, call)
  else if (method === 'GET') await ask(name, vendor, call)
  else answer(call.response, await forward(vendor, call))
}

async function submit(name: UpstreamName, vendor: Vendor, jobId: string, call: Call): Promise<void> {
  const { request, response, raw } = call
  const { job, post } = journal.post(name, jobId, raw.toString())
  const { fate } = job
  if (fate === 'babbles') return void (await answerBadly(fate, request, response))
  if (fate === 'resets, accepts later') {
    request.socket.resetAndDestroy()
    await sleep(laterMs)
    return void (await forward(vendor, call))
  }
  const given = await forward(vendor, call)
  const refusal = given.status < 300 ? 'open' : vendor.refusal(given.status, given.body.toString())
  journal.note(job, `it answered ${given.status}${refusal === 'open' ? '' : `: ${refusal}`}`)
  if (refusal === 'taken') journal.count(`${name} submit of what it has`)
  const isPlanned = !fate.startsWith('accepts') || refusal !== 'refused'
  if (!isPlanned && !/cannot be downloaded/.test(given.body.toString()))
    journal.unwanted(job, given.body.toString())
  response.on('finish', () => {
    if (refusal === 'refused') journal.refused(post)
  })
  if (!(await answerBadly(fate, request, response))) answer(response, given)
}

/** Questions, by our ids or the vendor's. */
async function ask(name: UpstreamName, vendor: Vendor, { request, response, url, raw }: Call): Promise<void> {
  const jobId = vendor.lookedUp('GET', url)
  const kind = `${name} ${jobId === undefined ? 'question' : 'look-up'}`
  const fate = journal.ask(kind)
  if (await answerBadly(fate, request, response)) return
  if (fate === 'is busy' || fate === 'is busy for a second') {
    const headers = { ...(fate === 'is busy for a second' && { 'retry-after': '1' }) }
    return say(response, { ...vendor.busy, headers })
  }
  if (fate === '500') return say(response, vendor.broken)
  const job = jobId === undefined ? undefined : journal.job(jobId)
  const isHidden = job?.script.hides === true && job.truth.posts.length === 1
  const isDenied = fate === 'knows of nothing' || isHidden
  const given = isDenied ? undefined : await forward(vendor, { request, url, raw })
  if (job !== undefined) journal.lookUp(job, isDenied || vendor.made(jobId!).length === 0)
  if (given === undefined) return say(response, vendor.nothing(url))
  const odd = /"(submitted|processing|succeeded?|failed|IN_QUEUE|IN_PROGRESS|COMPLETED)"/g
  const text = given.body.toString().replaceAll(/(\/made\/\w+)\/\d+/g, (_, path) => `${path}/${++linksMade}`)
  answer(response, { ...given, body: fate === 'says odd words' ? text.replaceAll(odd, '"archived"') : text })
}

function say(
  response: ServerResponse,
  { status, body, headers = {} }: { status: number; body: unknown; headers?: object },
): void {
  answer(response, {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

/** Throws where the vendor cuts the connection. */
async function forward(vendor: Vendor, { request, url, raw }: Omit<Call, 'response'>): Promise<Answer> {
  return fetchWhole(vendor.url + url.pathname + url.search, request.method ?? 'GET', headersOf(request), raw)
}

async function fetchWhole(
  url: string,
  method: string,
  headers: Record<string, string>,
  raw?: Buffer,
): Promise<Answer> {
  const body = raw === undefined || raw.length === 0 ? {} : { body: new Uint8Array(raw) }
  const found = await fetch(url, {
    method,
    headers,
    ...body,
    redirect: 'manual',
    signal: AbortSignal.timeout(20_000),
  })
  const kept = [...found.headers].filter(([name]) => !ownHeaders.has(name))
  return {
    status: found.status,
    headers: Object.fromEntries(kept),
    body: Buffer.from(await found.arrayBuffer()),
  }
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (ownHeaders.has(name) ? [] : [[name, String(value)]])),
  )
}

/** As a balancer does it: the first that answers. */
async function toAnyGateway(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: Buffer,
): Promise<Answer> {
  for (const gateway of gateways.toSorted(() => Math.random() - 0.5)) {
    const found = await fetchWhole(gateway + path, method, headers, body).catch(() => undefined)
    if (found !== undefined) return found
  }
  return { status: 502, body: '' }
}

/** fal tries for hours to have a callback taken; of Kling that is not known. */
function callBack({ request, response, url, raw }: Call): void {
  const [, , upstream, token = ''] = url.pathname.split('/')
  const job = journal.job(token.split('.')[0]!)!
  const habit = journal.temper === 'calm' ? 'each change' : job.script.callbacks
  const deliveries = deliveriesOf(habit, { path: url.pathname, headers: headersOf(request), body: raw })
  void deliver(deliveries, upstream === 'fal', async ({ kind, path, headers, body }) => {
    journal.count(`${upstream} callback ${kind}`)
    const { status } = await toAnyGateway('POST', path, headers, body)
    journal.calledBack(job, kind, status)
    return status
  })
  answer(response, { status: 200, body: '' })
}

async function file(job: Job, link: string, response: ServerResponse): Promise<void> {
  const { truth, script, order } = job
  const bytes = await fileOf(order)
  truth.sha256 = createHash('sha256').update(bytes).digest('hex')
  truth.bytes = bytes.length
  const isFirst = ++truth.fileRequests === 1
  if (isFirst) job.expiredLink = link
  const isBad = script.file === 'expires' ? job.expiredLink === link : isFirst || script.file === 'is missing'
  const fate: FileFate = isBad ? script.file : 'is there'
  journal.note(job, `file: ${fate}`)
  if (fate !== 'is there') journal.count(`file ${fate}`)
  serveFile(fate, bytes, response)
}

function serveFile(fate: FileFate, bytes: Buffer, response: ServerResponse): void {
  const half = bytes.subarray(0, bytes.length / 2)
  const begin = (length: number) =>
    response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': length })
  if (fate === 'is there') begin(bytes.length).end(bytes)
  else if (fate === 'is missing' || fate === 'is missing once') response.writeHead(404).end()
  else if (fate === 'expires') response.writeHead(403).end()
  else if (fate === 'is too short') begin(half.length).end(half)
  else if (fate === 'stalls') begin(bytes.length).write(half)
  else if (fate === 'is cut off') begin(bytes.length).write(half, () => response.destroy())
  else begin(bytes.length + 1_000).write(bytes, () => response.destroy())
}

process.on('message', (news: News) => {
  if (news === 'truth') {
    const madeOf = (jobId: string) => Object.values(vendors).flatMap((vendor) => vendor.made(jobId))
    process.send?.(journal.truth(madeOf))
  } else if ('temper' in news) journal.set(news.temper)
  else if ('hasCredit' in news) journal.setCredit(news.hasCredit)
  else gateways = news.gateways
})
process.on('disconnect', () => process.exit(0))
process.send?.({ url: origin })
