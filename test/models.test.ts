import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey, type KeyScope } from '../src/accounts/keys.ts'
import { loadCatalogue, type Model } from '../src/catalogue/load.ts'
import { getModelRoute } from '../src/http/get-model.ts'
import { listModelsRoute } from '../src/http/list-models.ts'
import { listProvidersRoute } from '../src/http/list-providers.ts'
import { providerModelsRoute } from '../src/http/provider-models.ts'
import type { AnyRoute } from '../src/http/route.ts'
import { toPublicOutput } from '../src/jobs/settle.ts'
import { whyUnavailable } from '../src/jobs/takes-jobs.ts'
import { check, compile } from '../src/json-schema.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { type Answer, startGateway } from './gateway.ts'
import { imageToVideo, textToVideo } from './seeds.ts'

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const { key, userId } = await makeCustomer(database.pool)
const catalogue = loadCatalogue()
const models = [...catalogue.models.values()]

const get = (path: string) => gateway.call('GET', path, { key })

async function found(path: string): Promise<Answer['body']> {
  const { status, body } = await get(path)
  assert.equal(status, 200, JSON.stringify(body))
  return body
}

function fits(declared: AnyRoute, body: unknown): void {
  assert.deepEqual(check(compile(declared.answer), body, ''), [])
}

function summaryOf(model: Model) {
  const [version] = model.versions
  return {
    slug: model.slug,
    providerId: model.provider.id,
    providerName: model.provider.name,
    name: model.name,
    description: model.description,
    category: model.category,
    capability: model.capability,
    currentVersion: version!.version,
    versionCount: model.versions.length,
    currentVersionPricing: {
      ...version!.pricing,
      baseCredits: version!.pricing.baseCostMicroCents / 10_000,
    },
    available: false,
    unavailableReason: whyUnavailable({ suspensions: [] }, model, version!, []),
  }
}

test('every model of the catalogue is listed as it is there, under an id of its own', async () => {
  const body = await found('/v1/models')
  fits(listModelsRoute, body)
  assert.deepEqual(
    body.models.map(({ id, ...summary }: Record<string, unknown>) => summary),
    models.map(summaryOf),
  )
  const ids = body.models.map((model: { id: string }) => model.id)
  assert.equal(new Set(ids).size, models.length)
  for (const id of ids) assert.match(id, /^model_[0-9a-z]{24}$/)
})

test('the id of a model never changes', async () => {
  const { id } = await found(`/v1/models/${imageToVideo}`)
  assert.equal(id, 'model_3e97d88590d43dfe6d7d5664')
})

test('a model is found by id, by slug, and by slug with its slashes encoded', async () => {
  const { models: listed } = await found('/v1/models')
  for (const { id, slug } of listed) {
    const bySlug = await found(`/v1/models/${slug}`)
    assert.equal(bySlug.slug, slug)
    assert.deepEqual(await found(`/v1/models/${id}`), bySlug)
  }
  const encoded = await found(`/v1/models/${encodeURIComponent(textToVideo)}`)
  assert.equal(encoded.slug, textToVideo)
})

test('a model shows for each version what a job of it takes, gives and costs', async () => {
  for (const model of models) {
    const body = await found(`/v1/models/${model.slug}`)
    fits(getModelRoute, body)
    const { versions, id, ...summary } = body
    assert.deepEqual(summary, summaryOf(model))
    assert.equal(versions.length, model.versions.length)
    for (const [index, version] of model.versions.entries()) {
      const { outputSchema, ...shown } = versions[index]
      assert.deepEqual(shown, {
        versionId: version.version,
        status: version.status,
        inputSchema: version.inputSchema,
        pricing: { ...version.pricing, baseCredits: version.pricing.baseCostMicroCents / 10_000 },
        rateLimits: { requestsPerMinute: null, requestsPerDay: null },
      })
      assert.equal(outputSchema.$schema, 'https://json-schema.org/draft/2020-12/schema')
    }
  }
})

test("the outputs of a completed job fit its model's output schema, and another category's do not", async () => {
  const stored = { key: 'a.mp4', posterKey: 'a-poster.jpg', thumbnailKey: 'a-thumbnail.jpg' }
  const outputs = (type: string) => [toPublicOutput({ type, ...stored }, (key) => `https://x.example/${key}`)]
  for (const category of new Set(models.map((model) => model.category))) {
    const { slug } = models.find((model) => model.category === category)!
    const { versions } = await found(`/v1/models/${slug}`)
    const validate = compile(versions[0].outputSchema)
    assert.deepEqual(check(validate, outputs(category), ''), [])
    assert.notDeepEqual(check(validate, outputs(category === 'video' ? 'image' : 'video'), ''), [])
    assert.notDeepEqual(check(validate, [], ''), [])
  }
})

test('a version is submitted and estimated by its versionId', async () => {
  const { versions } = await found(`/v1/models/${textToVideo}`)
  const version = versions[0].versionId
  const body = { model: textToVideo, version, input: { prompt: 'A lake' } }
  for (const path of ['/v1/jobs/estimate', '/v1/jobs/submit']) {
    assert.equal((await gateway.call('POST', path, { key, body })).status, 200, path)
  }
})

test('what is no model is told so, with the nearest slug', async () => {
  for (const [path, status, code, message] of [
    [`${imageToVideo}s`, 404, 'MODEL_NOT_FOUND', `Did you mean "${imageToVideo}"?`],
    ['kling/kling-omni-o1', 404, 'MODEL_NOT_FOUND', `Name its capability: ${imageToVideo}`],
    ['model_000000000000000000000000', 404, 'MODEL_NOT_FOUND', 'There is no model with the id'],
    ['Kling', 400, 'INVALID_MODEL_SLUG', 'provider/model/capability'],
    ['%00', 400, 'INVALID_MODEL_SLUG', 'provider/model/capability'],
  ] as const) {
    const answer = await get(`/v1/models/${path}`)
    assert.equal(answer.status, status, path)
    assert.equal(answer.body.error.code, code)
    assert.ok(answer.body.error.message.includes(message), answer.body.error.message)
  }
})

test('providers are listed in the order of the catalogue, with what their models make', async () => {
  const body = await found('/v1/providers')
  fits(listProvidersRoute, body)
  const expected = Object.entries(catalogue.providers).map(([id, about]) => ({
    id,
    ...about,
    logoUrl: `${gateway.url}/docs/logos/${id}.svg`,
    categories: [
      ...new Set(models.filter(({ provider }) => provider.id === id).map(({ category }) => category)),
    ],
    isActive: true,
  }))
  assert.deepEqual(body.providers, expected)
})

test('a provider answers with its own models, as the list of all has them', async () => {
  const { models: listed } = await found('/v1/models')
  for (const provider of (await found('/v1/providers')).providers) {
    const body = await found(`/v1/providers/${provider.id}/models`)
    fits(providerModelsRoute, body)
    assert.deepEqual(body.provider, provider)
    assert.deepEqual(
      body.models,
      listed.filter((model: { providerId: string }) => model.providerId === provider.id),
    )
  }
})

test('an unknown provider is NOT_FOUND, with the nearest id', async () => {
  const { status, body } = await get('/v1/providers/klink/models')
  assert.equal(status, 404)
  assert.equal(body.error.code, 'NOT_FOUND')
  assert.match(body.error.message, /Did you mean "kling"\?/)
})

test('models and providers need the scope list_models and no other', async () => {
  const keys: [KeyScope[], number][] = [
    [[], 200],
    [['list_models'], 200],
    [['submit_job', 'check_status'], 403],
  ]
  const paths = ['/v1/models', `/v1/models/${imageToVideo}`, '/v1/providers', '/v1/providers/kling/models']
  for (const path of paths) {
    for (const [scopes, status] of keys) {
      const { key } = await createKey(database.pool, { userId, mode: 'live', scopes })
      const answer = await gateway.call('GET', path, { key })
      assert.equal(answer.status, status, `${path} with ${scopes}`)
      if (status === 403) assert.equal(answer.body.error.code, 'OPERATION_NOT_ALLOWED')
    }
    assert.equal((await gateway.call('GET', path)).body.error.code, 'UNAUTHORIZED', path)
  }
})

test('a query parameter that is not there is refused by name', async () => {
  for (const path of [
    '/v1/models',
    `/v1/models/${imageToVideo}`,
    '/v1/providers',
    '/v1/providers/kling/models',
  ]) {
    const { status, body } = await get(`${path}?limit=3`)
    assert.equal(status, 400, path)
    assert.equal(body.error.code, 'VALIDATION_ERROR')
    assert.equal(body.error.details.issues[0].path, 'limit')
  }
})
