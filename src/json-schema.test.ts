import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  check,
  compile,
  dropNulls,
  nearest,
  readIntegers,
  sentence,
  storablePattern,
  unknownField,
} from './json-schema.ts'

const schema = {
  type: 'object',
  required: ['prompt', 'image_url'],
  additionalProperties: false,
  properties: {
    prompt: { type: 'string', minLength: 1, maxLength: 5 },
    image_url: { type: 'string', format: 'uri' },
    quality: { type: 'string', enum: ['std', 'pro'], default: 'std' },
    shots: {
      type: 'array',
      maxItems: 2,
      items: {
        type: 'object',
        required: ['prompt'],
        additionalProperties: false,
        properties: { prompt: { type: 'string' }, seconds: { type: 'integer', minimum: 1 } },
      },
    },
    'a/b~c': { type: 'string' },
    code: { type: 'string', minLength: 3, pattern: '^[a-z]+$' },
    either: { anyOf: [{ type: 'string' }, { type: 'null' }] },
    one: { oneOf: [{ type: 'string' }, { enum: ['a', 1] }] },
    images: { type: 'array', maxItems: 3, minItems: 1, items: { type: 'string' } },
    labels: {
      type: 'object',
      propertyNames: { type: 'string', maxLength: 3, pattern: storablePattern },
      additionalProperties: { type: 'string', pattern: storablePattern },
    },
  },
  dependentSchemas: {
    code: { type: 'object', properties: { images: { type: 'array', maxItems: 1 } } },
  },
}
const validate = compile(schema)
const good = { prompt: 'x', image_url: 'https://a.example/b.png' }
const issues = (changes: object) => check(validate, { ...good, ...changes }, 'input')
const message = (changes: object) => {
  const found = issues(changes)
  assert.equal(found.length, 1, JSON.stringify(found))
  return `${found[0]!.path} ${found[0]!.message}`
}

test('what fits more than one of which it must fit one is refused, as is what fits none', () => {
  assert.deepEqual(issues({ one: 'b' }), [])
  assert.deepEqual(issues({ one: 1 }), [])
  assert.equal(message({ one: 'a' }), 'input.one must match exactly one schema in oneOf')
  assert.equal(message({ one: 2 }), 'input.one must be string, not number')
})

test('what is right has no issues, and gets its defaults', () => {
  const value = { ...good }
  assert.deepEqual(check(validate, value, 'input'), [])
  assert.deepEqual(value, { ...good, quality: 'std' })
})

test('every problem is listed, each once, with its path as a client writes it', () => {
  const value = {
    prompt: '',
    qualty: 'std',
    quality: 'ultra',
    shots: [{ prompt: 3 }, { seconds: 0, camera: 'left' }],
    'a/b~c': 1,
  }
  const found = check(validate, value, 'input')
  assert.deepEqual(
    found.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    [
      { path: 'input.a/b~c', message: 'must be string, not number' },
      { path: 'input.image_url', message: 'is required' },
      { path: 'input.prompt', message: 'must not be empty' },
      { path: 'input.quality', message: 'must be one of "std", "pro"' },
      { path: 'input.qualty', message: 'is not a known field; did you mean "quality"?' },
      { path: 'input.shots[0].prompt', message: 'must be string, not number' },
      { path: 'input.shots[1].camera', message: 'is not a known field; known are prompt, seconds' },
      { path: 'input.shots[1].prompt', message: 'is required' },
      { path: 'input.shots[1].seconds', message: 'must be >= 1' },
    ],
  )
})

test('a field with two faults is named once', () => {
  assert.match(message({ code: '1' }), /^input\.code /)
})

test('a limit that hangs on another field says so, and comes before the wider one', () => {
  const images = ['a', 'b', 'c', 'd']
  assert.deepEqual(issues({ images, code: 'abc' }), [
    { path: 'input.images', message: 'must have at most 1 item when code is given' },
  ])
  assert.equal(message({ images }), 'input.images must have at most 3 items')
  assert.equal(message({ images: [] }), 'input.images must have at least 1 item')
  assert.deepEqual(issues({ images: ['a'], code: 'abc' }), [])
})

test('a wrong form of the limits to a file is refused when the schema is compiled', () => {
  const withLimits = (mediaLimits: object) => () =>
    compile({ type: 'string', format: 'uri', media: 'video', mediaLimits })
  assert.doesNotThrow(withLimits({ minSeconds: 3, maxSeconds: 30, minPixels: 300, types: ['video/mp4'] }))
  assert.throws(withLimits({ maxSecond: 30 }))
  assert.throws(withLimits({ minPixels: 'x' }))
  assert.throws(withLimits({}))
})

test('an alternative that fails is not repeated by its parent', () => {
  assert.equal(issues({ either: 3 }).length, 1)
})

test('lengths are counted as people count, emoji as one', () => {
  assert.deepEqual(issues({ prompt: '🎬🎬🎬🎬🎬' }), [])
  assert.equal(message({ prompt: '🎬🎬🎬🎬🎬🎬' }), 'input.prompt must be at most 5 characters long, is 6')
  assert.equal(message({ code: 'ab' }), 'input.code must be at least 3 characters long')
})

test('the type that was given is told in the words of JSON', () => {
  assert.equal(message({ prompt: null }), 'input.prompt must be string, not null')
  assert.equal(message({ prompt: [] }), 'input.prompt must be string, not array')
  assert.equal(message({ prompt: {} }), 'input.prompt must be string, not object')
  assert.equal(message({ prompt: true }), 'input.prompt must be string, not boolean')
})

test('only http and https URLs of a sane length are URLs', () => {
  for (const image_url of ['https://a.example/', 'http://a.example', 'HTTPS://A.EXAMPLE/x?y#z']) {
    assert.deepEqual(issues({ image_url }), [], image_url)
  }
  for (const image_url of [
    'a.example',
    '/a.png',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'ftp://a.example/',
    '',
  ]) {
    assert.equal(message({ image_url }), 'input.image_url must be an http or https URL')
  }
})

test('text that cannot be stored is named, as value and as name', () => {
  const reason = 'must not contain U+0000 or half of a surrogate pair'
  assert.equal(message({ labels: { a: '\0' } }), `input.labels.a ${reason}`)
  assert.equal(message({ labels: { a: 'x\udc00' } }), `input.labels.a ${reason}`)
  assert.equal(message({ labels: { '\ud800': 'x' } }), `input.labels.\ud800 has a name that ${reason}`)
  assert.equal(
    message({ labels: { long: 'x' } }),
    'input.labels.long has a name that must be at most 3 characters long, is 4',
  )
  assert.deepEqual(issues({ labels: { a: '🎬\n' } }), [])
})

test('a value that is no object at all is told by the root', () => {
  assert.deepEqual(check(validate, [], 'input'), [{ path: 'input', message: 'must be object, not array' }])
  assert.deepEqual(check(validate, null, ''), [{ path: '', message: 'must be object, not null' }])
})

test('a keyword that is not known makes a schema unusable', () => {
  assert.throws(() => compile({ type: 'string', maxLenght: 3 }), /maxLenght/)
})

test('a number in a query is read from plain digits alone', () => {
  const schema = { type: 'object', properties: { limit: { type: 'integer' } } }
  const read = (limit: unknown) => {
    const query = { limit }
    readIntegers(schema, query)
    return query.limit
  }
  for (const [text, value] of [
    ['5', 5],
    ['0', 0],
    ['100', 100],
  ] as const) {
    assert.equal(read(text), value)
  }
  for (const text of [
    '',
    ' 5',
    '5 ',
    '+5',
    '-5',
    '05',
    '5.0',
    '1e1',
    '0x10',
    '1_0',
    '٥',
    '9'.repeat(16),
    ['5'],
  ]) {
    assert.equal(read(text), text)
  }
})

test('null of a known field is left out, unless the field takes it', () => {
  const schema = {
    type: 'object',
    properties: {
      a: { type: 'string' },
      b: { type: ['string', 'null'] },
      c: { enum: ['x', null] },
      d: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
      e: {},
      list: { type: 'array', items: { type: 'object', properties: { a: { type: 'integer' } } } },
    },
  }
  const value = { a: null, b: null, c: null, d: null, e: null, list: [{ a: null }, null], z: null }
  dropNulls(schema, value)
  assert.deepEqual(value, { b: null, c: null, d: null, e: null, list: [{}, null], z: null })
})

test('the nearest name is proposed only if it is near', () => {
  const known = ['prompt', 'aspect_ratio', 'duration', 'has_sound']
  assert.equal(nearest('promt', known), 'prompt')
  assert.equal(nearest('Duration', known), 'duration')
  assert.equal(nearest('aspectRatio', known), 'aspect_ratio')
  assert.equal(nearest('seed', known), undefined)
  assert.equal(nearest('', []), undefined)
  assert.equal(nearest('x'.repeat(1_000_000), known), undefined)
  assert.equal(
    unknownField('seed', known),
    'is not a known field; known are prompt, aspect_ratio, duration, has_sound',
  )
})

test('many issues make one sentence', () => {
  const one = { path: 'a', message: 'is required' }
  const asking = { path: 'b', message: 'is not a known field; did you mean "c"?' }
  assert.equal(sentence([one], 'The body'), 'a is required.')
  assert.equal(sentence([{ ...one, path: '' }], 'The body'), 'The body is required.')
  assert.equal(sentence([asking], ''), 'b is not a known field; did you mean "c"?')
  assert.equal(sentence([one, asking, one], ''), 'a is required (and 2 more, see details.issues).')
})
