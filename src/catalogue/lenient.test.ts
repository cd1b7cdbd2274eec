import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lenient } from './lenient.ts'

const options = { type: 'string', enum: ['5', '10', 'true', '1.5'] }
const same = (schema: object, values: unknown[]) => {
  for (const value of values) assert.deepEqual(lenient({ ...schema }, value), value, JSON.stringify(value))
}

test('a number or boolean is taken for the option that it spells', () => {
  assert.equal(lenient(options, 5), '5')
  assert.equal(lenient(options, 10), '10')
  assert.equal(lenient(options, 1.5), '1.5')
  assert.equal(lenient(options, true), 'true')
})

test('nothing else is taken for an option', () => {
  same(options, [7, false, null, '5 ', ' 5', '05', '5.0', 'TRUE', [5], { value: 5 }, ''])
})

test('a string without options stays what it was given as', () => {
  same({ type: 'string' }, [5, true, null, 'x', [], {}])
})

test('the plain text of a number or boolean is taken where one is due', () => {
  assert.equal(lenient({ type: 'integer' }, '12'), 12)
  assert.equal(lenient({ type: 'integer' }, '-3'), -3)
  assert.equal(lenient({ type: 'number' }, '0.25'), 0.25)
  assert.equal(lenient({ type: 'boolean' }, 'true'), true)
  assert.equal(lenient({ type: 'boolean' }, 'false'), false)
})

test('what is not plain text of it stays, for the schema to refuse', () => {
  same({ type: 'integer' }, [
    '',
    ' 1',
    '1 ',
    '1.0',
    '1e3',
    '0x10',
    '+1',
    'one',
    '٣',
    '1234567890123456',
    null,
    true,
  ])
  same({ type: 'number' }, ['', '.5', '5.', '1,5', '1e3', 'NaN', 'Infinity', null, false])
  same({ type: 'boolean' }, ['', 'True', 'yes', '1', '0', 1, 0, null])
})

test('the leniency reaches into arrays of objects, and the given value is not changed', () => {
  const schema = {
    type: 'object',
    properties: {
      shots: {
        type: 'array',
        items: { type: 'object', properties: { seconds: { type: 'integer' }, prompt: { type: 'string' } } },
      },
      sizes: { type: 'array', items: options },
    },
  }
  const given = { shots: [{ seconds: '3', prompt: '3' }, { seconds: 2 }], sizes: [5, '10', 7] }
  const copy = structuredClone(given)
  assert.deepEqual(lenient(schema, given), {
    shots: [{ seconds: 3, prompt: '3' }, { seconds: 2 }],
    sizes: ['5', '10', 7],
  })
  assert.deepEqual(given, copy)
})

test('a value of another shape than its schema stays as it is', () => {
  const schema = { type: 'object', properties: { shots: { type: 'array', items: { type: 'integer' } } } }
  same(schema, [[1], 'x', null, 3, { shots: 'x' }, { shots: { 0: '1' } }, { other: '1' }, { other: null }])
})

test('null for a known field is left out, at any depth, unless the schema takes null', () => {
  const shot = {
    type: 'object',
    properties: { prompt: { type: 'string' }, seconds: { type: ['integer', 'null'] } },
  }
  const schema = {
    type: 'object',
    properties: { shots: { type: 'array', items: shot }, seed: { type: 'integer' } },
  }
  const given = { shots: [{ prompt: null, seconds: null }, null], seed: null, other: null }
  assert.deepEqual(lenient(schema, given), { shots: [{ seconds: null }, null], other: null })
})

test('fields named like parts of every object are copied as plain fields', () => {
  const schema = { type: 'object', properties: { prompt: { type: 'string' } } }
  const given = JSON.parse('{"__proto__":{"polluted":"1"},"constructor":"2","hasOwnProperty":"3"}')
  const copy = lenient(schema, given) as object
  assert.deepEqual(Object.entries(copy), Object.entries(given))
  assert.equal(Object.getPrototypeOf(copy), Object.prototype)
  assert.equal(({} as { polluted?: string }).polluted, undefined)
})
