import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgumentError } from 'commander'
import { type Field, readField, toInput, type ValueField } from './fields.ts'

const read = (...texts: string[]) =>
  texts.reduce<Field[] | undefined>((before, text) => readField(text, before), undefined) ?? []
const inputOf = (...texts: string[]) =>
  toInput(read(...texts).filter((field): field is ValueField => 'value' in field))

test('what follows = is text, with every further sign of it', () => {
  assert.deepEqual(inputOf('prompt=a = b := c\nd', 'duration=5', 'has_sound=true', 'empty='), {
    prompt: 'a = b := c\nd',
    duration: '5',
    has_sound: 'true',
    empty: '',
  })
})

test('JSON is taken after := and where a value starts with a bracket or a brace', () => {
  assert.deepEqual(inputOf('a:=5', 'b:=null', 'c:="@home"', 'd=[1,{"e":2}]', 'f={"g":true}'), {
    a: 5,
    b: null,
    c: '@home',
    d: [1, { e: 2 }],
    f: { g: true },
  })
})

test('a prompt that begins with a bracket and is no JSON stays text', () => {
  assert.deepEqual(inputOf('prompt=[sandbox:pending 3] a cat'), { prompt: '[sandbox:pending 3] a cat' })
})

test('a field given twice is a list in the order given, and field[] is one by itself', () => {
  assert.deepEqual(inputOf('urls=a', 'prompt=x', 'urls=b', 'single[]=c'), {
    urls: ['a', 'b'],
    prompt: 'x',
    single: ['c'],
  })
})

test('a value that starts with @ names a file', () => {
  assert.deepEqual(read('image_url=@a b/cat.png'), [
    { name: 'image_url', isList: false, file: 'a b/cat.png' },
  ])
})

test('what is no field, and what is no JSON after :=, is refused', () => {
  for (const text of ['prompt', '=x', 'two words=x', 'a.b=x', ':=1'])
    assert.throws(() => read(text), InvalidArgumentError, text)
  assert.throws(() => read('shots:=[{'), /not valid JSON/)
})
