import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Catalogue, loadCatalogue } from '../catalogue/load.ts'
import { dollars, grouped } from '../dollars.ts'
import { routes } from '../http/app.ts'
import { defaultPrice } from '../policy/default-price.ts'
import { renderMarkdown } from './markdown.ts'
import { createSite } from './site.ts'
import type { DocumentedModel } from './subject.ts'
import { code, plain, table } from './text.ts'

const catalogue = loadCatalogue()
const documented = (found: Catalogue): DocumentedModel[] =>
  [...found.models.values()].map((model) => ({ ...model, current: model.versions.at(-1)! }))

/** The text of an address of a site of these models. */
async function readPage(address: string, models = documented(catalogue), about = catalogue): Promise<string> {
  const site = createSite({ ...about, models, operations: routes, origin: 'https://films.example.com' })
  return String(await site.find(address, {}).make())
}

const modelOf = (slug: string) => documented(catalogue).find((model) => model.slug === slug)!

const nasty = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  '*a* _b_ __c__ **d** ~~e~~',
  '[x](javascript:alert(1)) ![x](http://other.example/x.png)',
  'a | b \\| c \\',
  '`code` `` two `` ```',
  '# not a heading',
  '- not a list',
  '+ not a list',
  '1. not a list',
  '1) not a list',
  '> no quote',
  '=== ---',
  '---',
  '***',
  '&lt; &amp; &copy; <!-- x -->',
  'has_sound is a_b_c_ and _d',
  'two\n\n# lines',
  'https://example.com/a_b_c',
]

const shownText = (html: string) =>
  html
    .replace(/<[^>]*>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .trim()

test('text of the catalogue is shown as it stands, whatever it looks like', () => {
  for (const text of nasty) {
    const expected = text.replace(/\s+/g, ' ')
    const { html } = renderMarkdown(plain(text))
    assert.match(html, /^<p>[^<]*<\/p>\n$/, text)
    assert.equal(shownText(html), expected)
    const cell = renderMarkdown(table(['One', 'Two'], [[plain(text), 'end']])).html
    assert.equal(/<td data-label="One">(.*?)<\/td>/.exec(cell)?.[1], /<p>(.*)<\/p>/.exec(html)?.[1], text)
    assert.match(cell, /<td data-label="Two">end<\/td>/, text)
  }
})

test('code in a cell stays in it', () => {
  for (const text of ['a|b', '`', 'a `` b', '<script>']) {
    const { html } = renderMarkdown(table(['One', 'Two'], [[code(text), 'end']]))
    assert.equal(shownText(/<code>(.*?)<\/code>/.exec(html)?.[1] ?? ''), text)
    assert.match(html, /<td data-label="Two">end<\/td>/, text)
  }
})

test('a catalogue with markup in every text makes pages without it', async () => {
  const evil = '</code></pre><script>alert(1)</script>"\'><img src=x onerror=alert(1)>'
  const spoil = (value: unknown): unknown => {
    if (typeof value === 'string') return evil
    if (Array.isArray(value)) return value.map(spoil)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, spoil(item)]))
  }
  const base = modelOf('kling-plus/kling-o3-standard/text-to-video')
  const properties = Object.entries(base.current.inputSchema.properties as Record<string, object>).map(
    ([name, schema]) => [name, { ...schema, description: evil }],
  )
  const version = {
    ...base.current,
    version: evil,
    inputSchema: { ...base.current.inputSchema, properties: Object.fromEntries(properties) },
    example: spoil(base.current.example) as Record<string, unknown>,
  }
  const model: DocumentedModel = {
    ...base,
    name: evil,
    description: evil,
    tags: [evil],
    notes: [evil],
    provider: { id: base.provider.id, name: evil },
    versions: [version],
    current: version,
  }
  const about = {
    ...catalogue,
    providers: {
      [base.provider.id]: { ...catalogue.providers[base.provider.id]!, name: evil, description: evil },
    },
  }
  for (const address of ['/docs', '/docs/models', `/docs/models/${base.slug}`, '/docs/quickstart']) {
    const page = await readPage(address, [model], about)
    assert.ok(page.includes('alert(1)'), `${address} shows the text`)
    assert.doesNotMatch(page, /<script>|<img src=x|onerror=alert\(1\)>/, address)
  }
  const logo = await readPage(`/docs/logos/${base.provider.id}.svg`, [model], about)
  assert.doesNotMatch(logo, /<script|<\/code/)
})

test('the default cost is worked as published', async () => {
  const first = await readPage('/docs/models/kling/kling-omni-o1/image-to-video.md')
  assert.match(first, /5 seconds, std quality = 70,000 × 5 × 1 = 350,000 micro-cents \(\$0\.35\)/)
  assert.match(first, /cost = base × duration × quality/)
  const second = await readPage('/docs/models/kling-plus/kling-o3-standard/text-to-video.md')
  assert.match(second, /5 seconds, no sound = 84,000 × 5 × 1 = 420,000 micro-cents \(\$0\.42\)/)
})

test('the default cost of every model is what its job would be charged', async () => {
  for (const model of documented(catalogue)) {
    const { costMicroCents } = defaultPrice(model, model.current, [])
    const page = await readPage(`/docs/models/${model.slug}.md`, [model])
    assert.match(page, new RegExp(`\\| Default cost \\| ${grouped(costMicroCents)} micro-cents `), model.slug)
  }
})

test('a model without priced fields is said to have a flat price', async () => {
  const flat = documented(catalogue).find(({ current }) => Object.keys(current.pricing.factors).length === 0)!
  const page = await readPage(`/docs/models/${flat.slug}.md`)
  assert.match(page, /Flat price: every job costs \*\*[\d,]+ micro-cents/)
  assert.doesNotMatch(page, /Multiplier/)
})

test('older versions are shown with their own fields and price, deleted ones are not', async () => {
  const base = modelOf('kling/kling-omni-o1/image-to-video')
  const { current } = base
  const pricing = { ...current.pricing, baseCostMicroCents: 60_000 }
  const old = { ...current, version: 'v0.9', status: 'deprecated' as const, pricing }
  const gone = { ...current, version: 'v0.1', status: 'deleted' as const }
  const page = await readPage(`/docs/models/${base.slug}.md`, [{ ...base, versions: [gone, old, current] }])
  assert.match(page, /### Version v0\.9/)
  assert.match(page, /60,000 × 5 × 1 = 300,000/)
  assert.doesNotMatch(page, /v0\.1/)
})

test('nested fields are listed under their path', async () => {
  const page = await readPage('/docs/models/kling-plus/kling-o3-standard/text-to-video.md')
  assert.match(page, /\| `multishot\[\]\.prompt` \| string \| \*\*yes\*\* \|/)
})

test('a model names the other capabilities of its family, and nothing else twice', async () => {
  const page = await readPage('/docs/models/kling-plus/kling-o3-standard/text-to-video.md')
  const related = [...page.split('## Related models')[1]!.matchAll(/\]\((\/docs\/models\/[^)]+)\)/g)].map(
    ([, to]) => to,
  )
  assert.ok(related.includes('/docs/models/kling-plus/kling-o3-standard/image-to-video'))
  assert.equal(new Set(related).size, related.length)
})

test('a site without models still has its guides', async () => {
  for (const address of ['/docs', '/docs/quickstart', '/docs/models', '/docs/llms-full.txt']) {
    assert.doesNotMatch(await readPage(address, []), /undefined|NaN/, address)
  }
})

test('amounts are written exactly', () => {
  assert.deepEqual([350_000, 84_000, 1_125_000, 1, 1_234_567_890].map(dollars), [
    '$0.35',
    '$0.084',
    '$1.125',
    '$0.000001',
    '$1,234.56789',
  ])
  assert.equal(grouped(1_234_567n), '1,234,567')
})
