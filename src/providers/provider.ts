import type { JobFailureCode } from '../errors.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** An input file that the gateway has fetched and checked. The file is removed once `submit` has returned. */
export type InputMedia = { path: string; contentType: string } & (
  | { kind: 'image'; width: number; height: number }
  | { kind: 'video'; width: number; height: number; durationSeconds: number; hasSound: boolean }
  | { kind: 'audio'; durationSeconds: number }
)

/** What a provider is told of one job. `input` fits the model's schema, with defaults filled in. */
export interface ProviderRequest {
  /** The gateway's own id of the job. It is the idempotency key handed to the upstream, the same for every attempt. */
  jobId: string
  model: { slug: string; capability: string }
  input: Record<string, Json>
  /** Fetched files by input field, nested ones by dotted path (`elements.characterImages`), in the input's order. */
  media: Record<string, InputMedia[]>
}

/** What comes with every call: it must end when `signal` says so. */
export interface CallContext {
  signal: AbortSignal
}

/** With a submit comes the address at which the upstream may tell that the job has changed. */
export interface SubmitContext extends CallContext {
  callbackUrl: string
}

/** What became of a submit. Only `unknown` leaves open whether the upstream has the job; so does a thrown error. */
export type SubmitOutcome =
  | { outcome: 'accepted'; operation: Json }
  /** The upstream does not want this job, now or later; `message` is for the customer. */
  | { outcome: 'refused'; code: JobFailureCode; message: string }
  /** Not taken because of a rate limit or of too many jobs at once: no fault of job or upstream. */
  | { outcome: 'busy'; retryAfterMs?: number; cause: unknown }
  /** Surely not taken, as the upstream is out of order (5xx before acceptance, no connection). */
  | { outcome: 'unavailable'; retryAfterMs?: number; cause: unknown }
  /** The answer was lost on the way. It is never sent again blindly. */
  | { outcome: 'unknown'; cause: unknown }

/** Whether the upstream has a job of our own id. */
export type FindOutcome = { outcome: 'found'; operation: Json } | { outcome: 'absent' }

/** Where a finished output is: at an upstream's URL (untrusted), or in our own storage (sandbox only). */
export interface ProviderOutput {
  type: 'video' | 'image' | 'audio'
  source: { url: string } | { key: string }
}

/** How a job stands at the upstream; `absent`: it has no such job (any more). */
export type PollOutcome =
  | { status: 'running' }
  | { status: 'succeeded'; outputs: ProviderOutput[] }
  | { status: 'failed'; code: JobFailureCode; message: string }
  | { status: 'absent' }

/** Thrown by `poll`, `find` and `cancel` where the upstream asks for fewer calls: it counts as no failure. */
export class UpstreamBusy extends Error {
  readonly retryAfterMs: number | undefined

  constructor(retryAfterMs?: number) {
    super('the upstream asks for fewer calls')
    this.name = 'UpstreamBusy'
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * One upstream. Implementations keep no job state beyond the opaque operation, and never sleep, retry, price, store
 * or log. A thrown error of `poll`, `find` or `cancel` means "no answer this time".
 */
export interface Provider {
  name: string
  /** Whether it can render jobs of this model. */
  serves(model: { slug: string }): boolean
  /** How long the job must still wait before it may be sent, in ms; 0 sends it now. */
  admit?(request: Pick<ProviderRequest, 'jobId' | 'input'>, waitedMs: number): number
  /** How long such a job usually takes from acceptance to result, in ms; without it what was learnt counts. */
  expectedMs?(request: Pick<ProviderRequest, 'model' | 'input'>): number
  /** How long this job may take from being sent to its result, in ms. */
  timeLimitMs(request: Pick<ProviderRequest, 'model' | 'input'>): number
  /** When to poll next, in ms from now, where what was learnt of the model should not decide; `elapsedMs` counts from acceptance. */
  pollDelayMs?(elapsedMs: number): number
  /** Most operations that one call of `poll` may ask about. */
  pollBatch: number
  /** How long after a lost submit the upstream may still come to have the job, in ms; 30,000 if not given. */
  settleMs?: number
  submit(request: ProviderRequest, context: SubmitContext): Promise<SubmitOutcome>
  /** One outcome per operation, in their order. */
  poll(operations: Json[], context: CallContext): Promise<PollOutcome[]>
  /** Looks a job up by our own id. Without it a lost submit can only be waited for. */
  find?(jobId: string, context: CallContext): Promise<FindOutcome>
  /** True once the upstream has confirmed that the job is stopped and not charged for. */
  cancel?(operation: Json, context: CallContext): Promise<boolean>
  /** Called once the outputs are stored or the job has ended: what the provider keeps for it may go. */
  forget?(operation: Json): Promise<void>
}
