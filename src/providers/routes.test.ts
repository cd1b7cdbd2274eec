import assert from 'node:assert/strict'
import { once as emitted } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { createCanvas, loadImage } from '@napi-rs/canvas'
import { type CustomerFiles, withCustomerFiles } from '../../test/customer-files.ts'
import { dirtyFilm, dirtyPicture, dirtySound, secret } from '../../test/dirty-files.ts'
import { startFal } from '../../test/upstreams/fal.ts'
import { startKling } from '../../test/upstreams/kling.ts'
import { startWavespeed } from '../../test/upstreams/wavespeed.ts'
import { checkInput } from '../catalogue/check-input.ts'
import { loadCatalogue, type ModelVersion } from '../catalogue/load.ts'
import { cleanMedia } from '../jobs/clean-media.ts'
import { createMedia, type Media } from '../media/media.ts'
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

/** What the upstream has been given: the bodies of its requests, and the files that it was lent. */
interface Seen {
  bodies: Buffer[]
  files: Buffer[]
}

for (const { title, name, start, keys } of servers) {
  const own = routed.filter(({ route, version }) => route.upstream === name && version.mediaFields.length > 0)

  for (const isLent of [true, false]) {
    const how = isLent ? 'lent' : 'within the request'
    test(`${title} learns by no route whose files they are, nor where and with what they were made: ${how}`, async () => {
      const seen: Seen = { bodies: [], files: [] }
      const server = await start(keys)
      const listener = await listening(server.url, seen)
      const upstream = upstreams[name]!
      const baseUrl = listener.url + new URL(upstream.defaultBaseUrl).pathname.replace(/\/$/, '')
      const provider = upstream.open({ baseUrl, ...keys })
      const media = createMedia()
      try {
        await withCustomerFiles(async (files) => {
          const dirty = await dirtyFiles(files, { media, provider, isReachable: isLent })
          const publish = async (file: InputMedia) => {
            seen.files.push(await readFile(file.path))
            return files.publish(file)
          }
          const context: SubmitContext = {
            signal: AbortSignal.timeout(120_000),
            callbackUrl: undefined,
            publish: isLent ? publish : async () => undefined,
          }
          let told = 0
          for (const [index, { model, version, route }] of own.entries()) {
            const input = inputsOf(version).find((input) => provider.fits?.({ route, input }) === undefined)
            assert.ok(input, `${model.slug}: nothing is sent by ${route.model}`)
            // without an address of ours a film can only be told by the customer's: the timeline says so
            const isFilmed = version.mediaFields.some(
              ({ field, media }) => media === 'video' && urlsIn(input, field.split('.')).length > 0,
            )
            if (isFilmed && !isLent) continue
            const given = await mediaOf(dirty, version, input)
            const request = { jobId: `job-${index}`, model, route: bare(route), input, media: given }
            await assertTaken(provider, request, context, `${model.slug} by ${route.model}`)
            told += 1
          }
          assert.ok(told > 0)
          // the originals are the customer's, and stay
          for (const original of dirty.originals) assert.ok((await readFile(original)).includes(secret))
        })
      } finally {
        await Promise.all([server.stop(), listener.close(), media.close()])
      }
      await assertTellsNothing(seen, isLent)
    })
  }
}

/** The files of a customer as phones write them, made for this upstream as a dispatch makes them. */
async function dirtyFiles(
  files: CustomerFiles,
  { media, provider, isReachable }: { media: Media; provider: Provider; isReachable: boolean },
): Promise<CustomerFiles & { originals: string[] }> {
  const made = new Map<string, Promise<InputMedia>>()
  const originals: string[] = []
  const clean = async <Kind extends InputMedia>(
    file: Kind,
    bytes: Buffer,
    contentType: string,
  ): Promise<Kind> => {
    const path = `${file.path}-as-it-was`
    originals.push(path)
    await writeFile(path, bytes)
    const dirty = { ...file, path, contentType }
    const folder = dirname(path)
    const outcome = await cleanMedia(
      { media, isReachable },
      provider,
      { field: [dirty] },
      folder,
      async () => {},
    )
    assert.ok('media' in outcome, JSON.stringify(outcome))
    return outcome.media.field![0] as Kind
  }
  const once = <Kind extends InputMedia>(name: string, make: () => Promise<Kind>) => {
    const known = made.get(name) ?? make()
    made.set(name, known)
    return known as Promise<Kind>
  }
  return {
    ...files,
    originals,
    picture: (size = { width: 640, height: 360 }) =>
      once(`${size.width}x${size.height}`, async () =>
        clean(await files.picture(size), dirtyPicture(size), 'image/jpeg'),
      ),
    film: () =>
      once('film', async () => {
        const film = await files.film()
        return clean(film, await dirtyFilm(await readFile(film.path), 'mov'), 'video/quicktime')
      }),
    sound: () => once('sound', async () => clean(await files.sound(), await dirtySound(), 'audio/mpeg')),
  }
}

/** Stands before an upstream, and keeps what it is sent. */
async function listening(target: string, seen: Seen): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request))
    seen.bodies.push(body)
    const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers
    const answer = await fetch(target + request.url, {
      method: request.method!,
      headers: headers as Record<string, string>,
      ...(body.length > 0 && { body }),
    })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
    response.end(Buffer.from(await answer.arrayBuffer()))
  })
  server.listen(0, '127.0.0.1')
  await emitted(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** What a device writes beside the picture, by the names that stand before it. */
const told = /SECRET|Exif|http:\/\/ns\.adobe|Photoshop|MPF\0|ID3|©xyz|com\.apple\.quicktime/

async function assertTellsNothing({ bodies, files }: Seen, isLent: boolean): Promise<void> {
  const sent = bodies.flatMap((body) => [body, ...filesWithin(body)])
  const all = [...sent, ...files].map((bytes) => bytes.toString('latin1'))
  for (const text of all) assert.doesNotMatch(text, told)
  const pictures = [...sent, ...files].filter((bytes) =>
    bytes.subarray(0, 2).equals(Buffer.from([0xff, 0xd8])),
  )
  assert.ok(pictures.length > 0 && (!isLent || files.length > 0))
  for (const bytes of new Map(pictures.map((bytes) => [bytes.toString('base64'), bytes])).values()) {
    const image = await loadImage(bytes)
    const context = createCanvas(image.width, image.height).getContext('2d')
    context.drawImage(image, 0, 0)
    const at = (x: number, y: number) => [
      ...context.getImageData(x * image.width, y * image.height, 1, 1).data,
    ]
    // upright: red is in the upper left
    assert.ok(at(0.25, 0.25)[0]! > 200 && at(0.75, 0.25)[2]! > 200 && at(0.25, 0.75)[2]! > 200)
  }
}

/** The files that stand in a body of JSON as base64, or in one of several parts as they are. */
function filesWithin(body: Buffer): Buffer[] {
  const start = body.indexOf(Buffer.from([0xff, 0xd8, 0xff]))
  const strings = body.toString('latin1').match(/[A-Za-z0-9+/]{200,}={0,2}/g) ?? []
  return [
    ...(start >= 0 ? [body.subarray(start)] : []),
    ...strings.map((text) => Buffer.from(text, 'base64')),
  ]
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
    const file = count > 0 ? await make[kind === 'any' ? 'image' : kind]() : undefined
    media[field] = file === undefined ? [] : Array.from({ length: count }, () => file)
  }
  return media
}

function urlsIn(value: Json | undefined, path: string[]): Json[] {
  if (Array.isArray(value)) return value.flatMap((item) => urlsIn(item, path))
  const [field, ...rest] = path
  if (field === undefined) return value === undefined ? [] : [value]
  return typeof value === 'object' && value !== null ? urlsIn(value[field], rest) : []
}
