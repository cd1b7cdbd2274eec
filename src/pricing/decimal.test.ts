import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decimal, multiply, roundHalfUp } from './decimal.ts'

const product = (...factors: string[]) => roundHalfUp(factors.map(decimal).reduce(multiply))

test('a decimal is read digit by digit, so that none is lost', () => {
  assert.deepEqual(decimal('0'), { digits: 0n, scale: 0 })
  assert.deepEqual(decimal('1.5'), { digits: 15n, scale: 1 })
  assert.deepEqual(decimal('0.0001'), { digits: 1n, scale: 4 })
  assert.deepEqual(decimal('9007199254740993.0000000001'), {
    digits: 90071992547409930000000001n,
    scale: 10,
  })
})

test('products that floats get wrong are exact', () => {
  assert.deepEqual(multiply(decimal('0.1'), decimal('0.2')), { digits: 2n, scale: 2 })
  // 1.15 × 100 is 114.99999999999999 in floats, 1.005 × 1000 is 1004.9999999999999
  assert.equal(product('1.15', '100'), 115n)
  assert.equal(product('1.005', '1000'), 1005n)
  assert.equal(product('9007199254740993', '1'), 9007199254740993n)
  assert.equal(product('999999999999999999', '999999999999999999'), 999999999999999998000000000000000001n)
})

test('a half is rounded up, and anything below it down', () => {
  for (const [text, rounded] of [
    ['0.5', 1n],
    ['0.4999999999999999999999', 0n],
    ['0.5000000000000000000001', 1n],
    ['1.5', 2n],
    // half to even would make this 2
    ['2.5', 3n],
    ['2.4999', 2n],
    ['7', 7n],
    ['7.0000', 7n],
    ['0', 0n],
    ['0.0', 0n],
  ] as const) {
    assert.equal(roundHalfUp(decimal(text)), rounded, text)
  }
})

test('multipliers with four decimals keep all of them', () => {
  assert.equal(product('70000', '1.0001'), 70_007n)
  assert.equal(product('10000', '1.2345', '1.0001'), 12_346n)
  assert.equal(product('5000', '0.0001'), 1n)
  assert.equal(product('4999', '0.0001'), 0n)
  assert.equal(product('10000', '0.0001', '0.5'), 1n)
})

test('what is not a plain decimal number is refused', () => {
  for (const text of [
    '',
    ' ',
    '1.',
    '.5',
    '-1',
    '+1',
    '1e3',
    '1,5',
    '0x10',
    '1 ',
    'NaN',
    '१',
    '1.2.3',
    '1n',
    '1\n',
  ]) {
    assert.throws(() => decimal(text), RangeError, JSON.stringify(text))
  }
})
