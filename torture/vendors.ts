import { type Fal, type FalBehaviour, startFal } from '../test/upstreams/fal.ts'
import { type Behaviour, type Billing, type KlingServer, startKling } from '../test/upstreams/kling.ts'
import type { Script, SubmitFate } from './script.ts'
import type { Made, UpstreamName } from './truth.ts'

// The protocol servers, each with what the harness must know of its vendor: how a fate is said there, and what it made.

export interface Keys {
  kling: string
  klingWebhooks: string
  fal: string
}

/** What one submit is to come to. */
export interface Plan {
  fate: SubmitFate
  script: Script
  order: number
  fileUrl: string
}

export interface Vendor {
  url: string
  /** A submit by its job, if it is one. */
  jobOf(method: string, url: URL, body: string): string | undefined
  /** The job that a question looks for by our own id. */
  lookedUp(method: string, url: URL): string | undefined
  made(jobId: string): Made[]
  /** Answers without a word of whether there is such a task. */
  busy: { status: number; body: unknown }
  broken: { status: number; body: unknown }
  /** As if it had nothing of what is asked for. */
  nothing(url: URL): { status: number; body: unknown }
  /** Whether an answer that is no success says that the job was not taken; `taken`: it has it from before. */
  refusal(status: number, body: string): 'refused' | 'taken' | 'open'
}

/** The protocol servers; `planOf` tells what is to become of the submit that is under way for a job. */
export async function startVendors(
  keys: Keys,
  planOf: (order: number) => Plan | undefined,
): Promise<Record<UpstreamName, Vendor>> {
  const plan = (body: unknown) =>
    planOf(orderIn(JSON.stringify(body, (_, value) => (typeof value === 'bigint' ? String(value) : value))))
  const kling = await startKling({
    apiKey: keys.kling,
    webhookSecret: keys.klingWebhooks,
    behave: ({ body }) => klingBehaviour(plan(body), keys.kling),
  })
  const fal = await startFal({
    apiKey: keys.fal,
    // as of a new account, so that there is a queue out of which a job can be taken
    concurrency: 4,
    behave: ({ body }) => falBehaviour(plan(body), keys.fal),
  })
  return { kling: klingVendor(kling), fal: falVendor(fal) }
}

/** The number of the order that a prompt tells of. */
export function orderIn(body: string): number {
  return Number(/order (\d+)/.exec(body)?.[1] ?? -1)
}

// every complaint repeats the key: it must not get into any log
const klingErrors: Partial<Record<SubmitFate, { code: number; headers?: Record<string, string> }>> = {
  'accepts, then 500': { code: 5000 },
  'accepts, then 504': { code: 5002 },
  '500': { code: 5000 },
  '504': { code: 5002 },
  'is busy': { code: 1302 },
  'is busy for a second': { code: 1303, headers: { 'retry-after': '1' } },
  'is maintained': { code: 5001 },
  'refuses the content': { code: 1301 },
  'refuses the parameters': { code: 1201 },
  'has no credit': { code: 1102 },
}

function klingBehaviour(plan: Plan | undefined, key: string): Behaviour {
  if (plan === undefined) return {}
  const { fate, script, order, fileUrl } = plan
  const known = klingErrors[fate]
  const error = known && { ...known, message: `not now, ${key}` }
  const fails = { failed: 'the service is overloaded', rejected: 'Failure to pass the risk control system' }
  return {
    takesMs: script.workMs,
    outputs: [{ id: '1', url: fileUrl, duration: '5' }],
    billing: billOf(script, order),
    ...(script.end !== 'succeeded' && { fail: fails[script.end], billing: [] }),
    ...lost(fate),
    ...(error && (fate.startsWith('accepts') ? { crash: error } : { refuse: error })),
  }
}

const falErrors: Partial<Record<SubmitFate, FalBehaviour['refuse'] & object>> = {
  'accepts, then 500': { status: 500 },
  'accepts, then 504': { status: 504 },
  '500': { status: 500 },
  '504': { status: 504 },
  'is busy': { status: 429 },
  'is busy for a second': { status: 429, headers: { 'retry-after': '1' } },
  'is maintained': { status: 429 },
  'refuses the content': { status: 422, type: 'content_policy_violation' },
  'refuses the parameters': { status: 422, type: 'value_error' },
  'has no credit': { status: 403 },
}

function falBehaviour(plan: Plan | undefined, key: string): FalBehaviour {
  if (plan === undefined) return {}
  const { fate, script, fileUrl } = plan
  const known = falErrors[fate]
  const error = known && { ...known, text: `not now, ${key}` }
  const fails = { failed: 'internal_server_error', rejected: 'content_policy_violation' } as const
  return {
    takesMs: script.workMs,
    outputs: { video: { url: fileUrl, content_type: 'video/mp4' } },
    ...(script.end !== 'succeeded' && { fail: fails[script.end] }),
    ...lost(fate),
    ...(error && (fate.startsWith('accepts') ? { crash: error } : { refuse: error })),
  }
}

function lost(fate: SubmitFate): { lose?: 'before' | 'after' } {
  if (fate === 'resets') return { lose: 'before' }
  return fate === 'accepts, then resets' ? { lose: 'after' } : {}
}

function billOf({ bill }: Script, order: number): Billing[] {
  const amount = `0.${String(1_000 + (order % 9_000))}`
  if (bill === 'nothing') return []
  if (bill === 'units') return [{ charge_type: 'unit', amount: '10', package_type: 'video' }]
  const currency = bill === 'dollars' ? 'USD' : 'CNY'
  return [
    { charge_type: 'cash', cash_type: 'balance', amount, currency, package_type: 'video', list_price: '0.9' },
  ]
}

function klingVendor(kling: KlingServer): Vendor {
  const errorOf = (code: number) => ({ code, message: 'not now', request_id: 'x' })
  return {
    url: kling.url,
    jobOf: (method, _, body) =>
      method === 'POST' ? /"external_task_id":"(job_\w+)"/.exec(body)?.[1] : undefined,
    lookedUp: (method, { pathname, searchParams }) => {
      const id = searchParams.get('external_task_ids') ?? /^\/v1\/videos\/\w+\/(job_\w+)$/.exec(pathname)?.[1]
      return method === 'GET' ? (id ?? undefined) : undefined
    },
    made: (jobId) =>
      [...kling.tasks.values()].flatMap(({ externalId, id, behaviour, status, product }) =>
        externalId === jobId
          ? [
              {
                upstream: 'kling',
                id,
                isCancelled: false,
                ...billed(behaviour.billing ?? [], status, product.generation),
              },
            ]
          : [],
      ),
    busy: { status: 429, body: errorOf(1302) },
    broken: { status: 500, body: errorOf(5000) },
    nothing: ({ pathname }) =>
      pathname === '/tasks'
        ? { status: 200, body: { code: 0, message: 'SUCCEED', request_id: 'x', data: [] } }
        : { status: 400, body: { ...errorOf(1201), message: 'Task not found' } },
    refusal(status, body) {
      const code = Number(/"code":(\d+)/.exec(body)?.[1])
      if (code === 1201 && body.includes('already exists')) return 'taken'
      return status < 500 || code === 5001 ? 'refused' : 'open'
    },
  }
}

/** In the legacy standard no currency is told. */
function billed(billing: Billing[], status: string, generation: string): Pick<Made, 'billedMicroCents'> {
  if (status !== 'succeeded') return {}
  if (generation === 'legacy') return { billedMicroCents: null }
  const [only] = billing
  if (only === undefined) return {}
  return { billedMicroCents: only.currency === 'USD' ? Math.round(Number(only.amount) * 1_000_000) : null }
}

function falVendor(fal: Fal): Vendor {
  return {
    url: fal.url,
    jobOf: (method, url) =>
      method === 'POST' ? /(job_\w+)\./.exec(url.searchParams.get('fal_webhook') ?? '')?.[1] : undefined,
    lookedUp: () => undefined,
    made: (jobId) =>
      [...fal.tasks.values()].flatMap(({ id, webhookUrl, isCancelled, status }) =>
        webhookUrl?.includes(`${jobId}.`)
          ? [
              {
                upstream: 'fal',
                id,
                isCancelled,
                ...(status === 'COMPLETED' && !isCancelled && { billedMicroCents: null }),
              },
            ]
          : [],
      ),
    busy: { status: 429, body: { detail: 'Too many requests' } },
    broken: { status: 500, body: { detail: 'Internal Server Error' } },
    nothing: () => ({ status: 404, body: { detail: 'Request not found', status: 'NOT_FOUND' } }),
    refusal: (status) => (status < 500 ? 'refused' : 'open'),
  }
}
