import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../errors.ts'
import { createRequestLimit } from './request-limit.ts'

/** How many requests in a row are let through. */
function taken(take: () => void, most: number): number {
  for (let count = 0; count < most; count++) {
    try {
      take()
    } catch (error) {
      assert.ok(error instanceof ApiError && error.code === 'RATE_LIMIT_EXCEEDED')
      return count
    }
  }
  return most
}

test('so many requests a minute are let through for each key and address, and again after the minute', () => {
  let now = 0
  const limit = createRequestLimit(3, () => now)
  assert.equal(
    taken(() => limit.take('203.0.113.7', 'key_1'), 10),
    3,
  )
  assert.equal(
    taken(() => limit.take('203.0.113.8', 'key_1'), 10),
    3,
  )
  assert.equal(
    taken(() => limit.take('203.0.113.7', 'key_2'), 10),
    3,
  )
  assert.equal(
    taken(() => limit.take('203.0.113.7'), 10),
    3,
  )
  now = 45_500
  assert.throws(
    () => limit.take('203.0.113.7', 'key_1'),
    (error: ApiError) => error.details?.retryAfter === 15,
  )
  now = 60_000
  assert.equal(
    taken(() => limit.take('203.0.113.7', 'key_1'), 10),
    3,
  )
})

test('addresses of one IPv6 network of 64 bits are counted as one', () => {
  const limit = createRequestLimit(3, () => 0)
  let host = 0
  assert.equal(
    taken(() => limit.take(`2001:db8:1:2::${++host}`), 10),
    3,
  )
  assert.equal(
    taken(() => limit.take('2001:db8:1:3::1'), 10),
    3,
  )
  assert.equal(
    taken(() => limit.take(''), 10),
    3,
  )
})

test('a million addresses take no more memory than a hundred thousand', () => {
  const limit = createRequestLimit(1, () => 0)
  for (let index = 0; index < 100_001; index++) limit.take(`address-${index}`)
  // the first was forgotten, the last was not
  limit.take('address-0')
  assert.throws(() => limit.take('address-100000'))
})
