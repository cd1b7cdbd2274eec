import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { JsonSchema } from '../json-schema.ts'
import { type Price, price } from '../pricing/price.ts'
import { checkInput } from './check-input.ts'
import { loadCatalogue, type ModelVersion } from './load.ts'

// What is published of every model, extracted from its page.
interface FactField {
  name: string
  type: string
  required: boolean
  default?: unknown
  options?: unknown[]
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  format?: string
  media?: string
  items?: { type?: string; format?: string; media?: string; fields?: FactField[]; limits?: string }
  limits?: string
}
interface Fact {
  slug: string
  provider: { id: string; name: string }
  model: { id: string; name: string }
  capability: string
  category: string
  baseCostMicroCents: number
  unit: string
  processingSeconds: number
  input: FactField[]
  exampleInputs: Record<string, unknown>[]
  factors?: Record<string, Record<string, string>>
  flat?: boolean
  /** `note` has the values that the default cost was worked out for, where they are priced. */
  default?: { note: Record<string, unknown>; costMicroCents: number }
}

const factsPath = join(import.meta.dirname, '../../../shared/catalogue-facts.json')
const facts: Fact[] = existsSync(factsPath) ? JSON.parse(readFileSync(factsPath, 'utf8')) : []
const skip = facts.length === 0 && 'the published facts are not at hand'
const { models } = loadCatalogue()

/** Where the catalogue says otherwise than the pages, and why. */
const deviations: Record<string, { unit?: string; fields?: FactField[] }> = {
  // The cost row says per request, but the formula has the seconds, and the page's worked price of 300,000 is
  // 50,000 for each of 6 seconds at 480p.
  'xai/grok-imagine/image-to-video': { unit: 'second' },
  // Priced by a duration that is no input: it follows the motion video, whose length nobody knows at submit.
  'kling/kling-motion-create-v3/motion-transfer-to-video': {
    fields: [{ name: 'duration', type: 'string', required: false, default: '5', options: ['5', '10'] }],
  },
}

/** Lists without a published maximum get one: each file in them is fetched. */
const mostItems: Record<string, number> = {
  // that of Veo 3.1 Fast
  'google/veo-3.1/reference-to-video image_urls': 3,
  // those of the upstreams
  'alibaba-plus/wan-2.7/reference-to-video image_urls': 10,
  'google/nano-banana/edit-image image_urls': 14,
  'google/nano-banana-2/edit-image image_urls': 14,
  'google/nano-banana-pro/edit-image image_urls': 14,
  'google/nano-banana-pro-extra/edit-image image_urls': 14,
}
const mostItemsOfAll: Record<string, number> = {
  // that of the upstream
  elements: 7,
  // each lasts a second at least, and all together at most 15
  multishot: 15,
}

function expectedUnit(fact: Fact): string {
  const unit = deviations[fact.slug]?.unit
  // A flat price is per job, although the cost row of nine pages reads per second.
  return `per_${unit ?? (fact.flat && fact.unit === 'second' ? 'request' : fact.unit)}`
}

function expectedField(slug: string, field: FactField) {
  const isList = field.type === 'array'
  const most = mostItems[`${slug} ${field.name}`] ?? mostItemsOfAll[field.name]
  if (isList) assert.equal(most === undefined, field.maxItems !== undefined, `${slug} ${field.name}`)
  return {
    name: field.name,
    type: field.type,
    required: field.required,
    default: field.default,
    enum: field.options,
    minimum: field.minimum,
    maximum: field.maximum,
    maxLength: field.maxLength,
    format: field.format,
    media: field.media,
    // A required list without entries is none, nor is a film of no shots.
    minItems: field.minItems ?? (isList && (field.required || field.name === 'multishot') ? 1 : undefined),
    maxItems: field.maxItems ?? most,
    itemType: !isList
      ? undefined
      : 'fields' in field.items! || field.name === 'elements'
        ? 'object'
        : 'string',
    // An item that takes both pictures and videos has no kind of its own on its page.
    itemMedia: !isList ? undefined : (field.items!.media ?? (field.items!.format && 'any')),
  }
}

function actualField(name: string, schema: JsonSchema, required: string[]) {
  const items = schema.items as JsonSchema | undefined
  return {
    name,
    type: schema.type,
    required: required.includes(name),
    default: schema.default,
    enum: schema.enum,
    minimum: schema.minimum,
    maximum: schema.maximum,
    maxLength: schema.maxLength,
    format: schema.format,
    media: schema.media,
    minItems: schema.minItems,
    maxItems: schema.maxItems,
    itemType: items?.type,
    itemMedia: items?.media,
  }
}

const url = 'https://a.example/file'

/** The shortest valid values of the fields that must be given and have no default. */
function needed(fact: Fact): Record<string, unknown> {
  const element = { characterImages: [url] }
  const sampleOf = ({ name, type, options, format }: FactField) =>
    options?.[0] ?? (name === 'elements' ? [element] : type === 'array' ? [url] : format ? url : 'x')
  const fields = fact.input.filter((field) => field.required && field.default === undefined)
  return Object.fromEntries(fields.map((field) => [field.name, sampleOf(field)]))
}

function costOf(version: ModelVersion, given: Record<string, unknown>): number {
  const { input, issues } = checkInput(version, given)
  assert.deepEqual(issues, [])
  return Number((price(version.pricing, input) as Price).costMicroCents)
}

test('every published model is in the catalogue, and no other', { skip }, () => {
  assert.deepEqual([...models.keys()].sort(), facts.map((fact) => fact.slug).sort())
})

for (const fact of facts) {
  const model = models.get(fact.slug)!
  const [version] = model.versions
  assert.ok(version)

  test(`${fact.slug} is what was published of it`, () => {
    assert.deepEqual(
      {
        provider: model.provider,
        name: model.name,
        capability: model.capability,
        category: model.category,
        processingSeconds: model.processingSeconds,
        pricing: version.pricing,
      },
      {
        provider: fact.provider,
        name: fact.model.name,
        capability: fact.capability,
        category: fact.category,
        processingSeconds: fact.processingSeconds,
        pricing: {
          baseCostMicroCents: fact.baseCostMicroCents,
          unit: expectedUnit(fact),
          factors: fact.factors ?? {},
        },
      },
    )
    assert.deepEqual(Object.keys(version.pricing.factors), Object.keys(fact.factors ?? {}))
    const { properties, required } = version.inputSchema as {
      properties: Record<string, JsonSchema>
      required: string[]
    }
    assert.deepEqual(
      Object.entries(properties).map(([name, schema]) => actualField(name, schema, required)),
      [...fact.input, ...(deviations[fact.slug]?.fields ?? [])].map((field) =>
        expectedField(fact.slug, field),
      ),
    )
  })

  // Grok Imagine has no defaults: see below
  const { default: worked } = fact
  if (worked !== undefined) {
    test(`${fact.slug} costs what its page works out`, () => {
      assert.equal(costOf(version, needed(fact)), worked.costMicroCents)
      // what the page names beside the price is what the defaults are
      assert.equal(costOf(version, { ...needed(fact), ...worked.note }), worked.costMicroCents)
    })
  }

  test(`${fact.slug} takes the examples of its page`, () => {
    for (const example of fact.exampleInputs) {
      // the pictures of elements were left out of the examples
      const elements = (example.elements as object[] | undefined)?.map((element) => ({
        characterImages: [url],
        ...element,
      }))
      const input = { ...needed(fact), ...example, ...(elements && { elements }) }
      assert.deepEqual(checkInput(version, input).issues, [])
    }
  })
}

test('Grok Imagine costs what its page works out for 6 seconds at 480p', { skip }, () => {
  const [version] = models.get('xai/grok-imagine/image-to-video')!.versions
  const given = { prompt: 'x', image_url: url, duration: '6', resolution: '480p' }
  assert.equal(costOf(version!, given), 300_000)
})

test('the parts of elements and shots are what was published of them', { skip }, () => {
  const lists = facts.flatMap(({ slug, input }) =>
    input
      .filter(({ items }) => items?.fields !== undefined)
      .map(({ name, items }) => ({ slug, name, items })),
  )
  assert.ok(lists.length > 1)
  for (const { slug, name, items } of lists) {
    const properties = models.get(slug)!.versions[0]!.inputSchema.properties as Record<string, JsonSchema>
    const item = properties[name]!.items as { properties: Record<string, JsonSchema>; required: string[] }
    assert.deepEqual(
      Object.keys(item.properties),
      items!.fields!.map((field) => field.name),
    )
    for (const { limits, options, items: inner, ...field } of items!.fields!) {
      const published = { ...field, enum: options, items: inner }
      const actual = actualField(field.name, item.properties[field.name]!, item.required)
      assert.deepEqual(
        // the types and lengths of a shot's fields are not published
        { ...actual, type: field.type, maxLength: field.maxLength },
        actualField(field.name, published, field.required ? [field.name] : []),
      )
    }
  }
})

test('elements are of one shape, also where their page gives none', { skip }, () => {
  const shapes = facts
    .filter(({ input }) => input.some(({ name }) => name === 'elements'))
    .map(({ slug }) => {
      const properties = models.get(slug)!.versions[0]!.inputSchema.properties as Record<string, JsonSchema>
      return JSON.stringify(properties.elements!.items)
    })
  assert.ok(shapes.length > 1)
  assert.equal(new Set(shapes).size, 1)
})

test('where fewer pictures are taken beside a video, more are refused with the reason', { skip }, () => {
  const limited = facts.filter(({ input }) =>
    input.some(({ limits }) => limits?.includes('when a video is given')),
  )
  assert.ok(limited.length > 0)
  for (const fact of limited) {
    const [version] = models.get(fact.slug)!.versions
    const issues = (count: number, more = {}) =>
      checkInput(version!, { ...needed(fact), images: Array(count).fill(url), ...more }).issues
    assert.deepEqual(issues(7), [])
    assert.deepEqual(issues(4, { video_url: url }), [])
    assert.deepEqual(issues(5, { video_url: url }), [
      { path: 'input.images', message: 'must have at most 4 items when video_url is given' },
    ])
  }
})

test('published limits to the files themselves are on their fields', { skip }, () => {
  const published = facts.flatMap(({ slug, input }) =>
    input.flatMap(({ name, limits }) => {
      const wanted = limits && mediaLimits[limits]
      return wanted === undefined ? [] : [{ slug, name, limits: wanted }]
    }),
  )
  const known = [...models.values()].flatMap(({ slug, versions }) =>
    versions[0]!.mediaFields.flatMap(({ field, limits }) => (limits ? [{ slug, name: field, limits }] : [])),
  )
  const bySlug = (a: { slug: string }, b: { slug: string }) =>
    a.slug < b.slug ? -1 : a.slug > b.slug ? 1 : 0
  assert.deepEqual(known.toSorted(bySlug), published.toSorted(bySlug))
})

/** The words of the pages; the 10 MB are those of every picture. */
const mediaLimits: Record<string, object> = {
  'JPG or PNG; max 10 MB; min 300 px': { types: ['image/jpeg', 'image/png'], minPixels: 300 },
  '3-30 s long': { minSeconds: 3, maxSeconds: 30 },
  'max 10 s long': { maxSeconds: 10 },
}

test('every other limit that is published in words is one that is known here', { skip }, () => {
  const words = facts.flatMap(({ input }) =>
    input.flatMap(({ limits, items }) => [
      limits,
      items?.limits,
      ...(items?.fields ?? []).map((field) => field.limits),
    ]),
  )
  const unknown = new Set(words.filter((text) => text !== undefined && !(text in mediaLimits)))
  assert.deepEqual(
    [...unknown].sort(),
    [
      // tested above
      'at most 4 when a video is given, at most 7 without',
      // the shape of elements is that of Kling 3.0, whose page gives it
      'per element: 1-4 reference images, voice clip optional; nested field names not given',
      // sumEqualsField: check-input.test.ts
      "sum of shot durations to stay inside the model's range (range not given)",
      // said in descriptions: nothing to refuse
      '-1 means random',
      'auto-generated when empty',
      'end frame',
      'extra references, used for fallback routing',
      'first frame',
      'first image is the main reference, the rest are extra angles',
      'for continuation mode',
      'id of an existing Kling work',
      'image or video',
      'in seconds',
      'last frame',
      'may hold reference placeholders @image1..@image9, @video1..@video3, @audio1..@audio3',
      'start frame',
    ].sort(),
  )
})
