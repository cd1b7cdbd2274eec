import type { ModelVersion } from '../catalogue/load.ts'
import { withRealSamples } from '../samples/samples.ts'
import { loadAssets } from './assets.ts'
import { endpointPage, endpointPath, endpointsPage } from './endpoint-page.ts'
import { factsOf, knownOf } from './facts.ts'
import { fillIn, loadGuides } from './guides.ts'
import { type Frame, pageDocument } from './layout.ts'
import { llmsFull, llmsIndex } from './llms.ts'
import { logo } from './logo.ts'
import { renderMarkdown } from './markdown.ts'
import { modelPage, modelPath, titleOf } from './model-page.ts'
import { baseCost } from './model-pricing.ts'
import { filterPath, modelKeywords, modelsPage, readFilter } from './models-page.ts'
import { openApi } from './openapi.ts'
import { groupOf } from './operation.ts'
import { markdownPath, type Page } from './page.ts'
import { loadReferenceScript, referenceDocument } from './reference.ts'
import { createSearch } from './search.ts'
import { missingDocument, searchDocument } from './search-page.ts'
import type { Subject } from './subject.ts'

/** What is at an address; `make` does the work, and its result holds for every request of the same `key`. */
export interface Found {
  status: 200 | 404
  type: string
  key: string | undefined
  make(): string | Buffer | Promise<string>
  /** The address changes with the content. */
  isImmutable?: boolean
  /** The interactive reference, whose library sets styles of its own. */
  isReference?: boolean
}

export interface Site {
  find(path: string, query: Record<string, unknown>): Found
}

type Query = Record<string, unknown>

const types = {
  html: 'text/html; charset=utf-8',
  markdown: 'text/markdown; charset=utf-8',
  text: 'text/plain; charset=utf-8',
  json: 'application/json; charset=utf-8',
  script: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

const { folder, assets } = loadAssets()

/** The documentation of one set of operations and models. Nothing is rendered before it is asked for. */
export function createSite(given: Subject): Site {
  const byProvider = given.models.toSorted((a, b) => a.provider.name.localeCompare(b.provider.name, 'en'))
  const subject = {
    ...given,
    models: byProvider.map((model) => ({ ...model, current: withRealExample(model.current, given.origin) })),
    operations: given.operations.map((operation) => ({
      ...operation,
      exampleBody: withRealSamples(operation.exampleBody, given.origin),
    })),
  }
  const { models, origin, providers } = subject
  const pages = listPages(subject)
  const frame: Frame = { pages, origin, assets: folder }
  const fixed = new Map<string, (query: Query) => Found>()
  const add = (path: string, type: keyof typeof types, make: Found['make'], rest: Partial<Found> = {}) =>
    fixed.set(path, () => ({ status: 200, type: types[type], key: path, make, ...rest }))

  for (const page of pages) {
    add(page.path, 'html', () => pageDocument(frame, page, renderMarkdown(page.markdown())))
    add(markdownPath(page.path), 'markdown', page.markdown)
  }
  add('/docs/llms.txt', 'text', () => llmsIndex(pages, origin))
  add('/docs/llms-full.txt', 'text', () => llmsFull(pages, origin))
  add('/openapi.json', 'json', () => JSON.stringify(openApi(subject)))
  add('/robots.txt', 'text', () => 'User-agent: *\nDisallow: /v1/\nDisallow: /files/\n')
  add('/docs/api', 'html', () => referenceDocument(folder), { isReference: true })
  add(`${folder}/scalar.js`, 'script', loadReferenceScript)
  for (const [id, provider] of Object.entries(providers)) {
    add(`/docs/logos/${id}.svg`, 'svg', () => logo(provider))
  }
  for (const [name, { type, body }] of assets) {
    const path = `${folder}/${name}`
    fixed.set(path, () => ({ status: 200, type, key: path, make: () => body, isImmutable: true }))
  }

  const listPage = pages.find(({ path }) => path === '/docs/models')!
  fixed.set('/docs/models', (query) => {
    const filter = readFilter(query, models)
    const make = () => pageDocument(frame, listPage, renderMarkdown(modelsPage(models, filter, subject)))
    return { status: 200, type: types.html, key: filterPath(filter), make }
  })

  let search: ReturnType<typeof createSearch> | undefined
  const results = ({ q }: Query) => {
    search ??= createSearch(pages)
    return search(typeof q === 'string' ? q : '')
  }
  const unkeyed = { status: 200, key: undefined } as const
  fixed.set('/docs/search.json', (query) => ({
    ...unkeyed,
    type: types.json,
    make: () => JSON.stringify({ results: results(query) }),
  }))
  fixed.set('/docs/search', (query) => ({
    ...unkeyed,
    type: types.html,
    make: () => searchDocument(frame, typeof query.q === 'string' ? query.q : '', results(query)),
  }))

  const missing: Found = { status: 404, type: types.html, key: '404', make: () => missingDocument(frame) }
  return { find: (path, query) => fixed.get(path)?.(query) ?? missing }
}

function withRealExample(version: ModelVersion, origin: string): ModelVersion {
  return { ...version, example: withRealSamples(version.example, origin) }
}

function listPages(subject: Subject): Page[] {
  const { operations, models, capabilities } = subject
  const facts = factsOf(subject)
  const guides = loadGuides().map(
    ({ source, ...guide }): Page => ({ ...guide, section: 'Guides', markdown: () => fillIn(source, facts) }),
  )
  const endpoints = operations.map(
    (operation): Page => ({
      path: endpointPath(operation),
      title: operation.name,
      description: operation.summary,
      section: 'API',
      group: groupOf(operation),
      markdown: () => endpointPage(operation, knownOf(subject)),
    }),
  )
  const modelPages = models.map(
    (model): Page => ({
      path: modelPath(model),
      title: titleOf(model, capabilities),
      description: `${model.description} ${baseCost(model.current.pricing)}.`,
      section: 'Models',
      group: model.provider.name,
      keywords: modelKeywords(model),
      markdown: () => modelPage(model, subject),
    }),
  )
  return [
    ...guides,
    {
      path: '/docs/endpoints',
      title: 'All operations',
      description: 'Every operation of the API by group.',
      section: 'API',
      markdown: () => endpointsPage(operations),
    },
    ...endpoints,
    {
      path: '/docs/models',
      title: 'All models',
      description: 'Every model with capability and price.',
      section: 'Models',
      keywords: '',
      markdown: () => modelsPage(models, {}, subject),
    },
    ...modelPages,
  ]
}
