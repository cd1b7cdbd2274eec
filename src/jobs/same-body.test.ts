import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../accounts/authenticate.ts'
import { checkInput } from '../catalogue/check-input.ts'
import { type Catalogue, loadCatalogue, type Model, type ModelVersion } from '../catalogue/load.ts'
import type { JsonSchema } from '../json-schema.ts'
import { type FirstBody, hashBody, isSameBody } from './same-body.ts'

const slug = 'kling-plus/kling-o3-standard/text-to-video'
const catalogue = loadCatalogue()
const published = catalogue.models.get(slug)!
const [version] = published.versions
const policy = { visibility: new Map() }
const caller = { segments: [], allowedModels: [], policy } as unknown as Caller

const catalogueWith = (model: Model): Catalogue => ({ ...catalogue, models: new Map([[model.slug, model]]) })

function firstOf(
  body: { input: unknown },
  model: Model,
  of: ModelVersion,
  defaultVersion: string,
): FirstBody {
  const { input } = checkInput(of, body.input)
  const hashes = hashBody(body, { model, version: of, input, webhookUrl: undefined }, defaultVersion)
  // as the database gives it back
  const basis = JSON.parse(JSON.stringify(hashes.basis))
  return { ...hashes, basis, modelSlug: model.slug, modelVersion: of.version }
}

const input = { prompt: 'A lake' }

test('the example of every model is the same with its defaults written out, and without', () => {
  for (const model of catalogue.models.values()) {
    for (const each of model.versions) {
      const complete = checkInput(each, each.example).input
      const [short, long] = [
        { model: model.slug, input: each.example },
        { model: model.slug, version: each.version, input: complete },
      ]
      for (const [sent, again] of [
        [short, long],
        [long, short],
      ] as const) {
        const first = firstOf(sent, model, each, each.version)
        assert.ok(isSameBody({ catalogue, caller }, again, first), `${model.slug} ${each.version}`)
      }
    }
  }
})

test('the version and the defaults of the first job count, whatever they have become since', () => {
  const newer = { ...version!, version: 'v2.0' }
  const before = firstOf({ input, ...{ model: slug } }, published, version!, 'v1.0')
  const schema = version!.inputSchema
  const properties = { ...(schema.properties as Record<string, JsonSchema>) }
  properties.duration = { ...properties.duration, default: '10' }
  const changed = { ...version!, inputSchema: { ...schema, properties } }
  const since = { catalogue: catalogueWith({ ...published, versions: [changed, newer] }), caller }
  const same = (body: object) => isSameBody(since, { model: slug, ...body }, before)
  assert.ok(same({ input }))
  assert.ok(same({ input: { ...input, duration: 5 } }), 'the default of then')
  assert.ok(!same({ input: { ...input, duration: '10' } }), 'the default of now')
  assert.ok(same({ input: { ...input, duration: 5 }, version: 'v1.0' }))
  assert.ok(!same({ input, version: 'v2.0' }))
  // one that named an older version is not the same as one that would have got the newer
  const named = firstOf({ input, ...{ model: slug, version: 'v1.0' } }, published, version!, 'v2.0')
  assert.ok(!isSameBody(since, { model: slug, input }, named))
})

test('a body is the same as it was sent though its model has left the catalogue, and no other is', () => {
  const first = firstOf({ input, ...{ model: slug } }, published, version!, 'v1.0')
  const gone = { catalogue: { ...catalogue, models: new Map() }, caller }
  assert.ok(isSameBody(gone, { input, model: slug }, first))
  assert.ok(!isSameBody(gone, { input: { prompt: 'A sea' }, model: slug }, first))
  for (const body of [undefined, null, [], 'text', {}]) assert.ok(!isSameBody(gone, body, first))
})
