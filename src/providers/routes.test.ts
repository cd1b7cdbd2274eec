import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CustomerFiles, withCustomerFiles } from '../../test/customer-files.ts'
import { startFal } from '../../test/upstreams/fal.ts'
import { startKling } from '../../test/upstreams/kling.ts'
import { startWavespeed } from '../../test/upstreams/wavespeed.ts'
import { checkInput } from '../catalogue/check-input.ts'
import { loadCatalogue, type ModelVersion } from '../catalogue/load.ts'
import type { InputMedia, Json, Provider, ProviderRequest, Route, SubmitContext } from './provider.ts'
import { upstreams } from './upstreams.ts'

type Input = Record<string, Json>

const apiKey = 'routes:test-key'
const pair = { accessKey: 'routes-access', secretKey: 'routes-secret' }
const servers = [
  { title: 'kling', name: 'kling', start: startKling, keys: { apiKey } },
  { title: 'kling with a pair of keys', name: 'kling', start: startKling, keys: pair },
  { title: 'fal', name: 'fal', start: startFal, keys: { apiKey } },
  {
    title: 'wavespeed',
    name: 'wavespeed',
    // more than all of it costs
    start: (options: { apiKey?: string }) => startWavespeed({ ...options, balance: 1_000_000 }),
    keys: { apiKey },
  },
] as const
const routed = [...loadCatalogue().models.values()].flatMap(({ slug, capability, versions }) =>
  versions.flatMap((version) =>
    version.routes.map((route) => ({ model: { slug, capability }, version, route })),
  ),
)

for (const { title, name, start, keys } of servers) {
  const own = routed.filter(({ route }) => route.upstream === name)

  test(`${title} takes every job that its routes say it can do`, async () => {
    await withCustomerFiles(async (files) => {
      const server = await start(keys)
      const upstream = upstreams[name]!
      const baseUrl = server.url + new URL(upstream.defaultBaseUrl).pathname.replace(/\/$/, '')
      const provider = upstream.open({ baseUrl, ...keys })
      const context: SubmitContext = {
        signal: AbortSignal.timeout(120_000),
        callbackUrl: undefined,
        publish: files.publish,
      }
      try {
        for (const [index, { model, version, route }] of own.entries()) {
          let taken = 0
          for (const [n, input] of inputsOf(version).entries()) {
            const what = `${model.slug} by ${route.model}: ${JSON.stringify(input)}`
            const unfit = provider.fits?.({ route, input })
            if (unfit !== undefined) continue
            const job = { jobId: `job-${index}-${n}`, model, route: bare(route), input }
            const request = { ...job, media: await mediaOf(files, version, input) }
            await assertTaken(provider, request, context, what)
            taken += 1
          }
          assert.ok(taken > 0, `${model.slug}: nothing is sent by ${route.model}`)
        }
      } finally {
        await server.stop()
      }
    })
  })
}

test('the example of every model that has routes can be made by one of them', () => {
  const opened = new Map(
    Object.values(upstreams).map((upstream) => [
      upstream.name,
      upstream.open({ baseUrl: upstream.defaultBaseUrl, apiKey }),
    ]),
  )
  const made = routed.filter(({ version, route }) => {
    const [input = {}] = inputsOf(version)
    return opened.get(route.upstream)?.fits?.({ route, input }) === undefined
  })
  const slugs = (list: typeof routed) => new Set(list.map(({ model }) => model.slug))
  assert.deepEqual([...slugs(routed).difference(slugs(made))], [])
})

async function assertTaken(
  provider: Provider,
  request: ProviderRequest,
  context: SubmitContext,
  what: string,
) {
  let prepared: Json = null
  for (let tries = 0; tries < 5; tries += 1) {
    const outcome = (await provider.prepare?.(request, context)) ?? { outcome: 'ready', prepared: null }
    assert.ok(outcome.outcome === 'ready' || outcome.outcome === 'pending', `${what}: ${said(outcome)}`)
    if (outcome.outcome !== 'ready') continue
    prepared = outcome.prepared
    break
  }
  const outcome = await provider.submit({ ...request, prepared }, context)
  assert.equal(outcome.outcome, 'accepted', `${what}: ${said(outcome)}`)
}

function said(outcome: object): string {
  const { cause, ...rest } = outcome as { cause?: unknown }
  return `${JSON.stringify(rest)} ${cause ?? ''}`
}

const bare = ({ upstream, model, settings }: Route): Route => ({
  upstream,
  model,
  ...(settings !== undefined && { settings }),
})

/** The example first; then it with every value of every choice, and with every field that may be left out. */
function inputsOf(version: ModelVersion): Input[] {
  const { example, inputSchema } = version
  const properties = inputSchema.properties as Record<string, Record<string, unknown>>
  const variants = Object.entries(properties).flatMap(([field, schema]) =>
    valuesOf(field, schema).map((value) => ({ ...example, [field]: value })),
  )
  return [example, ...variants].flatMap((input) => {
    const checked = checkInput(version, input)
    return checked.issues.length === 0 ? [checked.input as Input] : []
  })
}

const samples: Record<string, Json[]> = {
  negative_prompt: ['blurry, distorted'],
  prompt: ['A fox runs; snow falls\nand @Image1 appears', 'Ein Fuchs läuft durch den Schnee 🦊'],
  cfg_scale: [0.7],
  guidance_scale: [0.7],
  seed: [7],
  multishot: [
    [
      { prompt: 'A fox wakes', duration: 2 },
      { prompt: 'it runs; fast', duration: 3 },
    ],
    [{ prompt: 'A fox wakes' }, { prompt: 'it runs' }],
  ],
  elements: [
    [{ characterImages: ['https://example.com/a.jpg'], name: 'Ann' }],
    [
      { characterImages: ['https://example.com/a.jpg', 'https://example.com/b.jpg'], name: 'Ann' },
      { characterImages: ['https://example.com/c.jpg'] },
    ],
  ],
}

function valuesOf(field: string, schema: Record<string, unknown>): Json[] {
  if (Array.isArray(schema.enum)) return schema.enum as Json[]
  if (schema.type === 'boolean') return [true, false]
  if (schema.media !== undefined) return [`https://example.com/${field}`]
  const items = schema.items as Record<string, unknown> | undefined
  if (items?.media !== undefined) {
    return [1, 2, Number(schema.maxItems)].map((n) =>
      Array.from({ length: n }, (_, index) => `https://example.com/${index}`),
    )
  }
  return samples[field] ?? []
}

const shapes: Record<string, { width: number; height: number }> = {
  '9:16': { width: 360, height: 640 },
  '1:1': { width: 400, height: 400 },
}

/** Files of the shape and length that the input speaks of, so that nothing is wrong with them. */
async function mediaOf(
  files: CustomerFiles,
  { mediaFields }: ModelVersion,
  input: Input,
): Promise<Record<string, InputMedia[]>> {
  const shape = shapes[String(input.aspect_ratio)]
  const media: Record<string, InputMedia[]> = {}
  for (const { field, media: kind } of mediaFields) {
    const make = { image: () => files.picture(shape), video: () => files.film(), audio: () => files.sound() }
    const count = urlsIn(input, field.split('.')).length
    const file = await make[kind === 'any' ? 'image' : kind]()
    media[field] = Array.from({ length: count }, () => file)
  }
  return media
}

function urlsIn(value: Json | undefined, path: string[]): Json[] {
  if (Array.isArray(value)) return value.flatMap((item) => urlsIn(item, path))
  const [field, ...rest] = path
  if (field === undefined) return value === undefined ? [] : [value]
  return typeof value === 'object' && value !== null ? urlsIn(value[field], rest) : []
}
