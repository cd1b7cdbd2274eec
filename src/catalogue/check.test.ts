import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkCatalogue } from './check.ts'
import { type Change, modelPath, writeChanged } from './fixture.ts'

const faultsOf = (change: Change) =>
  checkCatalogue(writeChanged(change)).faults.map(({ path, reason }) => `${path}: ${reason}`)

test('the catalogue of this package has no faults', () => {
  assert.deepEqual(checkCatalogue().faults, [])
})

const spoilt: [string, string, Change][] = [
  [
    'an example that does not fit',
    `${modelPath}: example: input.size must be one of "s", "l"`,
    (files) => Object.assign(files[modelPath].example, { size: 'm' }),
  ],
  [
    'an example that lacks what is required',
    `${modelPath}: example: input.prompt is required`,
    (files) => delete files[modelPath].example.prompt,
  ],
  [
    'a default that is no option',
    `${modelPath}: default of input.size must be one of "s", "l"`,
    (files) => Object.assign(files[modelPath].input.properties.size, { default: 'm' }),
  ],
  [
    'a default of a required field that is no option',
    `${modelPath}: default of input.size must be one of "s", "l"`,
    ({ [modelPath]: { input } }) => {
      input.required.push('size')
      input.properties.size.default = 'm'
    },
  ],
  [
    'a schema with an unknown keyword',
    `${modelPath}: input: strict mode: unknown keyword: "maxLenght"`,
    (files) => Object.assign(files[modelPath].input.properties.prompt, { maxLenght: 10 }),
  ],
  [
    'a kind of file that nobody fetches',
    `${modelPath}: input: keyword "media" value is invalid at path "#/properties/prompt": data must be equal to one of the allowed values`,
    (files) => Object.assign(files[modelPath].input.properties.prompt, { media: 'sculpture' }),
  ],
  [
    'a wrong example of one version among several',
    `${modelPath}: v2.0: example: input.prompt must not be empty`,
    (files) => files[modelPath].versions.push({ version: 'v2.0', status: 'active', example: { prompt: '' } }),
  ],
  [
    'a key that stands elsewhere than in the other files',
    `${modelPath}: its keys must be in the order name, description, tags, processingSeconds, pricing, input, example, versions`,
    (files) => {
      const { name, ...rest } = files[modelPath]
      files[modelPath] = { ...rest, name }
    },
  ],
  [
    'a description without an end',
    `${modelPath}: description must be one line that ends with a full stop`,
    (files) => Object.assign(files[modelPath], { description: 'A model of this test alone, and' }),
  ],
  [
    'a description of a field over several lines',
    `${modelPath}: description of size must be one line that ends with a full stop`,
    (files) => Object.assign(files[modelPath].input.properties.size, { description: 'How large\nit is.' }),
  ],
  [
    'a note that is no note',
    `${modelPath}: notes[0] must be at most 320 characters long, is 321`,
    (files) => Object.assign(files[modelPath], { notes: [`${'x'.repeat(320)}.`] }),
  ],
  [
    'a provider without a model',
    'providers.json: nobody is used by no model',
    ({ 'providers.json': providers }) => Object.assign(providers, { nobody: providers.acme }),
  ],
  [
    'a capability without a model',
    'capabilities.json: sing is used by no model',
    ({ 'capabilities.json': capabilities }) =>
      Object.assign(capabilities, { sing: { ...(capabilities['text-to-video'] as object), order: 2 } }),
  ],
]
for (const [what, fault, spoil] of spoilt) {
  test(`${what} is named`, () => {
    assert.deepEqual(faultsOf(spoil), [fault])
  })
}

test('two models of one description, and two of one name and capability, are named', () => {
  assert.deepEqual(
    faultsOf((files) => Object.assign(files, { 'acme/sculptor/text-to-video.json': files[modelPath] })),
    [
      `acme/sculptor/text-to-video.json: has the description of ${modelPath}`,
      `acme/sculptor/text-to-video.json: has the provider, name and capability of ${modelPath}`,
    ],
  )
})

test('two capabilities in one place of the order are named', () => {
  const faults = faultsOf(({ 'capabilities.json': capabilities }) =>
    Object.assign(capabilities, { sing: capabilities['text-to-video'] }),
  )
  assert.ok(faults.includes('capabilities.json: sing.order 1 is taken already'), faults.join())
})

const command = (...args: string[]) => {
  const tool = join(import.meta.dirname, '../../tools/check-catalogue.ts')
  return spawnSync(process.execPath, [tool, ...args], { encoding: 'utf8' })
}

test('the command counts what is in the catalogue', () => {
  const { status, stdout, stderr } = command()
  assert.equal(stderr, '')
  assert.match(stdout, /^\d+ models, \d+ providers, \d+ capabilities\n$/)
  assert.equal(status, 0)
})

test('the command prints every fault with its file, and fails', () => {
  const directory = writeChanged((files) => {
    files['stray.txt'] = 'x'
    delete files[modelPath].tags
  })
  const { status, stdout, stderr } = command(directory)
  assert.deepEqual(
    stderr.split('\n').map((line) => line.split(':')[0]),
    [modelPath, 'stray.txt', ''],
  )
  assert.equal(stdout, '')
  assert.equal(status, 1)
})
