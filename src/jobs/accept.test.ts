import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../accounts/authenticate.ts'
import { loadCatalogue, type Model, type ModelVersion } from '../catalogue/load.ts'
import type { VersionStatus } from '../catalogue/schema.ts'
import { createOutbound } from '../outbound.ts'
import type { Provider } from '../providers/provider.ts'
import { type AcceptContext, acceptJob, type SubmitRequest } from './accept.ts'
import { estimateJob } from './estimate.ts'
import type { Submission } from './write-batch.ts'

const slug = 'kling-plus/kling-o3-standard/text-to-video'
const catalogue = loadCatalogue()
const published = catalogue.models.get(slug)!
const [first] = published.versions
const dearer = (version: ModelVersion): ModelVersion => ({
  ...version,
  version: 'v2.0',
  pricing: { ...version.pricing, baseCostMicroCents: 2 * version.pricing.baseCostMicroCents },
})
const model: Model = { ...published, versions: [first!, dearer(first!)] }

/** A caller for whom the model's versions have these states. */
function callerWhere(states: Record<string, VersionStatus>): Caller {
  const settings = Object.entries(states).map(
    ([version, status]) =>
      [`${slug} ${version}`, { status, requestsPerMinute: null, requestsPerDay: null }] as const,
  )
  const policy = {
    number: 1n,
    visibility: new Map(),
    versions: new Map(settings),
    suspensions: [],
    overrides: { ofUser: new Map(), ofSegment: new Map() },
    markups: [],
  }
  const rights = { segments: [], allowedModels: [], requestsPerMinute: null }
  return {
    keyId: 'key_1',
    sessionId: null,
    scopes: [],
    userId: 'user_1',
    accountId: 1n,
    mode: 'test',
    ...rights,
    policy,
  }
}

const provider: Provider = {
  name: 'sandbox',
  pollBatch: 1,
  submit: async () => assert.fail('nothing is dispatched here'),
  poll: async () => assert.fail('nothing is dispatched here'),
  timeLimitMs: () => 1_000,
}

const written: Submission[] = []
let expected = (..._job: [provider: string, modelSlug: string, usualMs: number | undefined]) => 60_000
const context: AcceptContext = {
  catalogue: { ...catalogue, models: new Map([[slug, model]]) },
  clock: { now: () => new Date() },
  outbound: createOutbound({ allowPrivate: false }),
  ownFile: () => undefined,
  sampleFile: () => undefined,
  async submit(submission) {
    written.push(submission)
    return { ...submission, replayed: false }
  },
  idempotency: {
    find: async () => undefined,
    findWritten: async () => undefined,
    once: (_keyed, _replay, work) => work(),
  },
  quoteSecret: 'a secret of this test',
  expectations: { completionMs: ({ name }, { modelSlug, usualMs }) => expected(name, modelSlug, usualMs) },
  whenSuspended: 'refuse',
  probes: { take: async () => true, release: async () => {} },
  candidates: (_, { slug }) => [{ provider, route: { upstream: provider.name, model: slug } }],
  minMargin: undefined,
}

const input = { prompt: 'A lake', duration: '5' }
const submit = async (caller: Caller, more: Partial<SubmitRequest> = {}) => {
  const request = { model: slug, input, ...more }
  const sent = { body: request, read: () => request }
  await acceptJob(context, caller, sent, { requestId: 'req_1', idempotencyKey: undefined })
  const { modelVersion, costMicroCents } = written.at(-1)!
  return { modelVersion, costMicroCents }
}

test('a quote is kept, with its version, after another version has become the current one', async () => {
  const [before, after] = [callerWhere({ 'v2.0': 'disabled' }), callerWhere({})]
  const { quote, estimatedCostMicroCents } = estimateJob(context, before, { model: slug, input })
  const quoted = { modelVersion: 'v1.0', costMicroCents: BigInt(estimatedCostMicroCents) }
  assert.deepEqual(await submit(after, { quoteId: quote!.quoteId }), quoted)
  assert.deepEqual(await submit(after), {
    modelVersion: 'v2.0',
    costMicroCents: 2n * quoted.costMicroCents,
  })
})

test('a quote for a version that takes no jobs any more, or beside another version, is refused', async () => {
  const { quote } = estimateJob(context, callerWhere({}), { model: slug, input })
  const quoteId = quote!.quoteId
  await assert.rejects(submit(callerWhere({ 'v2.0': 'disabled' }), { quoteId }), {
    code: 'MODEL_VERSION_NOT_ACTIVE',
  })
  await assert.rejects(submit(callerWhere({}), { quoteId, version: 'v1.0' }), { code: 'QUOTE_MISMATCH' })
})

test('the client is told when such a job of this provider is expected to be done', async () => {
  const asked: unknown[] = []
  expected = (...job) => {
    asked.push(job)
    return 90_000
  }
  await submit(callerWhere({}))
  const { createdAt, estimatedCompletionAt } = written.at(-1)!
  assert.equal(estimatedCompletionAt.getTime() - createdAt.getTime(), 90_000)
  provider.expectedMs = () => 7_000
  await submit(callerWhere({}))
  assert.deepEqual(asked, [
    ['sandbox', slug, undefined],
    ['sandbox', slug, 7_000],
  ])
})
