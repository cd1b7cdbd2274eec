import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newKey } from '../src/accounts/keys.ts'
import { loadCatalogue, type Model } from '../src/catalogue/load.ts'
import { catalogModelRoute } from '../src/http/catalog/get-model.ts'
import { catalogProviderRoute } from '../src/http/catalog/get-provider.ts'
import { capabilityGroupsRoute } from '../src/http/catalog/list-capability-groups.ts'
import { catalogCategoriesRoute } from '../src/http/catalog/list-categories.ts'
import { catalogModelsRoute } from '../src/http/catalog/list-models.ts'
import { catalogProvidersRoute } from '../src/http/catalog/list-providers.ts'
import type { AnyRoute } from '../src/http/route.ts'
import { check, compile } from '../src/json-schema.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { type Answer, startGateway } from './gateway.ts'
import { imageToVideo, textToVideo } from './seeds.ts'

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const { key } = await makeCustomer(database.pool)
const catalogue = loadCatalogue()
const models = [...catalogue.models.values()]

/** One address of each operation of the catalog. */
const addresses = [
  '/v1/catalog/models',
  `/v1/catalog/models/${imageToVideo}`,
  '/v1/catalog/providers',
  '/v1/catalog/providers/kling',
  '/v1/catalog/categories',
  '/v1/catalog/capability-groups',
]

async function found(declared: AnyRoute, path: string): Promise<Answer['body']> {
  const { status, body } = await gateway.call('GET', path)
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(check(compile(declared.answer), body, ''), [])
  return body
}

const logoUrl = (providerId: string) => `${gateway.url}/docs/logos/${providerId}.svg`

/** This server has no keys of upstreams. */
function whyNot({ slug, unavailable, versions: [version] }: Model): string {
  if (version!.routes.length > 0) return `No upstream of ${slug} is set up on this server.`
  return `No upstream makes ${slug} yet.${unavailable === undefined ? '' : ` ${unavailable}`}`
}

function entryOf(model: Model) {
  const { pricing } = model.versions[0]!
  return {
    slug: model.slug,
    name: model.name,
    provider: { ...model.provider, logoUrl: logoUrl(model.provider.id) },
    category: model.category,
    capability: model.capability,
    pricing: { ...pricing, baseCredits: pricing.baseCostMicroCents / 10_000 },
    available: false,
    unavailableReason: whyNot(model),
    tags: model.tags,
    ratings: { average: 0, count: 0 },
  }
}

test('the catalog is a bare array of every model, and needs no key', async () => {
  assert.deepEqual(await found(catalogModelsRoute, '/v1/catalog/models'), models.map(entryOf))
})

test('a model of the catalog has its input and its siblings beside what the list says', async () => {
  for (const model of models) {
    const family = model.slug.split('/').slice(0, 2).join('/')
    const siblings = models.filter(
      (other) => other !== model && (other.slug === family || other.slug.startsWith(`${family}/`)),
    )
    const body = await found(catalogModelRoute, `/v1/catalog/models/${model.slug}`)
    assert.deepEqual(body, {
      ...entryOf(model),
      description: model.description,
      inputSchema: model.versions[0]!.inputSchema,
      processingSeconds: model.processingSeconds,
      siblings: siblings.map(({ slug, capability }) => ({ slug, capability })),
    })
  }
})

test('the slashes of a slug may be encoded', async () => {
  const body = await found(catalogModelRoute, `/v1/catalog/models/${encodeURIComponent(imageToVideo)}`)
  assert.equal(body.slug, imageToVideo)
})

test('each provider has as many models as it is said to have', async () => {
  const providers = await found(catalogProvidersRoute, '/v1/catalog/providers')
  assert.deepEqual(
    providers.map(({ id }: { id: string }) => id),
    Object.keys(catalogue.providers),
  )
  for (const provider of providers) {
    const own = models.filter((model) => model.provider.id === provider.id)
    assert.deepEqual(provider, {
      id: provider.id,
      ...catalogue.providers[provider.id],
      logoUrl: logoUrl(provider.id),
      modelCount: own.length,
    })
    const body = await found(catalogProviderRoute, `/v1/catalog/providers/${provider.id}`)
    assert.deepEqual(body, { ...provider, models: own.map(entryOf) })
  }
})

test('categories count the models of each', async () => {
  const categories = await found(catalogCategoriesRoute, '/v1/catalog/categories')
  const expected = Object.entries(catalogue.categories).map(([id, about]) => ({
    id,
    ...about,
    modelCount: models.filter((model) => model.category === id).length,
  }))
  assert.deepEqual(categories, expected)
})

test('capability groups come in their order, one for each capability', async () => {
  const groups = await found(capabilityGroupsRoute, '/v1/catalog/capability-groups')
  const ordered = groups.toSorted((a: { order: number }, b: { order: number }) => a.order - b.order)
  assert.deepEqual(groups, ordered)
  assert.equal(groups.length, Object.keys(catalogue.capabilities).length)
  for (const { id, displayName, ...rest } of groups) {
    const { name, label, icon, color, order } = catalogue.capabilities[id]!
    assert.deepEqual({ displayName, ...rest }, { displayName: name, label, icon, color, order })
  }
})

test('what is not in the catalog is told so, with the nearest name', async () => {
  for (const [path, status, code, message] of [
    [`models/${textToVideo}s`, 404, 'MODEL_NOT_FOUND', `Did you mean "${textToVideo}"?`],
    ['models/Kling', 400, 'INVALID_MODEL_SLUG', 'provider/model/capability'],
    ['providers/klink', 404, 'NOT_FOUND', 'Did you mean "kling"?'],
    ['nothing', 404, 'NOT_FOUND', '/v1/catalog/nothing'],
    ['models?provider=kling', 400, 'VALIDATION_ERROR', 'provider'],
  ] as const) {
    const answer = await gateway.call('GET', `/v1/catalog/${path}`)
    assert.equal(answer.status, status, path)
    assert.equal(answer.body.error.code, code)
    assert.ok(answer.body.error.message.includes(message), answer.body.error.message)
    assert.equal(answer.headers.get('cache-control'), null, 'a mistake must not be kept')
  }
})

test('every answer has a strong tag, and one who has it gets 304 without a body', async () => {
  const tags = new Set<string>()
  for (const path of addresses) {
    const tag = (await gateway.call('GET', path)).headers.get('etag') ?? ''
    assert.match(tag, /^"[\w-]{43}"$/)
    tags.add(tag)
    for (const header of [tag, `W/${tag}`, `"other", ${tag}`, `"other" ,W/${tag}`, '*']) {
      const answer = await gateway.call('GET', path, { headers: { 'if-none-match': header } })
      assert.equal(answer.status, 304, `${path} ${header}`)
      assert.equal(answer.body, '')
      assert.equal(answer.headers.get('etag'), tag)
      assert.equal(answer.headers.get('cache-control'), 'public, no-cache')
    }
    for (const header of ['"other"', tag.slice(1, -1), `${tag.slice(0, -1)}x"`, '']) {
      const answer = await gateway.call('GET', path, { headers: { 'if-none-match': header } })
      assert.equal(answer.status, 200, `${path} ${header}`)
    }
  }
  assert.equal(tags.size, addresses.length)
})

test('a cache may keep what is for everybody, and only the client what is for a key', async () => {
  for (const path of addresses) {
    const open = await gateway.call('GET', path)
    assert.equal(open.headers.get('cache-control'), 'public, no-cache')
    assert.equal(open.headers.get('vary'), 'Origin, authorization, x-api-key')
    assert.equal(open.headers.get('content-type'), 'application/json; charset=utf-8')
    for (const headers of [{ authorization: `Bearer ${key}` }, { 'x-api-key': key }]) {
      const keyed = await gateway.call('GET', path, { headers })
      assert.equal(keyed.headers.get('cache-control'), 'private, no-cache')
      assert.equal(keyed.headers.get('vary'), 'Origin, authorization, x-api-key')
      assert.deepEqual(keyed.body, open.body)
      const again = await gateway.call('GET', path, {
        headers: { ...headers, 'if-none-match': keyed.headers.get('etag') ?? '' },
      })
      assert.equal(again.status, 304)
      assert.equal(again.headers.get('cache-control'), 'private, no-cache')
    }
  }
})

test('HEAD tells what GET would, without the body', async () => {
  for (const path of addresses) {
    const get = await gateway.call('GET', path)
    const head = await fetch(gateway.url + path, { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.equal(await head.text(), '')
    for (const name of ['etag', 'content-length', 'content-type', 'cache-control', 'vary']) {
      assert.equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`)
    }
  }
})

test('a key that is no good is refused, though none is needed', async () => {
  for (const path of addresses) {
    const { status, body } = await gateway.call('GET', path, { key: newKey('test') })
    assert.equal(status, 401, path)
    assert.equal(body.error.code, 'INVALID_API_KEY')
  }
})
