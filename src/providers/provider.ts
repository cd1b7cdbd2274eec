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
  /** The gateway's own id of the job: the idempotency key handed to the upstream. */
  jobId: string
  model: { slug: string; capability: string }
  input: Record<string, Json>
  /** Fetched files by input field, nested ones by dotted path (`elements.characterImages`), in the input's order. */
  media: Record<string, InputMedia[]>
}

/** `unknown`: the answer of a submit that may have been accepted was lost. It is never sent again blindly. */
export type SubmitOutcome =
  | { outcome: 'accepted'; operation: Json }
  | { outcome: 'refused'; code: JobFailureCode; message: string }
  | { outcome: 'unknown'; cause: unknown }

/** Where a finished output is: at an upstream's URL (untrusted), or in a file on this machine (sandbox only). */
export interface ProviderOutput {
  type: 'video' | 'image' | 'audio'
  source: { url: string } | { file: string }
}

export type PollOutcome =
  | { status: 'running' }
  | { status: 'succeeded'; outputs: ProviderOutput[] }
  | { status: 'failed'; code: JobFailureCode; message: string }

/**
 * One upstream. Implementations keep no job state beyond the opaque operation, and never retry, price, store
 * or log. A thrown error of `poll` means "no answer this time".
 */
export interface Provider {
  name: string
  /** How long the job must still wait before it may be sent, in ms; 0 sends it now. */
  admit?(request: Pick<ProviderRequest, 'jobId' | 'input'>, waitedMs: number): number
  /** True if a submit that is repeated with the same jobId makes no second job at the upstream. */
  submitIsIdempotent: boolean
  /** How long such a job usually takes from dispatch to result, in ms; without it the catalogue's figure counts. */
  expectedMs?(request: Pick<ProviderRequest, 'model' | 'input'>): number
  /** How long this job may take from dispatch to result, in ms. */
  timeLimitMs(request: Pick<ProviderRequest, 'model' | 'input'>): number
  /** When to poll next, in ms from now; `elapsedMs` counts from dispatch. */
  pollDelayMs(elapsedMs: number): number
  submit(request: ProviderRequest): Promise<SubmitOutcome>
  poll(operation: Json): Promise<PollOutcome>
  /** Called once the outputs are stored or the job has ended: what the provider keeps for it may go. */
  forget?(operation: Json): Promise<void>
}
