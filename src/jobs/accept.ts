import type { Caller } from '../accounts/authenticate.ts'
import type { Catalogue, Model, ModelRoute, ModelVersion } from '../catalogue/load.ts'
import type { Clock } from '../clock.ts'
import { ApiError, noRoom } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Mode } from '../ledger/ledger.ts'
import type { Outbound } from '../outbound.ts'
import type { JobLimit } from '../policy/rate-limits.ts'
import { currentVersion } from '../policy/versions.ts'
import type { Percent } from '../pricing/margin.ts'
import { hashJson, issueQuote, quotedVersion, quoteLifeMs, redeemQuote } from '../pricing/quote.ts'
import type { Json } from '../providers/provider.ts'
import { checkWebhookUrl } from '../webhooks/check-url.ts'
import type { Expectations } from './expectations.ts'
import type { Accepted, Earlier, Idempotency } from './idempotency.ts'
import { leavesEnough } from './margins.ts'
import type { AddressCheck } from './media-addresses.ts'
import { completeInput, findModel, findVersion, priceInput, refuseUnfetchable } from './model-input.ts'
import { type Candidate, type CandidatesOf, routeName } from './routes.ts'
import { hashBody, isSameBody } from './same-body.ts'
import type { Submit } from './submit.ts'
import { allSuspended, noCandidate, takingCandidate, type WhenSuspended } from './takes-jobs.ts'
import { conflict, type Submission, toReplay } from './write-batch.ts'

export interface AcceptContext extends AddressCheck {
  catalogue: Catalogue
  clock: Clock
  outbound: Outbound
  submit: Submit
  idempotency: Idempotency
  quoteSecret: string
  expectations: Pick<Expectations, 'completionMs'>
  /** Whether the disk has room for what a job of this mode needs. */
  hasRoom?(mode: Mode): boolean
  candidates: CandidatesOf
  whenSuspended: WhenSuspended
  /** Which job tries whether a suspended upstream takes jobs again: one over all processes. */
  probes: {
    take(candidate: Candidate, jobId: string): Promise<boolean>
    release(jobId: string): Promise<void>
  }
  /** A route that leaves less of a live job's price is not taken. */
  minMargin: Percent | undefined
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

/** A body as it came, and what is read from it; reading throws where it can't be taken. */
export interface Sent {
  body: unknown
  read(): SubmitRequest
}

/**
 * Takes a job: checks and prices it, then writes it durably. Throws an ApiError, with nothing charged or
 * queued, wherever the request can't be taken as it is. A request that comes again with its Idempotency-Key is
 * answered as the first time before anything else is looked at: whether it could be taken now (its quote is over, say, or
 * its account has no money) makes no difference. Another body with the key is refused, whatever else is wrong with it.
 */
export async function acceptJob(
  context: AcceptContext,
  caller: Caller,
  sent: Sent,
  options: { requestId: string; idempotencyKey: string | undefined },
): Promise<Accepted> {
  const { requestId, idempotencyKey: key } = options
  if (key === undefined) return submitNew(context, caller, sent, { requestId, key })
  const { accountId } = caller
  const again = (earlier: Earlier) => replay(context, caller, sent, earlier)
  return context.idempotency.once({ accountId, key }, again, async () => {
    try {
      return await submitNew(context, caller, sent, { requestId, key })
    } catch (error) {
      // another process may have taken the key meanwhile, or be about to: then this body is another one, whatever is wrong with it
      if (!(error instanceof ApiError) || error.status >= 500) throw error
      const earlier = await context.idempotency.findWritten({ accountId, key })
      if (earlier !== undefined) return again(earlier)
      throw error
    }
  })
}

function replay(context: AcceptContext, caller: Caller, sent: Sent, earlier: Earlier): Accepted {
  const isSame = isRead(sent) && isSameBody({ catalogue: context.catalogue, caller }, sent.body, earlier)
  if (isSame) return toReplay(earlier)
  throw conflict()
}

/** What can't be taken is not what was taken before, however little it differs. */
function isRead({ read }: Sent): boolean {
  try {
    read()
    return true
  } catch {
    return false
  }
}

async function submitNew(
  context: AcceptContext,
  caller: Caller,
  { body, read }: Sent,
  { requestId, key }: { requestId: string; key: string | undefined },
): Promise<Accepted> {
  if (context.hasRoom?.(caller.mode) === false) throw noRoom()
  const { subject, defaultVersion, isProbe, submission } = await prepare(context, caller, read())
  const { webhookUrl } = submission
  const idempotency =
    key === undefined ? undefined : { key, ...hashBody(body, { ...subject, webhookUrl }, defaultVersion()) }
  const submit = () => context.submit({ ...submission, requestId, idempotency })
  return isProbe ? submitProbe(context, submission.jobId, submit) : submit()
}

interface Prepared {
  subject: Subject
  /** The version of the same body if it named none. */
  defaultVersion(): string
  /** It tries whether a suspended upstream takes jobs again. */
  isProbe: boolean
  submission: Omit<Submission, 'requestId' | 'idempotency'>
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

async function prepare(context: AcceptContext, caller: Caller, request: SubmitRequest): Promise<Prepared> {
  const now = context.clock.now()
  const model = findModel(context.catalogue, caller.policy, caller, request.model)
  const ofQuote = versionOfQuote(model, request.quoteId)
  const version = findVersion(caller, model, request.version ?? ofQuote)
  const candidates = candidatesFor(context, caller, model, version)
  const input = completeInput(version, request.input)
  refuseUnfetchable(context, version, input, now)
  const subject = { model, version, input }
  const fit = fitting(candidates, input as Record<string, Json>)
  const { costMicroCents, basis } = agree(context, caller, request, subject, now)
  const { able, routes } = gainful(context, caller, fit, subject, costMicroCents)
  const { whenSuspended } = context
  const { candidate, isProbe } = takingCandidate(caller.policy, model, able, { whenSuspended, now })
  const { provider } = candidate
  const webhookUrl =
    request.webhookUrl === undefined
      ? undefined
      : await checkWebhookUrl(context.outbound, request.webhookUrl, 'webhookUrl')
  const usualMs = provider.expectedMs?.({ model, input: input as Record<string, Json> })
  const completionMs = context.expectations.completionMs(provider, { modelSlug: model.slug, usualMs })
  const jobId = newId('job', now)
  // last, as nothing that refuses the job may come behind it
  if (isProbe && !(await context.probes.take(candidate, jobId))) throw allSuspended(model)
  const submission = {
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
    routes,
    limits: limitsOf(caller, model, version),
    createdAt: now,
    estimatedCompletionAt: new Date(now.getTime() + completionMs),
  }
  const defaultVersion = () => ofQuote ?? currentVersion(caller.policy, model)?.version ?? version.version
  return { subject, defaultVersion, isProbe, submission }
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

/**
 * The ways that leave enough of the price, and the names of all routes that do, for the dispatch to keep to: what was
 * decided with the price holds. A route of unknown cost is taken. Nothing of cost or margin is for the customer to read.
 */
function gainful(
  { minMargin }: AcceptContext,
  { mode }: Caller,
  fit: [Candidate, ...Candidate[]],
  { model, version, input }: Subject,
  costMicroCents: bigint,
): { able: [Candidate, ...Candidate[]]; routes: string[] | null } {
  if (minMargin === undefined || mode === 'test') return { able: fit, routes: null }
  const isGainful = (route: ModelRoute) => leavesEnough(route, input, costMicroCents, minMargin)
  const [first, ...others] = fit.filter(({ route }) => isGainful(route))
  if (first !== undefined) {
    const routes = [...fit.map(({ route }) => route), ...version.routes].filter(isGainful)
    return { able: [first, ...others], routes: [...new Set(routes.map(routeName))] }
  }
  throw new ApiError(
    'MODEL_VERSION_NOT_ACTIVE',
    `This server takes no live jobs of ${model.slug} with this input at its present price. Nothing was charged. Another input or model may be taken; test keys (pb_test_…) are rendered by the sandbox.`,
  )
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
function limitsOf(caller: Caller, model: Model, { version }: ModelVersion): JobLimit[] {
  const settings = caller.policy.versions.get(`${model.slug} ${version}`)
  const name = `${model.slug} ${version}`
  const limit = (
    key: string,
    most: number | null | undefined,
    windowSeconds: JobLimit['windowSeconds'],
    subject = name,
  ) => (most == null ? [] : [{ key: `${caller.accountId} ${key}`, most, windowSeconds, subject }])
  return [
    ...limit(caller.keyId, caller.requestsPerMinute, 60, 'This API key'),
    ...limit(name, settings?.requestsPerMinute, 60),
    ...limit(name, settings?.requestsPerDay, 86_400),
  ]
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
