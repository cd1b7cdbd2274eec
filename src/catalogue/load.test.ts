import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import type { JsonSchema } from '../json-schema.ts'
import { type Price, price } from '../pricing/price.ts'
import { CatalogueError, checkInput, loadCatalogue } from './load.ts'

const catalogue = loadCatalogue()

interface FactField {
  name: string
  type: string
  required: boolean
  default?: string
  options?: string[]
  maxLength?: number
  media?: string
  items?: { fields: { name: string; required: boolean; minimum?: number; maximum?: number }[] }
}
interface Fact {
  slug: string
  provider: { id: string; name: string }
  model: { id: string; name: string }
  category: string
  baseCostMicroCents: number
  unit: string
  processingSeconds: number
  input: FactField[]
  factors: Record<string, Record<string, string>>
  default: { costMicroCents: number }
}
const factsPath = join(import.meta.dirname, '../../../shared/catalogue-facts.json')
const facts: Fact[] = existsSync(factsPath) ? JSON.parse(readFileSync(factsPath, 'utf8')) : []

/** A schema's facts in the form of the published ones. */
function toFields(schema: JsonSchema): FactField[] {
  const required = (schema.required ?? []) as string[]
  return Object.entries(schema.properties as Record<string, JsonSchema>).map(([name, property]) => ({
    name,
    type: property.type as string,
    required: required.includes(name),
    default: property.default as string,
    options: property.enum as string[],
    maxLength: property.maxLength as number,
    media: property.media as string,
  }))
}

for (const slug of ['kling/kling-omni-o1/image-to-video', 'kling-plus/kling-o3-standard/text-to-video']) {
  test(`${slug} is what was published of it`, (t) => {
    const fact = facts.find((candidate) => candidate.slug === slug)
    if (fact === undefined) return t.skip('the published facts are not at hand')
    const model = catalogue.models.get(slug)!
    const [version] = model.versions
    assert.ok(version)
    assert.deepEqual(model.provider, fact.provider)
    assert.equal(model.name, fact.model.name)
    assert.equal(model.category, fact.category)
    assert.equal(model.processingSeconds, fact.processingSeconds)
    assert.equal(version.pricing.baseCostMicroCents, fact.baseCostMicroCents)
    assert.equal(version.pricing.unit, `per_${fact.unit}`)
    assert.deepEqual(version.pricing.factors, fact.factors)
    const published = fact.input.map(({ name, type, required, maxLength, media, options, ...field }) => ({
      name,
      type,
      required,
      default: field.default,
      options,
      maxLength,
      media,
    }))
    assert.deepEqual(toFields(version.inputSchema), published)
    const required = published
      .filter((field) => field.required)
      .map((field) => [field.name, 'https://a.example/'])
    const { input, issues } = checkInput(version, Object.fromEntries(required))
    assert.deepEqual(issues, [])
    assert.equal(Number((price(version.pricing, input) as Price).costMicroCents), fact.default.costMicroCents)
  })
}

test('the shots of Kling O3 Standard have the published limits', (t) => {
  const fact = facts.find((candidate) => candidate.slug === 'kling-plus/kling-o3-standard/text-to-video')
  if (fact === undefined) return t.skip('the published facts are not at hand')
  const [prompt, duration] = fact.input.find((field) => field.name === 'multishot')!.items!.fields
  const properties = catalogue.models.get(fact.slug)!.versions[0]!.inputSchema.properties as Record<
    string,
    JsonSchema
  >
  const shot = properties.multishot!.items as JsonSchema
  assert.deepEqual(shot.required, [prompt!.name])
  const { duration: limits } = shot.properties as Record<string, JsonSchema>
  assert.equal(limits!.minimum, duration!.minimum)
  assert.equal(limits!.maximum, duration!.maximum)
})

test('files that the gateway must fetch are known by their fields', () => {
  assert.deepEqual(catalogue.models.get('kling/kling-omni-o1/image-to-video')!.versions[0]!.mediaFields, [
    { field: 'image_url', media: 'image' },
  ])
  assert.deepEqual(
    catalogue.models.get('kling-plus/kling-o3-standard/text-to-video')!.versions[0]!.mediaFields,
    [],
  )
})

const modelPath = 'acme/painter/text-to-video.json'

const goodFiles = () => ({
  'providers.json': {
    acme: {
      name: 'Acme',
      description: 'A provider of this test alone.',
      website: 'https://acme.example',
      color: '#123456',
    },
  } as Record<string, unknown>,
  'capabilities.json': {
    'text-to-video': { name: 'Text to Video', category: 'video', description: 'Makes a video of a prompt.' },
  } as Record<string, unknown>,
  [modelPath]: {
    name: 'Painter',
    description: 'A model of this test alone.',
    tags: ['video'],
    processingSeconds: 60,
    pricing: { baseCostMicroCents: 1000, unit: 'per_second', factors: { size: { s: '1', l: '2.5' } } },
    input: {
      type: 'object',
      required: ['prompt'],
      additionalProperties: false,
      properties: {
        prompt: { type: 'string', minLength: 1, description: 'What to paint.' },
        size: { type: 'string', enum: ['s', 'l'], default: 's', description: 'How large it is.' },
      },
    },
    example: { prompt: 'A house', size: 'l' },
    versions: [{ version: 'v1.0', status: 'active' }],
    // biome-ignore lint/suspicious/noExplicitAny: the tests spoil it in every way
  } as any,
})

const root = mkdtempSync(join(tmpdir(), 'filmgate-catalogue-'))
after(() => rmSync(root, { recursive: true, force: true }))
let folders = 0

/** Loads a catalogue of the good files, changed. Text is written as it is. */
function loadChanged(change: (files: ReturnType<typeof goodFiles>) => void) {
  const files = goodFiles()
  change(files)
  const directory = join(root, String(++folders))
  for (const [path, content] of Object.entries(files)) {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return loadCatalogue(directory)
}

test('a small good catalogue loads, with its slug from the path', () => {
  const { models } = loadChanged(() => {})
  assert.deepEqual([...models.keys()], ['acme/painter/text-to-video'])
})

test('files are known at every depth, and a kind of file that nobody fetches is refused', () => {
  const load = (kind: string) =>
    loadChanged((files) => {
      const url = (media: string) => ({ type: 'string', format: 'uri', media })
      const images = { type: 'array', items: url('image') }
      const element = { type: 'object', properties: { images, voice: url('audio') } }
      Object.assign(files[modelPath].input.properties, {
        clips: { type: 'array', items: url(kind), description: 'Clips of this test alone.' },
        elements: { type: 'array', items: element, description: 'Elements of this test alone.' },
      })
    })
  const [version] = load('any').models.get('acme/painter/text-to-video')!.versions
  assert.deepEqual(version!.mediaFields, [
    { field: 'clips', media: 'any' },
    { field: 'elements.images', media: 'image' },
    { field: 'elements.voice', media: 'audio' },
  ])
  assert.throws(() => load('sculpture'), CatalogueError)
})

const spoilt: [string, RegExp, (files: ReturnType<typeof goodFiles>) => void][] = [
  [
    'text that is no JSON',
    /JSON/,
    (files) => {
      files[modelPath] = '{"name": '
    },
  ],
  [
    'an unknown key',
    /categry is not a known field/,
    (files) => {
      files[modelPath].categry = 'video'
    },
  ],
  ['a missing key', /processingSeconds is required/, (files) => delete files[modelPath].processingSeconds],
  [
    'an option without a multiplier',
    /pricing\.factors\.size: option "l" has no multiplier/,
    (files) => delete files[modelPath].pricing.factors.size.l,
  ],
  [
    'a multiplier of no option',
    /pricing\.factors\.size: "xl" is no option of the input/,
    (files) => {
      files[modelPath].pricing.factors.size.xl = '3'
    },
  ],
  [
    'a factor of no field',
    /pricing\.factors\.sise: input has no options of this name/,
    (files) => {
      files[modelPath].pricing.factors.sise = { s: '1' }
    },
  ],
  [
    'a factor named like a part of every object',
    /pricing\.factors\.constructor: input has no options of this name/,
    (files) => {
      files[modelPath].pricing.factors.constructor = { s: '1' }
    },
  ],
  [
    'a multiplier that is a number',
    /pricing\.factors\.size\.s must be string/,
    (files) => {
      files[modelPath].pricing.factors.size.s = 1
    },
  ],
  [
    'a multiplier that is no plain decimal',
    /pricing\.factors\.size\.s must match/,
    (files) => {
      files[modelPath].pricing.factors.size.s = '1e3'
    },
  ],
  [
    'a base cost with a fraction',
    /pricing\.baseCostMicroCents must be integer/,
    (files) => {
      files[modelPath].pricing.baseCostMicroCents = 0.5
    },
  ],
  [
    'an example that does not fit',
    /example: input\.size must be one of "s", "l"/,
    (files) => {
      files[modelPath].example.size = 'm'
    },
  ],
  [
    'an example that lacks what is required',
    /example: input\.prompt is required/,
    (files) => delete files[modelPath].example.prompt,
  ],
  [
    'a default that is no option',
    /default of input\.size must be one of "s", "l"/,
    (files) => {
      files[modelPath].input.properties.size.default = 'm'
    },
  ],
  [
    'a schema with an unknown keyword',
    /input: .*maxLenght/,
    (files) => {
      files[modelPath].input.properties.prompt.maxLenght = 10
    },
  ],
  [
    'an input that takes unknown fields',
    /input\.additionalProperties must be/,
    (files) => {
      files[modelPath].input.additionalProperties = true
    },
  ],
  [
    'a field without a description',
    /input\.properties\.prompt\.description is required/,
    (files) => delete files[modelPath].input.properties.prompt.description,
  ],
  [
    'no version',
    /versions must NOT have fewer than 1 items/,
    (files) => {
      files[modelPath].versions = []
    },
  ],
]
for (const [what, reason, spoil] of spoilt) {
  test(`${what} is refused, with the file and the reason`, () => {
    assert.throws(
      () => loadChanged(spoil),
      (error: Error) => {
        assert.ok(error instanceof CatalogueError)
        assert.ok(error.message.startsWith(`${modelPath}: `), error.message)
        assert.match(error.message, reason)
        assert.ok(!error.message.includes('\n'))
        return true
      },
    )
  })
}

test('a folder of no known provider, and a file of no known capability, are refused by name', () => {
  assert.throws(
    () =>
      loadChanged((files) => {
        files['providers.json'] = {}
      }),
    /^Error: acme\/painter\/text-to-video\.json: provider "acme" is not in providers\.json$/,
  )
  assert.throws(
    () =>
      loadChanged((files) => {
        files['capabilities.json'] = {}
      }),
    /^Error: acme\/painter\/text-to-video\.json: capability "text-to-video" is not in capabilities\.json$/,
  )
})

test('providers.json and capabilities.json are refused by their own names', () => {
  assert.throws(
    () =>
      loadChanged((files) => {
        ;(files['providers.json']!.acme as { color: string }).color = 'red'
      }),
    /^Error: providers\.json: acme\.color must match/,
  )
  assert.throws(
    () =>
      loadChanged((files) => {
        ;(files['capabilities.json']!['text-to-video'] as { category: string }).category = 'smell'
      }),
    /^Error: capabilities\.json: text-to-video\.category must be one of/,
  )
  assert.throws(() => loadCatalogue(join(root, 'nowhere')), /^Error: providers\.json: /)
})

const textToVideo = catalogue.models.get('kling-plus/kling-o3-standard/text-to-video')!.versions[0]!
const issuesOf = (input: unknown) => checkInput(textToVideo, input).issues

test('an input that is right has no issues, and the caller keeps the object that it gave', () => {
  const given = { prompt: 'x', duration: 10 }
  const { input, issues } = checkInput(textToVideo, given)
  assert.deepEqual(issues, [])
  assert.deepEqual(given, { prompt: 'x', duration: 10 })
  assert.deepEqual(input, {
    prompt: 'x',
    duration: '10',
    aspect_ratio: '16:9',
    has_sound: 'false',
    shot_type: 'customize',
  })
})

test('shots must sum to the duration only where each has one', () => {
  const shots = (...durations: (number | string | undefined)[]) => ({
    prompt: 'x',
    duration: 8,
    multishot: durations.map((duration) => ({ prompt: 'y', ...(duration !== undefined && { duration }) })),
  })
  assert.deepEqual(issuesOf(shots(3, 5)), [])
  assert.deepEqual(issuesOf(shots('3', '5')), [])
  assert.deepEqual(issuesOf(shots(3, undefined)), [])
  assert.deepEqual(issuesOf(shots(3, 4)), [
    {
      path: 'input.multishot',
      message: 'has durations that sum to 7, but duration is 8: make them equal',
    },
  ])
  // the default counts where the video's own is not given
  assert.deepEqual(issuesOf({ prompt: 'x', multishot: [{ prompt: 'y', duration: 5 }] }), [])
})

test('text that the database cannot hold is named where it stands', () => {
  const message = 'must not contain U+0000 or half of a surrogate pair'
  assert.deepEqual(issuesOf({ prompt: 'a\0b' }), [{ path: 'input.prompt', message }])
  assert.deepEqual(issuesOf({ prompt: 'a', multishot: [{ prompt: 'b' }, { prompt: '\ud83d' }] }), [
    { path: 'input.multishot[1].prompt', message },
  ])
  assert.deepEqual(issuesOf({ prompt: '🎬' }), [])
})

test('an input that is nested half a million levels deep is refused, and quickly', () => {
  const deep = JSON.parse(`${'['.repeat(500_000)}${']'.repeat(500_000)}`)
  assert.deepEqual(
    issuesOf({ prompt: deep }).map((issue) => issue.message),
    ['must be string, not array'],
  )
})

test('fields named like parts of every object are unknown fields, and change no object', () => {
  const input = JSON.parse(
    '{"prompt":"x","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":"y"}',
  )
  assert.deepEqual(
    issuesOf(input).map((issue) => issue.path),
    ['input.__proto__', 'input.constructor', 'input.toString'],
  )
  const shots = JSON.parse('{"prompt":"x","multishot":[{"prompt":"y","__proto__":{"duration":3}}]}')
  assert.deepEqual(
    issuesOf(shots).map((issue) => issue.path),
    ['input.multishot[0].__proto__'],
  )
  assert.equal(({} as { polluted?: boolean }).polluted, undefined)
})
