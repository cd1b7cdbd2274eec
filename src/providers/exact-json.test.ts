import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseExact, stringifyExact } from './exact-json.ts'

test('an id of 64 bits is read with all its digits', () => {
  const text = '{"element_id":829836802793406551,"at":1781080778802,"part":0.5,"ids":[-9007199254740993]}'
  assert.deepEqual(parseExact(text), {
    element_id: '829836802793406551',
    at: 1781080778802,
    part: 0.5,
    ids: ['-9007199254740993'],
  })
})

test('an id of 64 bits is written as a bare number with all its digits', () => {
  assert.equal(
    stringifyExact({ element_list: [{ element_id: 829836802793406551n }], n: 1 }),
    '{"element_list":[{"element_id":829836802793406551}],"n":1}',
  )
})
