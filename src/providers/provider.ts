import type { Clock } from '../clock.ts'
import type { JobFailureCode } from '../errors.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/**
 * An input file as the upstream may have it: fetched, checked, and made into a type that it takes, with nothing in it but the
 * picture or sound. The file is removed once `submit` has returned. `sourceUrl` is where the customer has it, of a film that
 * can only be passed on by that: what is there may have changed since.
 */
export type InputMedia = { path: string; contentType: string; sourceUrl?: string } & (
  | { kind: 'image'; width: number; height: number }
  | { kind: 'video'; width: number; height: number; durationSeconds: number; hasSound: boolean }
  | { kind: 'audio'; durationSeconds: number }
)

/** A way to have a model's jobs made; the catalogue lists them in order of preference. */
export interface Route {
  upstream: string
  /** What the upstream calls the model; its adapter knows how our input is said there. */
  model: string
  /** What every job of the route has, beside its input: a resolution, a tier. */
  settings?: Record<string, string>
}

/** A job as it is described before its files are there. `input` fits the model's schema, with defaults filled in. */
export interface JobDescription {
  /** The gateway's own id of the job. It is the idempotency key handed to the upstream, the same for every attempt. */
  jobId: string
  model: { slug: string; capability: string }
  route: Route
  input: Record<string, Json>
}

/** What a provider is told of one job. */
export interface ProviderRequest extends JobDescription {
  /** Fetched files by input field, nested ones by dotted path (`elements.characterImages`), in the input's order. */
  media: Record<string, InputMedia[]>
  /** What `prepare` has made ready. */
  prepared?: Json
}

/** What comes with every call: it must end when `signal` says so. */
export interface CallContext {
  signal: AbortSignal
}

/** The types of files that an upstream takes, the most welcome one first. */
export type MediaTypes = Record<InputMedia['kind'], readonly string[]>

/**
 * `publish` is called before anything is sent: a submit in which it throws has sent nothing. What it throws is let through, or
 * handed on as the `cause` of `unavailable`.
 */
export interface PrepareContext extends CallContext {
  /**
   * A URL at which the upstream can fetch exactly the bytes that were checked, for as long as the job may take; undefined where
   * this server can't be reached from outside.
   */
  publish(file: InputMedia): Promise<string | undefined>
}

/** Thrown by `publish` where it can't be done now. The job is sent later: the upstream has failed in nothing. */
export class NotSent extends Error {
  constructor(cause: unknown) {
    super('an input file could not be made ready', { cause })
    this.name = 'NotSent'
  }
}

/** With a submit comes the address at which the upstream may tell that the job has changed, if it can reach this server. */
export interface SubmitContext extends PrepareContext {
  callbackUrl: string | undefined
}

export interface Refused {
  outcome: 'refused'
  code: JobFailureCode
  message: string
  elsewhere?: boolean
}

/**
 * Not taken, nor will others be before the operator has done something: a wrong key, no credit, no permission, a model that is
 * switched off. `scope`: all that goes to this upstream, or the model of the route alone.
 */
export interface Suspended {
  outcome: 'suspended'
  scope: 'upstream' | 'model'
  reason: SuspensionReason
  cause: unknown
}

/** What the operator must mend: the key, the credit, what the account may do, or a model that is switched off. */
export type SuspensionReason = 'key' | 'credit' | 'permission' | 'model'

/** What became of a submit. Only `unknown` leaves open whether the upstream has the job; so does a thrown error. */
export type SubmitOutcome =
  | { outcome: 'accepted'; operation: Json }
  /**
   * The upstream does not want this job, now or later; `message` is for the customer. `elsewhere`: that says nothing about
   * what another upstream would do with it.
   */
  | Refused
  | Suspended
  /** Not taken because of a rate limit or of too many jobs at once: no fault of job or upstream. */
  | { outcome: 'busy'; retryAfterMs?: number; cause: unknown }
  /** Surely not taken, as the upstream is out of order (5xx before acceptance, no connection). */
  | { outcome: 'unavailable'; retryAfterMs?: number; cause: unknown }
  /** The answer was lost on the way. It is never sent again blindly. */
  | { outcome: 'unknown'; cause: unknown }

/** What the upstream must have before a job can be sent. */
export type PrepareOutcome =
  | { outcome: 'ready'; prepared: Json }
  /** It is being made ready: ask again in a while. */
  | { outcome: 'pending'; delayMs: number }
  /** The input files are needed for it. */
  | { outcome: 'files' }
  | Refused
  | Suspended
  | Extract<SubmitOutcome, { outcome: 'busy' | 'unavailable' }>

/** What the upstream says that it charged for a job: for the operator, in its own words, and in micro-cents where it says so in dollars. */
export interface Billed {
  microCents?: number
  statement: Json
}

/** Whether the upstream has a job of our own id. */
export type FindOutcome = { outcome: 'found'; operation: Json } | { outcome: 'absent' }

/** Where a finished output is: at an upstream's URL (untrusted), or in our own storage (sandbox only). */
export interface ProviderOutput {
  type: 'video' | 'image' | 'audio'
  source: { url: string } | { key: string }
}

/** How a job stands at the upstream; `absent`: it has no such job (any more). */
export type PollOutcome =
  // held: our own trouble keeps it, and the time of the job does not run meanwhile
  | { status: 'running'; isHeld?: boolean }
  | { status: 'succeeded'; outputs: ProviderOutput[]; billed?: Billed }
  | { status: 'failed'; code: JobFailureCode; message: string; billed?: Billed }
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

/** What an upstream has POSTed to a job's callback URL. The bytes are as they came. */
export interface UpstreamCallback {
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/** Whether a callback is the upstream's own. `operation`: under which it has the job; only a genuine one is believed. */
export type CallbackVerdict =
  | { verdict: 'genuine'; operation?: Json }
  /** Not signed, and it need not be: it is a hint that something has changed. */
  | { verdict: 'unsigned' }
  | { verdict: 'forged'; cause: string }

/** The answer to one free authenticated call, in words for the operator. */
export interface CheckOutcome {
  isWell: boolean
  /** It has answered, whatever. */
  isReached: boolean
  explanation: string
  /** Of what may have kept jobs away: what a good answer shows to be mended. */
  proves?: SuspensionReason[]
}

/** What of an input an upstream can't do; `path` is the field. */
export interface Unfit {
  path: string
  message: string
}

/**
 * One upstream. Implementations keep no job state beyond the opaque operation, and never sleep, retry, price, store
 * or log. A thrown error of `poll`, `find` or `cancel` means "no answer this time".
 */
export interface Provider {
  name: string
  /** By which its accounts can be told apart: that a job is absent only the account that it was sent with can say. */
  account?: string
  /** Types of files that it takes; where it does not say, JPEG and PNG, MP4, MP3 and WAV. */
  takes?: Partial<MediaTypes>
  /** It reads films from where they lie, and needs no address at which to fetch them. */
  readsFiles?: true
  /** What of the input it can't do on this route; undefined if it can do all of it. Asked before the job is charged for. */
  fits?(job: Pick<JobDescription, 'route' | 'input'>): Unfit | undefined
  /** How long the job must still wait before it may be sent, in ms; 0 sends it now. */
  admit?(request: Pick<JobDescription, 'jobId' | 'input'>, waitedMs: number): number
  /** What keeps it from working here, in words for the operator; undefined where nothing does. */
  trouble?(): string | undefined
  /** How long such a job usually takes from acceptance to result, in ms; without it what was learnt counts. */
  expectedMs?(request: Pick<JobDescription, 'model' | 'input'>): number
  /** How long this job may take from being sent to its result, in ms. */
  timeLimitMs(request: Pick<JobDescription, 'model' | 'input'>): number
  /** When to poll next, in ms from now, where what was learnt of the model should not decide; `elapsedMs` counts from acceptance. */
  pollDelayMs?(elapsedMs: number): number
  /** Most operations that one call of `poll` may ask about. */
  pollBatch: number
  /** How long after a lost submit the upstream may still come to have the job, in ms; 30,000 if not given. */
  settleMs?: number
  /**
   * Makes ready what the job refers to. Free, and safe to repeat from the start: it is asked before each attempt, first without
   * files, until it answers `ready`.
   */
  prepare?(request: JobDescription | ProviderRequest, context: PrepareContext): Promise<PrepareOutcome>
  submit(request: ProviderRequest, context: SubmitContext): Promise<SubmitOutcome>
  /** One outcome per operation, in their order. */
  poll(operations: Json[], context: CallContext): Promise<PollOutcome[]>
  /** Looks a job up by our own id. Without it a lost submit can only be waited for. */
  find?(job: JobDescription, context: CallContext): Promise<FindOutcome>
  /** True once the upstream has confirmed that the job is stopped and not charged for. */
  cancel?(operation: Json, context: CallContext): Promise<boolean>
  /** Called once the outputs are stored or the job has ended: what the provider keeps for it may go. */
  forget?(operation: Json, context: CallContext): Promise<void>
  /** Tells whether a callback is the upstream's own. */
  readCallback?(
    callback: UpstreamCallback,
    job: { jobId: string; route: Route },
    context: CallContext,
  ): Promise<CallbackVerdict>
  /** Makes one free call with the credentials. */
  check?(context: CallContext): Promise<CheckOutcome>
}

/** What the operator has set of an upstream. */
export interface UpstreamSettings {
  baseUrl: string
  apiKey?: string
  accessKey?: string
  secretKey?: string
  webhookSecret?: string
}

/** An upstream that this gateway can speak to, once there are credentials for it. */
export interface Upstream {
  name: string
  /** As for people. */
  title: string
  defaultBaseUrl: string
  /** The models that it knows how to be asked for: what routes may name. */
  models: readonly string[]
  /** Tokens and the times of callbacks go by `clock`, by default this process's. */
  open(settings: UpstreamSettings, clock?: Clock): Provider
}
