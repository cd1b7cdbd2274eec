import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readUploadType, uploadTypes } from './types.ts'

test('a type is read in any case, with parameters and spaces', () => {
  for (const type of Object.keys(uploadTypes)) {
    const [kind = '', name = ''] = type.split('/')
    for (const text of [type, type.toUpperCase(), `${kind}/${name}; a=b`, ` ${type} ;q="x;y"`, `${type};`]) {
      assert.equal(readUploadType(text), type, text)
    }
  }
})

test('other names of a type are taken for it', () => {
  for (const [name, type] of [
    ['image/jpg', 'image/jpeg'],
    ['image/pjpeg', 'image/jpeg'],
    ['image/x-png', 'image/png'],
    ['audio/mp3', 'audio/mpeg'],
    ['Audio/X-WAV', 'audio/wav'],
    ['audio/wave', 'audio/wav'],
    ['audio/vnd.wave; codec=1', 'audio/wav'],
  ] as const) {
    assert.equal(readUploadType(name), type, name)
  }
})

test('what is no type that may be uploaded is not guessed at', () => {
  for (const text of [
    '',
    'jpeg',
    'image',
    'image/',
    'image/svg+xml',
    'image /png',
    'image/png, image/jpeg',
    'constructor',
  ]) {
    assert.equal(readUploadType(text), undefined, text)
  }
})
