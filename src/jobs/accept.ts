import type { Caller } from '../accounts/authenticate.ts'
import type { Catalogue, Model, ModelVersion } from '../catalogue/load.ts'
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Outbound } from '../outbound.ts'
import type { RateLimit, RateLimits } from '../policy/rate-limits.ts'
import { hashJson, issueQuote, quotedVersion, quoteLifeMs, redeemQuote } from '../pricing/quote.ts'
import type { Json } from '../providers/provider.ts'
import { checkWebhookUrl } from '../webhooks/check-url.ts'
import type { Expectations } from './expectations.ts'
import { completeInput, findModel, findVersion, priceInput } from './model-input.ts'
import type { Candidate, CandidatesOf } from './routes.ts'
import type { Submit } from './submit.ts'
import { allSuspended, noCandidate, takingCandidate, type WhenSuspended } from './takes-jobs.ts'
import type { Accepted, Submission } from './write-batch.ts'

export interface AcceptContext {
  catalogue: Catalogue
  clock: Clock
  outbound: Outbound
  submit: Submit
  findReplay(
    accountId: bigint,
    idempotency: NonNullable<Submission['idempotency']>,
    now: Date,
  ): Promise<Accepted | undefined>
  quoteSecret: string
  rateLimits: RateLimits
  expectations: Pick<Expectations, 'completionMs'>
  candidates: CandidatesOf
  whenSuspended: WhenSuspended
  /** Which job tries whether a suspended upstream takes jobs again: one over all processes. */
  probes: {
    take(candidate: Candidate, jobId: string): Promise<boolean>
    release(jobId: string): Promise<void>
  }
}

export interface SubmitRequest {
  model: string
  version?: string | undefined
  input: Record<string, unknown>
  webhookUrl?: string | undefined
  metadata?: Record<string, string> | undefined
  maxCostMicroCents?: number | undefined
  quoteId?: string | undefined
}

/**
 * Takes a job: checks and prices it, then writes it durably. Throws an ApiError, with nothing charged or
 * queued, wherever the request can't be taken as it is. A request that comes again with its Idempotency-Key is
 * answered as the first time, even if it could not be taken now (its quote is over, say).
 */
export async function acceptJob(
  context: AcceptContext,
  caller: Caller,
  request: SubmitRequest,
  options: { requestId: string; idempotencyKey: string | undefined },
): Promise<Accepted> {
  const { requestId, idempotencyKey } = options
  const idempotency =
    idempotencyKey === undefined ? undefined : { key: idempotencyKey, requestHash: hashJson(request) }
  const now = context.clock.now()
  try {
    const { isProbe, ...prepared } = await prepare(context, caller, request, now)
    const submit = () => context.submit({ ...prepared, requestId, idempotency })
    return await (isProbe ? submitProbe(context, prepared.jobId, submit) : submit())
  } catch (error) {
    const isRefusal = error instanceof ApiError && error.code !== 'PUBSUB_PUBLISH_FAILED'
    const replay = idempotency && isRefusal && (await context.findReplay(caller.accountId, idempotency, now))
    if (replay) return replay
    throw error
  }
}

/** Where this job was to try whether an upstream takes jobs again, and never comes to be, another may. */
async function submitProbe(
  { probes }: Pick<AcceptContext, 'probes'>,
  jobId: string,
  submit: () => Promise<Accepted>,
): Promise<Accepted> {
  let taken: string | undefined
  try {
    const accepted = await submit()
    taken = accepted.jobId
    return accepted
  } finally {
    // without an answer of the database it is released by time
    if (taken !== jobId) await probes.release(jobId).catch(() => {})
  }
}

async function prepare(
  context: AcceptContext,
  caller: Caller,
  request: SubmitRequest,
  now: Date,
): Promise<Omit<Submission, 'requestId' | 'idempotency'> & { isProbe: boolean }> {
  const model = findModel(context.catalogue, caller.policy, caller, request.model)
  const version = findVersion(caller, model, request.version ?? versionOfQuote(model, request.quoteId))
  for (const limit of limitsOf(caller, model, version)) await context.rateLimits.take(limit)
  const candidates = candidatesFor(context, caller, model, version)
  const input = completeInput(version, request.input)
  const able = fitting(candidates, input as Record<string, Json>)
  const { whenSuspended } = context
  const { candidate, isProbe } = takingCandidate(caller.policy, model, able, { whenSuspended, now })
  const { provider } = candidate
  const { costMicroCents, basis } = agree(context, caller, request, { model, version, input }, now)
  const webhookUrl =
    request.webhookUrl === undefined
      ? undefined
      : await checkWebhookUrl(context.outbound, request.webhookUrl, 'webhookUrl')
  const usualMs = provider.expectedMs?.({ model, input: input as Record<string, Json> })
  const completionMs = context.expectations.completionMs(provider, { modelSlug: model.slug, usualMs })
  const jobId = newId('job', now)
  // last, as nothing that refuses the job may come behind it
  if (isProbe && !(await context.probes.take(candidate, jobId))) throw allSuspended(model)
  return {
    isProbe,
    jobId,
    accountId: caller.accountId,
    apiKeyId: caller.keyId,
    modelSlug: model.slug,
    modelVersion: version.version,
    provider: provider.name,
    input,
    metadata: request.metadata,
    webhookUrl,
    costMicroCents,
    priceBasis: basis,
    createdAt: now,
    estimatedCompletionAt: new Date(now.getTime() + completionMs),
  }
}

function candidatesFor(
  { candidates }: Pick<AcceptContext, 'candidates'>,
  caller: Caller,
  model: Model,
  version: ModelVersion,
): Candidate[] {
  const found = candidates(caller.mode, model, version)
  if (found.length > 0) return found
  throw noCandidate(caller.policy, model, version)
}

/** Those that can do all that the input asks for. */
function fitting(candidates: Candidate[], input: Record<string, Json>): [Candidate, ...Candidate[]] {
  const tried = candidates.map((candidate) => ({
    candidate,
    unfit: candidate.provider.fits?.({ route: candidate.route, input }),
  }))
  const [first, ...others] = tried.flatMap(({ candidate, unfit }) => (unfit === undefined ? [candidate] : []))
  if (first !== undefined) return [first, ...others]
  const issue = tried[0]!.unfit!
  throw new ApiError('INVALID_INPUT', `${issue.path} ${issue.message}`, { issues: [issue] })
}

// Another version may have become the current one since: the quote holds whatever changed.
function versionOfQuote({ versions }: Model, quoteId: string | undefined): string | undefined {
  const quoted = quoteId === undefined ? undefined : quotedVersion(quoteId)
  return versions.find(({ version }) => version === quoted)?.version
}

interface Subject {
  model: Model
  version: ModelVersion
  input: Record<string, unknown>
}

// Counted for each user and mode apart: what one sends never uses up another's.
function limitsOf(caller: Caller, model: Model, { version }: ModelVersion): RateLimit[] {
  const settings = caller.policy.versions.get(`${model.slug} ${version}`)
  const key = `${caller.accountId} ${model.slug} ${version}`
  const limit = (most: number | null | undefined, windowSeconds: RateLimit['windowSeconds']) =>
    most == null ? [] : [{ key, most, windowSeconds, subject: `${model.slug} ${version}` }]
  return [...limit(settings?.requestsPerMinute, 60), ...limit(settings?.requestsPerDay, 86_400)]
}

function agree(
  { quoteSecret }: AcceptContext,
  caller: Caller,
  request: SubmitRequest,
  subject: Subject,
  now: Date,
): { costMicroCents: bigint; basis: string } {
  const { costMicroCents, basis } =
    request.quoteId === undefined
      ? presentPrice(caller, subject)
      : {
          costMicroCents: quotedPrice(request.quoteId, caller, subject, now, quoteSecret),
          basis: 'quote',
        }
  const { maxCostMicroCents } = request
  if (maxCostMicroCents !== undefined && costMicroCents > BigInt(maxCostMicroCents)) {
    throw new ApiError(
      'COST_LIMIT_EXCEEDED',
      `The job costs ${costMicroCents} micro-cents, more than maxCostMicroCents (${maxCostMicroCents}). Nothing was charged.`,
      { costMicroCents: Number(costMicroCents), maxCostMicroCents },
    )
  }
  return { costMicroCents, basis }
}

function presentPrice(caller: Caller, { model, version, input }: Subject) {
  const { costMicroCents, override } = priceInput(caller, model, version, input)
  return { costMicroCents, basis: override?.id ?? 'list' }
}

function quotedPrice(quoteId: string, caller: Caller, subject: Subject, now: Date, secret: string): bigint {
  const redeemed = redeemQuote(quoteId, quoteSubject(caller, subject), now, secret)
  if (redeemed === 'expired')
    throw new ApiError('QUOTE_EXPIRED', 'The quote has expired: ask for a new estimate.')
  if (redeemed === 'mismatch') {
    throw new ApiError('QUOTE_MISMATCH', 'The quote was not made for this account, model and input.')
  }
  return redeemed.costMicroCents
}

function quoteSubject(caller: Caller, { model, version, input }: Subject) {
  return {
    accountId: caller.accountId,
    modelSlug: model.slug,
    modelVersion: version.version,
    inputHash: hashJson(input),
  }
}

/** A quote for a complete input: a submit of the same within 15 minutes is charged exactly this. */
export function quote(
  { quoteSecret }: Pick<AcceptContext, 'quoteSecret'>,
  caller: Caller,
  subject: Subject,
  costMicroCents: bigint,
  now: Date,
): { quoteId: string; quoteExpiresAt: Date } {
  const expiresAt = new Date(now.getTime() + quoteLifeMs)
  const quoteId = issueQuote({ ...quoteSubject(caller, subject), costMicroCents, expiresAt }, quoteSecret)
  return { quoteId, quoteExpiresAt: expiresAt }
}
