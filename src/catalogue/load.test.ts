import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Change, modelPath, writeChanged } from './fixture.ts'
import { CatalogueError, loadCatalogue, modelOf } from './load.ts'

const loadChanged = (change: Change) => loadCatalogue(writeChanged(change))

test('a small good catalogue loads, with its slug from the path', () => {
  const { models } = loadChanged(() => {})
  assert.deepEqual([...models.keys()], ['acme/painter/text-to-video'])
})

test('files that the gateway must fetch are known by their fields, at every depth and with their limits', () => {
  const { models } = loadChanged((files) => {
    const url = (media: string, more = {}) => ({ type: 'string', format: 'uri', media, ...more })
    const images = { type: 'array', items: url('image') }
    const element = { type: 'object', properties: { images, voice: url('audio') } }
    Object.assign(files[modelPath].input.properties, {
      clips: { type: 'array', items: url('any'), description: 'Clips of this test alone.' },
      elements: { type: 'array', items: element, description: 'Elements of this test alone.' },
      dance: {
        ...url('video', { mediaLimits: { maxSeconds: 30 } }),
        description: 'A film of this test alone.',
      },
    })
  })
  assert.deepEqual(models.get('acme/painter/text-to-video')!.versions[0]!.mediaFields, [
    { field: 'clips', media: 'any' },
    { field: 'elements.images', media: 'image' },
    { field: 'elements.voice', media: 'audio' },
    { field: 'dance', media: 'video', limits: { maxSeconds: 30 } },
  ])
})

test('a model whose file lies at provider/model is found by that, and by its full slug', () => {
  const catalogue = loadChanged((files) => {
    files['acme/painter.json'] = { ...files[modelPath], capability: 'text-to-video' }
    files[modelPath] = undefined
  })
  assert.deepEqual([...catalogue.models.keys()], ['acme/painter'])
  const model = catalogue.models.get('acme/painter')
  assert.equal(model?.capability, 'text-to-video')
  assert.equal(modelOf(catalogue, 'acme/painter'), model)
  assert.equal(modelOf(catalogue, 'acme/painter/text-to-video'), model)
  assert.equal(modelOf(catalogue, 'acme/painter/edit-image'), undefined)
  assert.equal(modelOf(catalogue, 'acme'), undefined)
})

const spoilt: [string, RegExp, Change][] = [
  ['text that is no JSON', /JSON/, (files) => Object.assign(files, { [modelPath]: '{\n"name": ' })],
  [
    'an unknown key',
    /categry is not a known field/,
    (files) => Object.assign(files[modelPath], { categry: 'video' }),
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
    (files) => Object.assign(files[modelPath].pricing.factors.size, { xl: '3' }),
  ],
  [
    'a factor of no field',
    /pricing\.factors\.sise: input has no options of this name/,
    (files) => Object.assign(files[modelPath].pricing.factors, { sise: { s: '1' } }),
  ],
  [
    'a factor named like a part of every object',
    /pricing\.factors\.constructor: input has no options of this name/,
    (files) => Object.assign(files[modelPath].pricing.factors, { constructor: { s: '1' } }),
  ],
  [
    'a factor of a field with any text',
    /pricing\.factors\.prompt: input has no options of this name/,
    (files) => Object.assign(files[modelPath].pricing.factors, { prompt: { s: '1' } }),
  ],
  [
    'a priced field that a job may leave out',
    /pricing\.factors\.size: input must require the field or give it a default/,
    (files) => delete files[modelPath].input.properties.size.default,
  ],
  [
    'a priced boolean with one price',
    /pricing\.factors\.sound: option "false" has no multiplier/,
    (files) => price(files, 'sound', { type: 'boolean', default: true }, { true: '2' }),
  ],
  [
    'a priced whole number with a gap in its prices',
    /pricing\.factors\.count: option "2" has no multiplier/,
    (files) =>
      price(files, 'count', { type: 'integer', minimum: 1, maximum: 3, default: 1 }, { 1: '1', 3: '3' }),
  ],
  [
    'a priced whole number without a maximum',
    /pricing\.factors\.count: input has no options of this name/,
    (files) => price(files, 'count', { type: 'integer', minimum: 1, default: 1 }, { 1: '1' }),
  ],
  [
    'a priced whole number of more values than anyone prices',
    /pricing\.factors\.count: input has no options of this name/,
    (files) => price(files, 'count', { type: 'integer', minimum: 0, maximum: 1e12, default: 1 }, { 1: '1' }),
  ],
  [
    'a multiplier that is a number',
    /pricing\.factors\.size\.s must be string/,
    (files) => Object.assign(files[modelPath].pricing.factors.size, { s: 1 }),
  ],
  [
    'a multiplier that is no plain decimal',
    /pricing\.factors\.size\.s must match/,
    (files) => Object.assign(files[modelPath].pricing.factors.size, { s: '1e3' }),
  ],
  [
    'an option that makes a job cost nothing',
    /pricing: the cheapest job would cost nothing/,
    (files) => Object.assign(files[modelPath].pricing.factors.size, { s: '0.0' }),
  ],
  [
    'a price that is rounded to nothing',
    /pricing: the cheapest job would cost nothing/,
    (files) => Object.assign(files[modelPath].pricing.factors.size, { s: '0.000499' }),
  ],
  [
    'a base cost with a fraction',
    /pricing\.baseCostMicroCents must be integer/,
    (files) => Object.assign(files[modelPath].pricing, { baseCostMicroCents: 0.5 }),
  ],
  [
    'an input that takes unknown fields',
    /input\.additionalProperties must be/,
    (files) => Object.assign(files[modelPath].input, { additionalProperties: true }),
  ],
  [
    'a field without a description',
    /input\.properties\.prompt\.description is required/,
    (files) => delete files[modelPath].input.properties.prompt.description,
  ],
  [
    'no version',
    /versions must have at least 1 item/,
    (files) => Object.assign(files[modelPath], { versions: [] }),
  ],
  [
    'a capability that the path names already',
    /capability must be left out: the path names it/,
    (files) => Object.assign(files[modelPath], { capability: 'text-to-video' }),
  ],
]

function price(files: Parameters<Change>[0], field: string, schema: object, multipliers: object): void {
  const { input, pricing } = files[modelPath]
  input.properties[field] = { ...schema, description: 'A field of this test alone.' }
  pricing.factors[field] = multipliers
}

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

test('a priced boolean and a priced whole number load with a price for every value', () => {
  const { models } = loadChanged((files) => {
    price(files, 'sound', { type: 'boolean', default: true }, { true: '2', false: '1' })
    price(files, 'count', { type: 'integer', minimum: 1, maximum: 3, default: 1 }, { 1: '1', 2: '2', 3: '3' })
    price(files, 'places', { type: 'integer', enum: [2, 4], default: 2 }, { 2: '1', 4: '1.8667' })
  })
  assert.equal(models.size, 1)
})

test('a folder of no known provider, and a file of no known capability, are refused by name', () => {
  const message = (change: Change) => faultsOf(change).join()
  assert.equal(
    message((files) => Object.assign(files, { 'providers.json': {} })),
    'acme/painter/text-to-video.json: provider "acme" is not in providers.json',
  )
  assert.equal(
    message((files) => Object.assign(files, { 'capabilities.json': {} })),
    'acme/painter/text-to-video.json: capability "text-to-video" is not in capabilities.json',
  )
})

function faultsOf(change: Change): string[] {
  try {
    loadChanged(change)
    return []
  } catch (error) {
    assert.ok(error instanceof CatalogueError)
    return error.faults.map(({ path, reason }) => `${path}: ${reason}`)
  }
}

const misplaced = [
  'painter.json',
  'acme/painter/text-to-video/v2.json',
  'acme/painter/notes.md',
  'Acme/painter.json',
  'acme/painter/text-to-video.JSON',
]
for (const path of misplaced) {
  test(`a file at ${path} is refused by its path`, () => {
    const [fault, ...others] = faultsOf((files) => Object.assign(files, { [path]: '{}' }))
    assert.ok(fault?.startsWith(`${path}: is no place for a model`), fault)
    assert.deepEqual(others, [])
  })
}

test('what an operating system leaves behind is passed over', () => {
  assert.deepEqual(
    faultsOf((files) => Object.assign(files, { 'acme/.DS_Store': 'x' })),
    [],
  )
})

test('a file at provider/model must name its capability, and not that of a file below', () => {
  const painter = (capability?: string) =>
    faultsOf((files) => Object.assign(files, { 'acme/painter.json': { ...files[modelPath], capability } }))
  assert.deepEqual(painter(), ['acme/painter.json: capability is required, as the path names none'])
  assert.deepEqual(painter('text-to-video'), [
    'acme/painter/text-to-video.json: is the same model as acme/painter.json',
  ])
})

test('every wrong file is named, not only the first', () => {
  const faults = faultsOf((files) => {
    files['acme/sculptor/text-to-video.json'] = '{}'
    delete files[modelPath].tags
    delete files[modelPath].pricing.unit
    files['stray.txt'] = 'x'
  })
  assert.deepEqual(
    [...new Set(faults.map((fault) => fault.split(':')[0]))],
    [modelPath, 'acme/sculptor/text-to-video.json', 'stray.txt'],
  )
  assert.equal(faults.filter((fault) => fault.startsWith(modelPath)).length, 2)
})

test('the lists are refused by their own names, and nothing that follows from them is', () => {
  const spoil = (path: string, id: string, change: object) =>
    faultsOf((files) => Object.assign((files[path] as Record<string, object>)[id]!, change))
  const [color, ...others] = spoil('providers.json', 'acme', { color: 'red' })
  assert.match(color!, /^providers\.json: acme\.color must match/)
  assert.deepEqual(others, [])
  assert.match(
    spoil('capabilities.json', 'text-to-video', { category: 'smell' }).join(),
    /^capabilities\.json: text-to-video\.category must be one of/,
  )
  assert.match(
    faultsOf((files) => delete files['categories.json'].audio).join(),
    /^categories\.json: audio is required$/,
  )
  assert.throws(() => loadCatalogue('nowhere'), /^Error: providers\.json: .*\(and 2 more: see npm run/)
})
