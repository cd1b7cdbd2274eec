import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { test } from 'node:test'
import { apiErrors, jobFailures } from '../src/errors.ts'
import { routes } from '../src/http/app.ts'
import { cloneDatabase } from './database.ts'
import { startGateway } from './gateway.ts'
import { until } from './until.ts'

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const { providers, models } = await readCatalogue()

interface Page {
  status: number
  type: string
  text: string
  ids: Set<string>
  links: string[]
}

async function readCatalogue() {
  const { body } = await gateway.call('GET', '/v1/catalog/models')
  const models = body as { slug: string; provider: { id: string } }[]
  return { models, providers: [...new Set(models.map(({ provider }) => provider.id))] }
}

async function read(address: string): Promise<Page> {
  const { status, headers, body } = await gateway.call('GET', address)
  const type = headers.get('content-type') ?? ''
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const isHtml = type.startsWith('text/html')
  const attributes = (name: string) =>
    isHtml
      ? [...text.matchAll(new RegExp(` ${name}="([^"]*)"`, 'g'))].map(([, value]) => unescaped(value!))
      : []
  return {
    status,
    type,
    text,
    ids: new Set(attributes('id')),
    links: [...attributes('href'), ...attributes('src'), ...attributes('action')],
  }
}

const unescaped = (text: string) =>
  text.replaceAll('&amp;', '&').replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))

/** Every page that a reader can get to from /docs, by address. */
async function walk(): Promise<{
  pages: Map<string, Page>
  anchors: { from: string; to: string; id: string }[]
}> {
  const pages = new Map<string, Page>()
  const anchors: { from: string; to: string; id: string }[] = []
  const waiting = ['/docs']
  while (waiting.length > 0) {
    const batch = waiting.splice(0, 8)
    const found = await Promise.all(batch.map(read))
    for (const [index, from] of batch.entries()) {
      pages.set(from, found[index]!)
      for (const link of found[index]!.links) {
        const url = new URL(link, gateway.url + from)
        if (url.origin !== gateway.url) continue
        const to = url.pathname + url.search
        if (url.hash !== '') anchors.push({ from, to, id: decodeURIComponent(url.hash.slice(1)) })
        if (!pages.has(to) && !waiting.includes(to) && !batch.includes(to)) waiting.push(to)
      }
    }
  }
  return { pages, anchors }
}

const { pages, anchors } = await walk()

test('every link of every page leads to a page', () => {
  const broken = [...pages].filter(([, { status }]) => status !== 200).map(([address]) => address)
  assert.deepEqual(broken, [])
})

test('every anchor that a link names is on its page', () => {
  const broken = anchors.filter(({ to, id }) => !pages.get(to)!.ids.has(id))
  assert.deepEqual(broken, [])
})

test('every public model has a page, and every operation and error code too', () => {
  assert.deepEqual(
    models.filter(({ slug }) => !pages.has(`/docs/models/${slug}`)),
    [],
  )
  const endpoints = [...pages]
    .filter(([address]) => address.startsWith('/docs/endpoints/'))
    .map(([, { text }]) => text)
  const addresses = routes.map(({ method, path }) => `${method}</b> ${path.replace(/:(\w+)\+?/g, '{$1}')}<`)
  assert.deepEqual(
    addresses.filter((address) => !endpoints.some((text) => text.includes(address))),
    [],
  )
  const { ids, text } = pages.get('/docs/errors')!
  assert.deepEqual(
    Object.keys(apiErrors).filter((code) => !ids.has(code.toLowerCase())),
    [],
  )
  assert.deepEqual(
    Object.keys(jobFailures).filter((code) => !text.includes(code)),
    [],
  )
})

test('every page is Markdown as well, and llms-full.txt holds all of it', async () => {
  const full = await read('/docs/llms-full.txt')
  const index = await read('/docs/llms.txt')
  for (const [address, { text }] of pages) {
    const alternate = /<link rel="alternate" type="text\/markdown" href="([^"]+)">/.exec(text)?.[1]
    if (alternate === undefined || address.includes('?')) continue
    const markdown = await read(alternate)
    assert.equal(markdown.type, 'text/markdown; charset=utf-8', address)
    assert.ok(full.text.includes(markdown.text.trim()), `${alternate} is not in llms-full.txt`)
    assert.ok(index.text.includes(`(${gateway.url}${alternate})`), `${alternate} is not in llms.txt`)
  }
})

test('no page shows what was left empty', () => {
  const spoilt = [...pages]
    .filter(([, { type }]) => type.startsWith('text/'))
    .filter(([address]) => !address.includes('/assets/'))
    .filter(([, { text }]) => /\bundefined\b|\[object|\bNaN\b|\{\{/.test(text))
    .map(([address]) => address)
  assert.deepEqual(spoilt, [])
})

test('no page asks another host for anything', () => {
  for (const [address, { text }] of pages) {
    const loaded = [...text.matchAll(/<(?:script|link|img|iframe)[^>]* (?:src|href)="(https?:[^"]+)"/g)]
      .map(([, url]) => url!)
      .filter((url) => !url.startsWith(gateway.url))
    assert.deepEqual(loaded, [], address)
  }
})

test('pages are held to a strict policy, are kept by browsers, and say when they have not changed', async () => {
  const first = await gateway.call('GET', '/docs/errors')
  const policy = first.headers.get('content-security-policy')!
  assert.match(policy, /default-src 'none'/)
  assert.doesNotMatch(policy, /unsafe|https?:|\*/)
  assert.equal(first.headers.get('x-content-type-options'), 'nosniff')
  const again = await gateway.call('GET', '/docs/errors', {
    headers: { 'if-none-match': first.headers.get('etag')! },
  })
  assert.deepEqual([again.status, again.body], [304, ''])
  const style = [...pages.keys()].find((address) => address.endsWith('/docs.css'))!
  const { headers } = await gateway.call('GET', style)
  assert.match(headers.get('cache-control')!, /immutable/)
})

test('the list of models narrows down by provider, category and capability', async () => {
  const [provider] = providers
  const narrowed = await read(`/docs/models?provider=${provider}`)
  const shown = new Set(narrowed.text.split('<article>')[1]!.match(/href="\/docs\/models\/[^"]+"/g))
  assert.equal(shown.size, models.filter((model) => model.provider.id === provider).length)
  const unknown = await read('/docs/models?provider=%3Cscript%3E&category[]=x')
  assert.equal(unknown.status, 200)
  assert.equal(unknown.text, pages.get('/docs/models')!.text)
})

test('search finds guides, operations and models, with and without a script', async () => {
  const find = async (query: string): Promise<string[]> => {
    const { body } = await gateway.call('GET', `/docs/search.json?q=${encodeURIComponent(query)}`)
    return body.results.map((result: { path: string }) => result.path)
  }
  assert.ok((await find('webhook')).includes('/docs/webhooks'))
  assert.ok((await find('cancel job')).includes('/docs/endpoints/cancel-a-job'))
  assert.ok((await find('idempotncy')).includes('/docs/idempotency'), 'a misspelt word')
  assert.ok((await find('kling omni o1 image')).includes('/docs/models/kling/kling-omni-o1/image-to-video'))
  assert.deepEqual(await find('xyzzyplugh'), [])
  const page = await read('/docs/search?q=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E')
  assert.equal(page.status, 200)
  assert.doesNotMatch(page.text, /<script>alert/)
})

test('the bare address of the server leads to the docs', async () => {
  for (const address of ['/', '/docs/']) {
    const { status, text } = await read(address)
    assert.deepEqual([status, text], [200, pages.get('/docs')!.text])
  }
})

/** The status and Location that a request with this request line gets, which `fetch` would not send. */
async function redirectOf(target: string): Promise<[number | undefined, string | undefined]> {
  const { hostname, port } = new URL(gateway.url)
  const [answer] = (await once(request({ hostname, port, path: target }).end(), 'response')) as [
    IncomingMessage,
  ]
  answer.resume()
  return [answer.statusCode, answer.headers.location]
}

test('a slash too many is taken off, and no request line sends a reader to another host', async () => {
  assert.deepEqual(await redirectOf('/docs/models/'), [301, '/docs/models'])
  assert.deepEqual(await redirectOf('/docs//'), [301, '/docs/'])
  assert.deepEqual(await redirectOf('http://elsewhere.example/docs/'), [404, undefined])
})

test('an unknown page is answered with 404 and a way on', async () => {
  for (const address of [
    '/docs/unknown',
    '/docs/models/nobody/nothing/text-to-video',
    '/docs/%3Cscript%3E',
  ]) {
    const { status, type, text } = await read(address)
    assert.deepEqual([status, type], [404, 'text/html; charset=utf-8'], address)
    assert.match(text, /action="\/docs\/search"/)
  }
})

test('a model that is not public is in no page, and is back once it is', async () => {
  const hidden = 'kling-plus/kling-o3-standard/text-to-video'
  const holders = async () => {
    const addresses = [
      '/docs',
      '/docs/models',
      '/docs/quickstart',
      `/docs/models/${hidden}`,
      '/docs/llms.txt',
      '/docs/llms-full.txt',
      '/openapi.json',
    ]
    const found = await Promise.all(addresses.map(read))
    return addresses.filter((_, index) => found[index]!.text.includes(hidden))
  }
  // without a key the policy is asked for once a second
  const untilItIs = (status: number) =>
    until(async () => (await read(`/docs/models/${hidden}`)).status === status)
  await database.pool.query("insert into model_visibility (model_slug, visibility) values ($1, 'private')", [
    hidden,
  ])
  await untilItIs(404)
  assert.deepEqual(await holders(), [])
  await database.pool.query('delete from model_visibility where model_slug = $1', [hidden])
  await untilItIs(200)
  assert.ok((await holders()).includes('/docs/models'))
})
